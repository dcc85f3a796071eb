# The story of both notebooks in percent format, made into .ipynb by build.py. Markdown cells name their language; code
# cells are the same in both.
# ruff: noqa: D100, D103, E402

# %% [markdown] es
# # Optimización con vectorización en Python, medida
#
# Este cuaderno cuenta por qué el código vectorizado es rápido: SIMD, ufuncs en C, localidad de memoria, BLAS multihilo,
# broadcasting, menos GIL, tipos ligeros y GPU. Suele decirse que todo ello da ganancias de 10× a 100×. Aquí no se da
# por hecho: se mide, con vecml, en la máquina que ejecuta el cuaderno.
#
# Todas las cifras se calculan en sus celdas. Las frases con una barra a la izquierda son de vecml, que escribe en
# inglés (como los nombres de cada forma); salen de lo medido, y dicen cuándo un efecto no se ve.
#
# Hace falta vecml con sus extras (`pip install -e '.[all]'`) y una máquina en reposo: lo que otros procesos perturban
# no cuenta. Con la variable de entorno `VECML_NOTEBOOK=quick` todo se mide en modo rápido, con menos puntos.

# %% [markdown] en
# # Optimisation by vectorisation in Python, measured
#
# This notebook tells why vectorised code is fast: SIMD, ufuncs in C, locality of memory, BLAS on several threads,
# broadcasting, less GIL, lighter types and GPUs. All of it together is often said to gain 10 to 100 times. Here that is
# not taken for granted: it is measured, with vecml, on the machine that runs the notebook.
#
# Every figure is computed in its cells. The sentences with a bar to their left are vecml's own; they follow from what
# was measured, and say where an effect does not show.
#
# It takes vecml with its extras (`pip install -e '.[all]'`) and a quiet machine: what other processes disturb does not
# count. With the environment variable `VECML_NOTEBOOK=quick` everything is measured in quick mode, at fewer points.

# %%
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from IPython.display import Image, Markdown, display

LANGUAGE = "en"

QUICK = os.environ.get("VECML_NOTEBOOK") == "quick"
work = tempfile.TemporaryDirectory(prefix="vecml-notebook-", ignore_cleanup_errors=True)
folder = Path(work.name).resolve()
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.chdir(folder)  # the runs, too, are kept there, and go with the kernel

dropped = ("MLFLOW_TRACKING_URI", "VECML_HOME", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")
environment = {key: value for key, value in os.environ.items() if key not in dropped}
environment |= {"NO_COLOR": "1", "COLUMNS": "110"}
environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def block(text):
    """Text as it was printed."""
    return Markdown("~~~text\n" + text.strip("\n").rstrip() + "\n~~~")


def vecml(*args, show=True):
    """Run `vecml ...` here, show what it prints (without links and folders of this machine), and return that."""
    done = subprocess.run(
        [sys.executable, "-m", "vecml", *args], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"vecml {' '.join(args)}: {done.stderr[-2000:]}")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("VML")]
    kept = [line for line in done.stdout.splitlines() if not line.startswith(("open it", "http://", "the page:"))]
    text = "\n".join([*warnings, *kept]).rstrip()
    text = re.sub(r"(?m)^(run +\S+) in .*(?:\n {12,}\S.*)*", r"\1", text)
    text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
    if show:
        display(block(text))
    return text


# %% [markdown] es
# ## 0. Qué máquina es esta
#
# Primero se mide el laboratorio entero, un experimento por idea. Cada experimento compara una forma llana con otras
# vectorizadas, comprueba que dan lo mismo y las mide por turnos en procesos nuevos. En modo rápido tarda unos minutos;
# completo, bastante más.

# %% [markdown] en
# ## 0. Whose machine this is
#
# First the whole lab is measured, one experiment an idea. Each holds a plain way to vectorised ones, checks that they
# give the same, and measures them in turns in fresh processes. In quick mode that takes some minutes; in full, a good
# deal longer.

# %%
printed = vecml("lab", "all", *(["--quick"] if QUICK else []), "--out", "lab", "--json", "lab.json", show=False)
lab = json.loads(Path("lab.json").read_text())["experiments"]

