"""The rungs of the ladder: which rungs there are, how each of them runs, and how many bytes each reads and writes.

Two rungs are none of vecml's engines, because nobody would choose them: ufuncs without BLAS, and all rows at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.work import ROW_LOOP_SHARE, EngineWork
from vecml.config import Activation, Layout, Precision, Setting
from vecml.device import available_devices, usable_cpus
from vecml.engines.base import Engine, Loaded
from vecml.engines.blas import one_blas_thread
from vecml.engines.blocks import choose_block_rows
from vecml.engines.registry import get_engine
from vecml.engines.row_loop import affordable_rows
from vecml.engines.weights import Linear, logit_layers
from vecml.model.network import Architecture, Layer, Model, OwnArchitecture

Array = NDArray[Any]

ROW_LOOP, UFUNCS, BLAS, FLOAT32 = "row loop", "ufuncs", "whole-array BLAS", "float32"
BLOCKS, COLUMNS, THREADS, FUSED, GPU = "blocks", "columns", "threads", "fused", "GPU"
NAMES = (ROW_LOOP, UFUNCS, BLAS, FLOAT32, BLOCKS, COLUMNS, THREADS, FUSED, GPU)

OPENER = "vecml.lab.rungs:RungWork"
FLOAT64_ROWS = "rows64"  # the file of the features by row in float64, which the first rungs are handed
UFUNC_ROWS, WHOLE_ARRAY_ROWS = 50_000, 400_000  # of 10-32-2; fewer of a larger network
MOST_ROWS, FEWEST_ROWS = 1_000_000, 20_000
MULTIPLY_ADDS = 400_000_000  # of a call of the quick rungs
MULTIPLY_ADDS_10_32_2 = 384
FLOAT_OBJECT_BYTES = 24 + 8  # a Python float, and the pointer to it


@dataclass(frozen=True)
class Rung:
    """One way of running the model's inference, one idea faster than the one before.

    Attributes:
        name: one of `NAMES`.
        idea: what is new on this rung, in a few words.
        setting: engine, precision, layout and threads; the engines `ufuncs` and `whole_array` are the ladder's own.
        file: the input that it reads: `rows64`, `rows` or `columns`.
        rows: number of rows that a call labels; it is smaller on the slow rungs.
    """

    name: str
    idea: str
    setting: Setting
    file: str
    rows: int


def choose_rows(architecture: Architecture | OwnArchitecture) -> int:
    """Choose the number of rows that a call of the fast rungs labels: a million for 10-32-2, fewer for larger nets."""
    return min(MOST_ROWS, max(FEWEST_ROWS, MULTIPLY_ADDS // architecture.multiply_adds))


def choose_rungs(architecture: Architecture, rows: int) -> tuple[list[Rung], dict[str, str]]:
    """List the rungs that this machine can run, in order; and for each other rung, by its name, why it cannot.

    Args:
        architecture: the shape of the model.
        rows: number of rows of the input.
    """
    cpus = usable_cpus()
    slow = min(rows, max(1, affordable_rows(architecture) // ROW_LOOP_SHARE))
    larger = max(1.0, architecture.multiply_adds / MULTIPLY_ADDS_10_32_2)
    ufunc_rows = min(rows, max(slow, int(UFUNC_ROWS / larger)))
    whole_rows = min(rows, max(FEWEST_ROWS, int(WHOLE_ARRAY_ROWS / larger)))
    skipped: dict[str, str] = {}

    def rung(name: str, idea: str, file: str, count: int, **setting: Any) -> Rung:
        layout: Layout = "columns" if file == "columns" else "rows"
        return Rung(name, idea, Setting(layout=layout, **setting), file, count)

    found = [
        rung(ROW_LOOP, "plain Python, a row at a time", FLOAT64_ROWS, slow, engine="row_loop", precision="float64"),
        rung(UFUNCS, "a neuron at a time, over blocks of rows", FLOAT64_ROWS, ufunc_rows, engine="ufuncs",
             precision="float64"),
        rung(BLAS, "a matrix product a layer, over all rows", FLOAT64_ROWS, whole_rows, engine="whole_array",
             precision="float64"),
        rung(FLOAT32, "half the bytes, twice the lanes", "rows", whole_rows, engine="whole_array"),
        rung(BLOCKS, "blocks of rows that stay in the cache", "rows", rows, engine="numpy"),
        rung(COLUMNS, "features by column", "columns", rows, engine="numpy"),
    ]  # fmt: skip
    if cpus > 1:
        found.append(rung(THREADS, f"{cpus} threads", "columns", rows, engine="numpy", threads=cpus))
    else:
        skipped[THREADS] = "this machine offers one CPU"
    reasons = []
    for engine in ("halide", "torch_compile"):
        fused = rung(FUSED, f"one compiled kernel ({engine})", "columns", rows, engine=engine, threads=cpus)
        reason = get_engine(engine).unavailable(_empty(architecture), fused.setting)
        if reason is None:
            found.append(fused)
            break
        reasons.append(f"{engine}: {reason}")
    else:
        skipped[FUSED] = "; ".join(reasons)
    if "cuda" in available_devices():
        found.append(rung(GPU, "the device, copies included", "columns", rows, engine="torch", device="cuda"))
    else:
        skipped[GPU] = "there is no CUDA device that torch sees"
    return found, skipped


def memory_bytes(rung: Rung, widths: tuple[int, ...]) -> int:
    """Bytes of a row that go to and from main memory: of each array that no cache can hold, as often as it is used.

    With v bytes a value, F features, and a layer of i inputs and o outputs: every rung reads v F and writes the label's
    8. All rows at once also move the intermediates: the product writes v o, the bias reads and writes v o, the
    activation of a hidden layer reads and writes v o, and whoever comes next (a layer, or the argmax) reads v o. Of the
    blocks, and of a fused kernel, those stay in the caches.

    Args:
        rung: whose.
        widths: of the network's layers.
    """
    value = _value_bytes(rung)
    moved = value * widths[0] + 8
    if rung.setting.engine != "whole_array":
        return moved
    last = len(widths) - 1
    passes = [4 if index == last else 6 for index in range(1, len(widths))]
    return moved + value * sum(times * width for times, width in zip(passes, widths[1:], strict=True))


def touched_bytes(rung: Rung, widths: tuple[int, ...]) -> int:
    """Bytes of a row that the operations read and write, whether they are in a cache or in main memory.

    With v bytes a value and a layer of i inputs and o outputs: the row loop touches two Python floats for each multiply
    -add and makes one (32 bytes each with its pointer). A ufunc neuron reads i, writes i products, reads them again and
    writes their sum, adds its bias (2) and, hidden, is activated (2): v (3 i + 5) o. A matrix product reads i and
    writes o, the bias takes 2 o, an activation 2 o: v (i + 5 o). A fused kernel holds all of it in registers and the
    first cache: v (i + 2 o).
    """
    value, total = _value_bytes(rung), _value_bytes(rung) * widths[0] + 8
    for inputs, outputs in pairwise(widths):
        match rung.setting.engine:
            case "row_loop":
                total += 3 * FLOAT_OBJECT_BYTES * inputs * outputs
            case "ufuncs":
                total += value * (3 * inputs + 5) * outputs
            case "halide" | "torch_compile":
                total += value * (inputs + 2 * outputs)
            case _:
                total += value * (inputs + 5 * outputs)
    return total


def _value_bytes(rung: Rung) -> int:
    return 8 if rung.setting.precision == "float64" else 4


def _empty(architecture: Architecture) -> Model:
    layers = tuple(
        Layer(np.zeros((o, i), np.float32), np.zeros(o, np.float32)) for i, o in pairwise(architecture.widths)
    )
    return Model(architecture, layers, tuple(map(str, range(architecture.n_classes))))


class LadderEngine(Engine):
    """The engine `ufuncs` or `whole_array`, which only the ladder has; see `vecml.engines.base.Engine`."""

    layouts = ("rows",)
    precisions = ("float32", "float64")
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}

    def __init__(self, name: str) -> None:
        self.name = name

    def unavailable(self, model: Model, setting: Setting) -> None: ...

    def load(self, model: Model, setting: Setting) -> "LadderLoaded":
        return LadderLoaded(model, setting)


class LadderLoaded(Loaded):
    """A model that computes each layer with ufuncs alone, or with one matrix product for all rows (`whole_array`)."""

    def __init__(self, model: Model, setting: Setting) -> None:
        self._activation = model.architecture.activation
        self._dtype = np.dtype(setting.precision)
        self._layers = [(w.astype(self._dtype), b.astype(self._dtype)) for w, b in logit_layers(model)]
        self._ufuncs = setting.engine == "ufuncs"
        self._block = choose_block_rows(model.architecture, self._dtype.itemsize) if self._ufuncs else 0
        self._release = one_blas_thread().hold()

    def labels(self, x: Array, out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of x (N, F) into out_N."""
        size = self._block or max(1, len(x))
        for start in range(0, len(x), size):
            z_NC = self.logits(x[start : start + size])
            out_N[start : start + size] = z_NC.argmax(axis=1)

    def logits(self, x: Array) -> Array:
        """Compute the logits z_NC of x (N, F) in the setting's precision."""
        value = x if x.dtype == self._dtype else x.astype(self._dtype)
        layer = by_ufuncs if self._ufuncs else by_product
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for index, linear in enumerate(self._layers):
                value = layer(value, linear)
                if index + 1 < len(self._layers):
                    value = activated(value, self._activation)
        return value

    def close(self) -> None:
        self._release()