WORDS = {
    "es": {
        "titles": {
            "simd": "Instrucciones SIMD",
            "ufunc": "Ufuncs en C",
            "locality": "Localidad de memoria",
            "blas_threads": "BLAS multihilo",
            "broadcasting": "Broadcasting",
            "gil": "Menos GIL",
            "dtype": "Tipos ligeros",
            "gpu": "GPU y Tensor Cores",
        },
        "machine": "{cpu}, {cpus} CPU utilizables, {memory:.0f} GB de memoria; GPU: {gpus}. Python {python},"
        " numpy {numpy} ({blas}), torch {torch}. Medido el {day}{quick}.",
        "quick": ", en modo rápido",
        "none": "ninguna",
        "count": "Frente a la forma llana: {words}.",
        "range": " Cocientes de {low} a {high}.",
        "nothing": "No se midió nada.",
        "skipped": "Se omite {name}: {reason}.",
        "faster": "más rápida",
        "slower": "más lenta",
        "equivalent": "equivalente",
        "undetected": "sin diferencia detectada",
        "invalid": "no válida",
        "no verdict": "sin veredicto",
        "headings": ("idea", "la forma", "frente a", "dónde", "veces", "intervalo", "veredicto"),
        "places": {"below": "por debajo de 10", "within": "entre 10 y 100", "above": "por encima de 100"},
        "claim": "De {n} ideas, el mejor cociente queda por debajo de 10 en {below}, entre 10 y 100 en {within} y por"
        " encima de 100 en {above}; sin cifra, {none}. De las {cells} comparaciones con cifra, {cells_within} quedan"
        " entre 10 y 100 y en {cells_below_one} la forma llana no es la más lenta.",
        "between": "¿de 10 a 100?",
        "ladder": "De la primera forma a la mejor ({best}): {gain} veces.",
        "no gain": "Ningún peldaño dio un cociente.",
        "stopped": "Dejaron de rendir: {names}.",
        "all paid": "Ningún peldaño figura como uno que dejó de rendir.",
        "no stop": "Con un solo lanzamiento no hay veredictos: no puede decirse qué peldaño dejó de rendir.",
        "flips": "Filas con otra etiqueta que la referencia, en todos los peldaños: {flips}.",
        "kept": ("clave", "valor"),
        "params": "Parámetros",
        "metrics": "Métricas",
        "whole ladder": "Toda la escalera",
        "own function": "Una función propia",
    },
    "en": {
        "titles": {
            "simd": "SIMD instructions",
            "ufunc": "Ufuncs in C",
            "locality": "Locality of memory",
            "blas_threads": "BLAS on several threads",
            "broadcasting": "Broadcasting",
            "gil": "Less GIL",
            "dtype": "Lighter types",
            "gpu": "GPU and tensor cores",
        },
        "machine": "{cpu}, {cpus} usable CPUs, {memory:.0f} GB of memory; GPU: {gpus}. Python {python},"
        " numpy {numpy} ({blas}), torch {torch}. Measured on {day}{quick}.",
        "quick": ", in quick mode",
        "none": "none",
        "count": "Against the plain way: {words}.",
        "range": " Ratios from {low} to {high}.",
        "nothing": "Nothing was measured.",
        "skipped": "{name} is left out: {reason}.",
        "faster": "faster",
        "slower": "slower",
        "equivalent": "equivalent",
        "undetected": "no difference detected",
        "invalid": "invalid",
        "no verdict": "no verdict",
        "headings": ("idea", "the way", "against", "where", "times", "interval", "verdict"),
        "places": {"below": "below 10", "within": "between 10 and 100", "above": "above 100"},
        "claim": "Of {n} ideas the best ratio is below 10 in {below}, between 10 and 100 in {within} and above 100 in"
        " {above}; without a figure: {none}. Of the {cells} comparisons with a figure {cells_within} lie between 10 and"
        " 100, and in {cells_below_one} the plain way is not the slower one.",
        "between": "10 to 100?",
        "ladder": "From the first way to the best ({best}): {gain} times.",
        "no gain": "No rung gave a ratio.",
        "stopped": "These stopped paying: {names}.",
        "all paid": "No rung is marked as one that stopped paying.",
        "no stop": "One launch gives no verdicts: which rung stopped paying cannot be told.",
        "flips": "Rows with another label than the reference's, over all rungs: {flips}.",
        "kept": ("key", "value"),
        "params": "Params",
        "metrics": "Metrics",
        "whole ladder": "The whole ladder",
        "own function": "A function of one's own",
    },
}[LANGUAGE]

facts = lab["ufunc"]["environment"]
display(
    Markdown(
        WORDS["machine"].format(
            cpu=facts["cpu_model"],
            cpus=facts["usable_cpus"],
            memory=facts["memory_bytes"] / 1e9,
            gpus=", ".join(map(str, facts["gpus"])) or WORDS["none"],
            day=lab["ufunc"]["created"][:10],
            quick=WORDS["quick"] if QUICK else "",
            **{name: facts[name] for name in ("python", "numpy", "blas", "torch")},
        )
    )
)

# %% [markdown] es
# Dos funciones cortas muestran cada experimento: su dibujo, sus frases y la cuenta de sus veredictos.

# %% [markdown] en
# Two short functions show an experiment: its picture, its sentences, and the count of its verdicts.


# %%
def table(headings, rows):
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return Markdown("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


def times(ratio):
    """A ratio in three figures."""
    return "-" if ratio is None else f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def interval(verdict):
    """The interval of a ratio, where there is one."""
    known = verdict and verdict.get("ratio_low") is not None and verdict.get("ratio_high") is not None
    return f"{times(verdict['ratio_low'])}-{times(verdict['ratio_high'])}" if known else "-"


def compared(name):
    """The cells of an experiment that are held to the plain way."""
    return [cell for cell in lab[name]["cells"] if not cell["plain"]]


def ratios(name):
    """The valid ratios of an experiment."""
    return [cell["ratio"] for cell in compared(name) if cell["ratio"] is not None and cell["word"] != "invalid"]


def show(name):
    """Picture, sentences and verdicts of an experiment."""
    found = lab[name]
    picture = Path("lab") / f"{name}.png"
    if picture.exists():
        display(Image(data=picture.read_bytes()))
    text = "\n>\n".join(f"> {sentence}" for sentence in found["sentences"])
    words = [cell["word"] or "no verdict" for cell in compared(name)]
    counts = ", ".join(f"{WORDS[word]}: {words.count(word)}" for word in dict.fromkeys(words))
    told = WORDS["count"].format(words=counts) if words else WORDS["nothing"]
    if ratios(name):
        told += WORDS["range"].format(low=times(min(ratios(name))), high=times(max(ratios(name))))
    skipped = [WORDS["skipped"].format(name=way, reason=reason) for way, reason in found["skipped"].items()]
    display(Markdown("\n\n".join(filter(None, [text, told, *skipped]))))


# %% [markdown] es
# ## 1. Las ideas, una por una
#
# ### Instrucciones SIMD
#
# La idea: la CPU tiene instrucciones (SSE, AVX, NEON) que hacen la misma operación con 4, 8 o más valores a la vez.
# Aquí el mismo núcleo se compila para cada juego de instrucciones de la máquina, y a numpy se le impide elegir el suyo.

# %% [markdown] en
# ## 1. The ideas, one by one
#
# ### SIMD instructions
#
# The idea: the CPU has instructions (SSE, AVX, NEON) that do the same to 4, 8 or more values at once. Here the same
# kernel is compiled for each instruction set of the machine, and numpy's own choice of them is switched off.

# %%
show("simd")

# %% [markdown] es
# ### Operaciones en C: las ufuncs
#
# La idea: una ufunc recorre los valores en C y evita el intérprete en cada uno. Pero llamarla cuesta algo, así que con
# pocos valores puede ganar el bucle.

# %% [markdown] en
# ### Operations in C: ufuncs
#
# The idea: a ufunc walks over the values in C, without the interpreter for each of them. Calling it costs something,
# though, so over few values the loop may win.

# %%
show("ufunc")

# %% [markdown] es
# ### Localidad de memoria
#
# La idea: los valores contiguos llegan por las cachés de línea en línea; los dispersos cuestan una línea cada uno.

# %% [markdown] en
# ### Locality of memory
#
# The idea: contiguous values come through the caches a line at a time; scattered ones cost a line each.

# %%
show("locality")

# %% [markdown] es
# ### BLAS multihilo
#
# La idea: BLAS reparte los productos grandes entre los núcleos. Los pequeños pueden no merecerlo.

# %% [markdown] en
# ### BLAS on several threads
#
# The idea: BLAS divides large products between the cores. Small ones may not be worth it.

# %%
show("blas_threads")

# %% [markdown] es
# ### Broadcasting
#
# La idea: combinar arrays de formas distintas sin copiar antes el menor. Se compara con `tile` y `repeat`.

# %% [markdown] en
# ### Broadcasting
#
# The idea: combine arrays of different shapes without copying the smaller one first. It is held to `tile` and `repeat`.

# %%
show("broadcasting")

# %% [markdown] es
# ### Menos GIL
#
# La idea: lo que se hace en C suelta el cerrojo del intérprete, y entonces los hilos de Python avanzan a la vez. Se
# comparan uno y varios hilos, con Python puro y con núcleos en C.

# %% [markdown] en
# ### Less GIL
#
# The idea: what is done in C lets go of the interpreter's lock, and Python's threads then run side by side. One thread
# is held to several, over pure Python and over kernels in C.

# %%
show("gil")

# %% [markdown] es
# ### Tipos ligeros
#
# La idea: un tipo más ligero mueve menos bytes y mete más valores en un vector, a cambio de un error que se puede
# medir.

# %% [markdown] en
# ### Lighter types
#
# The idea: a lighter type moves fewer bytes and puts more values into a vector, for an error that can be measured.

# %%
show("dtype")

# %% [markdown] es
# ### GPU y Tensor Cores
#
# La idea: miles de núcleos, y unidades que multiplican matrices a precisión reducida (FP16, TF32). Donde no hay GPU, se
# dice.

# %% [markdown] en
# ### GPU and tensor cores
#
# The idea: thousands of cores, and units that multiply matrices at reduced precision (FP16, TF32). Where there is no
# GPU, that is said.

# %%
show("gpu")

# %% [markdown] es
# ### ¿De 10 a 100 veces?
#
# De cada idea, el mayor cociente medido: es la lectura más favorable a la afirmación. Cada cociente es de una idea
# sola, frente a su propia forma llana, que no siempre es un bucle de Python.

# %% [markdown] en
# ### 10 to 100 times?
#
# Of each idea the largest ratio that was measured, which is the reading kindest to the claim. Each ratio is of one idea
# alone, against its own plain way, which is not always a Python loop.


# %%
def largest(name):
    """The cell with the largest ratio, of those shown to be faster where there are any; None without a figure."""
    valid = [cell for cell in compared(name) if cell["ratio"] is not None and cell["word"] != "invalid"]
    faster = [cell for cell in valid if cell["word"] == "faster"]
    return max(faster or valid, key=lambda cell: cell["ratio"], default=None)


def place(ratio):
    """Where a ratio lies beside the claim of 10 to 100."""
    return "below" if ratio < 10 else "within" if ratio <= 100 else "above"


tops = {name: largest(name) for name in lab}
rows = []
for name, cell in tops.items():
    if cell is None:
        rows.append([WORDS["titles"][name], *["-"] * 7])
        continue
    plain = next(one["way"] for one in lab[name]["cells"] if one["plain"] and one["point"] == cell["point"])
    figures = [times(cell["ratio"]), interval(cell["verdict"]), WORDS[cell["word"] or "no verdict"]]
    between = WORDS["places"][place(cell["ratio"])]
    rows.append([WORDS["titles"][name], cell["way"], plain, cell["point"], *figures, between])
display(table([*WORDS["headings"], WORDS["between"]], rows))

places = [place(cell["ratio"]) for cell in tops.values() if cell]
every = [ratio for name in lab for ratio in ratios(name)]
display(
    Markdown(
        WORDS["claim"].format(
            n=len(tops),
            **{which: places.count(which) for which in ("below", "within", "above")},
            none=len(tops) - len(places),
            cells=len(every),
            cells_within=sum(place(ratio) == "within" for ratio in every),
            cells_below_one=sum(ratio <= 1 for ratio in every),
        )
    )
)

# %% [markdown] es
# ## 2. El pipeline: generar, dividir, entrenar, inferir y evaluar
#
# Datos sintéticos de diez características, una red de dos capas (Linear, ReLU, Linear) con 32 neuronas ocultas, Adam,
# cinco épocas, e inferencia vectorizada sobre la parte de prueba. `vecml run` sin opciones hace eso mismo, con semilla,
# y compara las etiquetas con una referencia en Python puro.

# %% [markdown] en
# ## 2. The pipeline: generate, split, train, infer, evaluate
#
# Synthetic data of ten features, a network of two layers (Linear, ReLU, Linear) with 32 hidden neurons, Adam, five
# epochs, and vectorised inference over the test part. `vecml run` without options does just that, seeded, and holds the
# labels to a reference in plain Python.

# %%
printed = vecml("run")

# %% [markdown] es
# Todo queda registrado en MLflow: con qué se ejecutó y qué salió.

# %% [markdown] en
# All of it is recorded in MLflow: what it ran with, and what came of it.

# %%
import mlflow

mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
runs = mlflow.search_runs(
    search_all_experiments=True, filter_string="tags.`vecml.kind` = 'pipeline'", output_format="list"
)
recorded = runs[0].data
display(Markdown(f"**{WORDS['params']}**"), table(WORDS["kept"], sorted(recorded.params.items())))
measured = [[key, f"{value:.4g}"] for key, value in sorted(recorded.metrics.items())]
display(Markdown(f"**{WORDS['metrics']}**"), table(WORDS["kept"], measured))

# %% [markdown] es
# ## 3. La escalera
#
# La misma inferencia, peldaño a peldaño: del bucle fila a fila a ufuncs, BLAS sobre el array entero, float32, bloques,
# columnas, hilos y un núcleo fusionado; y la GPU, donde la hay. Cada peldaño añade una idea al anterior.

# %% [markdown] en
# ## 3. The ladder
#
# The same inference rung by rung: from the row loop to ufuncs, BLAS over the whole array, float32, blocks, columns,
# threads and a fused kernel; and the GPU, where there is one. Each rung adds one idea to the one before.

# %%
printed = vecml("ladder", *(["--quick"] if QUICK else []), "--picture", "ladder.png", "--json", "ladder.json")
ladder = json.loads(Path("ladder.json").read_text())
display(Image(data=Path("ladder.png").read_bytes()))

stopped = [rung["name"] for rung in ladder["rungs"] if rung["stopped_paying"]]
if stopped:
    told = WORDS["stopped"].format(names=", ".join(stopped))
else:
    told = WORDS["no stop"] if QUICK else WORDS["all paid"]
gain = WORDS["ladder"].format(best=ladder["best"], gain=times(ladder["gain"])) if ladder["gain"] else WORDS["no gain"]
flips = WORDS["flips"].format(flips=sum(rung["flips"] for rung in ladder["rungs"]))
display(Markdown(f"{gain} {told} {flips}"))

# %% [markdown] es
# ## 4. Los cinco pasos, con una función propia
#
# Identificar el cuello de botella, reemplazarlo por ufuncs, validar los shapes, ajustar el dtype y medir antes y
# después. `vecml optimize` da los cinco. La función es esta, escrita como suele escribirse: la distancia de cada punto
# de un conjunto a cada punto de otro. Cámbiala por la tuya.

# %% [markdown] en
# ## 4. The five steps, on a function of one's own
#
# Find the bottleneck, replace it with ufuncs, validate the shapes, choose the dtype, measure before and after.
# `vecml optimize` takes all five. This is the function, written the way people write it: the distance of every point of
# one set to every point of another. Put your own in its place.

# %%
# %%writefile slow.py
import math

import numpy as np


def pairwise_distances(points, others):
    n, dims = points.shape
    m = others.shape[0]
    distances = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            total = 0.0
            for k in range(dims):
                gap = points[i, k] - others[j, k]
                total += gap * gap
            distances[i, j] = math.sqrt(total)
    return distances


def make_inputs():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)), rng.normal(size=(250, 3))