def by_ufuncs(x_NI: Array, linear: Linear) -> Array:
    """Compute z_NO of a layer without BLAS: np.multiply, np.add.reduce along the row and np.add for each neuron."""
    weight_OI, bias_O = linear
    z_NO = np.empty((len(x_NI), len(weight_OI)), x_NI.dtype)
    product_NI = np.empty_like(x_NI)
    for unit, weight_I in enumerate(weight_OI):
        np.multiply(x_NI, weight_I, out=product_NI)
        np.add.reduce(product_NI, axis=1, out=z_NO[:, unit])
        np.add(z_NO[:, unit], bias_O[unit], out=z_NO[:, unit])
    return z_NO


def by_product(x_NI: Array, linear: Linear) -> Array:
    """Compute z_NO of a layer as it is usually written, x @ W.T + b; each step makes a new array."""
    weight_OI, bias_O = linear
    z_NO: Array = x_NI @ weight_OI.T + bias_O
    return z_NO


def activated(value: Array, activation: Activation) -> Array:
    """Apply the activation to every value; return a new array of the same shape and dtype."""
    result: Array
    match activation:
        case "relu":
            result = np.maximum(value, value.dtype.type(0))
        case "tanh":
            result = np.tanh(value)
        case "sigmoid":
            result = 1 / (1 + np.exp(-value))
        case "gelu":
            from scipy.special import erf  # noqa: PLC0415 -- only gelu needs SciPy

            result = value * (0.5 * (1 + erf(value * value.dtype.type(np.sqrt(0.5)))))
    return result


class RungWork(EngineWork):
    """The work of a rung: an engine labels the first rows of the rung's input.

    The payload has the keys of `EngineWork`, `file` and `rows`.
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        engine = payload["setting"]["engine"]
        super().__init__(payload, LadderEngine(engine) if engine in ("ufuncs", "whole_array") else None)
        self._x = np.asarray(np.load(Path(payload["folder"]) / f"{payload['file']}.npy", mmap_mode="c"))
        self._take(payload["rows"])
        self.share = 1.0  # because `per_row` divides the rungs' times by their rows

    def facts(self) -> dict[str, Any]:
        return {"rung_rows": self._n_rows}