# %%
text = vecml(
    *("optimize", "slow.py:pairwise_distances", "--inputs", "slow.py:make_inputs", "--json", "optimize.json"),
    *(["--budget", "quick"] if QUICK else []),
    show=False,
)
answer, *steps = re.split(r"(?m)^(?=[1-5]\. )", text)
optimized = json.loads(Path("optimize.json").read_text())
display(block(answer))

# %% [markdown] es
# **Paso 1.** El cuello de botella: qué líneas cuestan, y cuánto podría ganarse como mucho (ley de Amdahl).

# %% [markdown] en
# **Step 1.** The bottleneck: which lines cost, and what could be gained at most (Amdahl's law).

# %%
display(block(steps[0]))

# %% [markdown] es
# **Paso 2.** El reemplazo: la forma reconocida en cada bucle y la reescritura en numpy, como diff. Si una forma no se
# reconoce, se dice.

# %% [markdown] en
# **Step 2.** The replacement: the form recognised in each loop, and the rewrite in numpy as a diff. A form that is not
# recognised is said to be so.

# %%
display(block(steps[1]))

# %% [markdown] es
# **Paso 3.** La validación: cada candidata se compara con la original, con tus entradas y con otras generadas (tamaños
# 0 y 1, shapes que casan por sorpresa, strides, dtypes).

# %% [markdown] en
# **Step 3.** The validation: each candidate is held to the original, over your inputs and over generated ones (sizes 0
# and 1, shapes that broadcast by surprise, strides, dtypes).

# %%
display(block(steps[2]))

# %% [markdown] es
# **Paso 4.** El dtype: el error que trae cada uno y los bytes que ahorra.

# %% [markdown] en
# **Step 4.** The dtype: the error that each brings, and the bytes that it saves.

# %%
display(block(steps[3]))

# %% [markdown] es
# **Paso 5.** La medida, antes y después.

# %% [markdown] en
# **Step 5.** The measurement, before and after.

# %%
display(block(steps[4]))

# %% [markdown] es
# ## 5. Qué llevarse
#
# Las ideas, lo que cada una dio aquí en su mejor caso, y el veredicto. Después, la escalera entera y la función propia.
# En otra máquina, u otro día, las cifras serán otras: por eso el cuaderno las calcula.

# %% [markdown] en
# ## 5. What to take away
#
# The ideas, what each gave here at its best, and the verdict. After them, the whole ladder and the function of one's
# own. On another machine, or another day, the figures will be others: that is why the notebook computes them.

# %%
rows = []
for name, cell in tops.items():
    verdict = WORDS["nothing"] if not compared(name) else WORDS["invalid"]
    figures = ["-", "-", verdict]
    if cell:
        figures = [times(cell["ratio"]), interval(cell["verdict"]), WORDS[cell["word"] or "no verdict"]]
    rows.append([WORDS["titles"][name], *figures])
best = next((rung for rung in ladder["rungs"] if rung["name"] == ladder["best"]), None)
first = best and best["first"]
word = first["verdict"] if first and first["verdict"] else "no verdict"
rows.append([f"{WORDS['whole ladder']} ({ladder['best']})", times(ladder["gain"]), interval(first), WORDS[word]])
for one in optimized["tried"]:
    gained = one["gain"] or {}
    limits = {"ratio_low": gained.get("low"), "ratio_high": gained.get("high")}
    right = "invalid" if one["fault"] else gained.get("verdict") or "no verdict"
    title = f"{WORDS['own function']} ({one['candidate']['name']})"
    rows.append([title, times(gained.get("ratio")), interval(limits), WORDS[right]])
headings = WORDS["headings"]
display(table([headings[0], *headings[4:]], rows))
