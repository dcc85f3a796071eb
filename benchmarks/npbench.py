"""`make bench-npbench`: `vecml optimize` on the kernels with loops of NPBench, beside NPBench's own Numba versions.

NPBench (github.com/spcl/npbench, BSD-3) is the field's collection of NumPy programs. It is cloned by name into
`.bench/npbench`, which git ignores, and none of it is copied from there. Each kernel runs at its preset S; its own
Numba versions are candidates in the same run.

    VECML_NPBENCH=jacobi_1d,nbody   these kernels only
    NPBENCH_FROM=FOLDER_OR_ADDRESS  where it is cloned from, if not GitHub
    NPBENCH_BUDGET=60s              of each kernel's measurement; `no`: whether candidates are right, and nothing timed
"""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecml.errors import VecmlError
from vecml.leftovers import scratch_folder
from vecml.optimize.observe import observe
from vecml.optimize.profile import profile
from vecml.optimize.rewrite import LoopReading
from vecml.optimize.steps import PROFILED, Request, Tried, _first_right, optimize
from vecml.optimize.target import find_place, source_of

SOURCE = "https://github.com/spcl/npbench"
ROOT = Path(".bench")
PRESET = "S"
OWN = ("numba_n", "numba_np", "numba_npr", "numba_o", "numba_op", "numba_opr")
MOST_WORDS = 110

INPUTS = '''"""The inputs of {name}, preset {preset}, as NPBench makes them."""
import importlib.util
import sys

import numpy as np

sys.path.insert(0, {folder!r})


def make_inputs():
    space = dict({parameters!r})
    if {init!r}:
        spec = importlib.util.spec_from_file_location("npbench_{name}", {file!r})
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        made = getattr(module, {init!r})(*[space[one] for one in {given!r}])
        made = made if isinstance(made, tuple) and len({made!r}) > 1 else (made,)
        space.update(zip({made!r}, made))
    return tuple(space[one] for one in {wanted!r})
'''


@dataclass(frozen=True)
class Kernel:
    """A kernel of NPBench.

    Attributes:
        name: of its module.
        target, inputs: the function and what makes its arguments, as `file.py:function`.
        own: NPBench's own Numba versions, likewise, by their ending.
    """

    name: str
    target: str
    inputs: str
    own: dict[str, str]


@dataclass(frozen=True)
class Row:
    """What came of a kernel.

    Attributes:
        name: the kernel's.
        seconds: of a call of the original; None where it is refused.
        tried: vecml's candidates, and NPBench's own.
        loops: what was made of each loop.
        left_out: what was not tried, and why.
        refused: why nothing was; None where something was.
    """

    name: str
    seconds: float | None
    tried: tuple[Tried, ...] = ()
    loops: tuple[LoopReading, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    refused: str | None = None


def fetched() -> Path:
    """The folder with NPBench, cloned where it is not there yet."""
    folder = ROOT / "npbench"
    if not folder.exists():
        source = os.environ.get("NPBENCH_FROM", SOURCE)
        ROOT.mkdir(exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", source, str(folder)], check=True)
    return folder


def kernels(folder: Path) -> Iterator[Kernel]:
    """NPBench's kernels with a loop, or those that VECML_NPBENCH names."""
    wanted = [one for one in os.environ.get("VECML_NPBENCH", "").split(",") if one]
    for file in sorted((folder / "bench_info").glob("*.json")):
        told = json.loads(file.read_text())["benchmark"]
        name = told["module_name"]
        path = folder / "npbench" / "benchmarks" / told["relative_path"] / f"{name}_numpy.py"
        if (name in wanted) if wanted else _has_loop(path.read_text()):
            yield _kernel(told, path, name)


def _has_loop(text: str) -> bool:
    return any(isinstance(part, ast.For | ast.While | ast.ListComp) for part in ast.walk(ast.parse(text)))


def _kernel(told: dict[str, Any], path: Path, name: str) -> Kernel:
    function, init = told["func_name"], told.get("init") or {}
    source = path.read_text()
    found = next(one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == function)
    names = [one.arg for one in found.args.args][: len(told["input_args"])]
    inputs = ROOT / "npbench-inputs" / f"{name}.py"
    inputs.parent.mkdir(parents=True, exist_ok=True)
    text = INPUTS.format(
        name=name,
        preset=PRESET,
        folder=str(path.parent.resolve()),
        parameters=told["parameters"][PRESET],
        init=init.get("func_name", ""),
        file=str((path.parent / f"{name}.py").resolve()),
        given=init.get("input_args", []),
        made=tuple(init.get("output_args", [])),
        wanted=told["input_args"] if len(names) == len(told["input_args"]) else names,
    )
    inputs.write_text(text)
    own = {}
    for ending in OWN:
        version = path.with_name(f"{name}_{ending}.py")
        if version.exists() and f"def {function}(" in version.read_text():
            own[ending] = f"{version}:{function}"
    return Kernel(name, f"{path}:{function}", f"{inputs}:make_inputs", own)


def row(kernel: Kernel, budget: str) -> Row:
    """Take the five steps over a kernel, or the first three where the budget is `no`."""
    request = Request(kernel.target, kernel.inputs, tuple(kernel.own.values()), budget=budget)
    try:
        if budget == "no":
            return _untimed(kernel, request)
        found = optimize(request)
    except VecmlError as error:
        return Row(kernel.name, None, refused=error.message)
    return Row(kernel.name, found.observation.seconds, found.tried, found.loops, tuple(found.left_out.items()))


def _untimed(kernel: Kernel, request: Request) -> Row:
    from vecml.optimize.kinds import observe_kinds
    from vecml.optimize.steps import suggest

    target, inputs = find_place(kernel.target, "TARGET"), find_place(kernel.inputs, "--inputs")
    seen = observe(target, inputs, request.rtol, request.limit_seconds)
    limit = max(request.limit_seconds, PROFILED * seen.seconds)
    source = source_of(target)
    with scratch_folder() as scratch:
        kinds = observe_kinds(target, inputs, limit)
        made = suggest(target, source, seen, profile(target, source, inputs, limit), scratch, kinds)
        tried = tuple(_first_right(one, target, inputs, request) for one in made.candidates)
    return Row(kernel.name, seen.seconds, tried, made.loops, tuple(made.left_out.items()))


def table(rows: list[Row], budget: str) -> str:
    """The rows as a Markdown table, and a sentence with their counts."""
    lines = ["| kernel | a call | right, and how many times as fast | NPBench's own Numba | what stands in the way |"]
    lines.append("|---|---|---|---|---|")
    for one in rows:
        ours = [tried for tried in one.tried if tried.candidate.kind != "own"]
        theirs = [tried for tried in one.tried if tried.candidate.kind == "own"]
        time = "" if one.seconds is None else f"{one.seconds:.3g} s"
        lines.append(f"| {one.name} | {time} | {_right(ours)} | {_right(theirs)} | {_losses(one, ours)} |")
    right = sum(any(tried.fault is None and tried.candidate.kind != "own" for tried in one.tried) for one in rows)
    numpy = sum(any(tried.fault is None and tried.candidate.kind == "rewrite" for tried in one.tried) for one in rows)
    lines += ["", f"Of {len(rows)} kernels, {right} have a right candidate of vecml's, {numpy} a right NumPy rewrite."]
    if budget != "no":
        lines.append(_reached(rows))
    return "\n".join(lines)


def _reached(rows: list[Row]) -> str:
    best = {one.name: (_best(one, own=False), _best(one, own=True)) for one in rows}
    fast = [ours for ours, _ in best.values() if ours is not None]
    shares = sorted(ours / theirs for ours, theirs in best.values() if ours is not None and theirs)
    middle = f"{shares[len(shares) // 2]:.2f}" if shares else "unknown"
    twice, ten = sum(one >= 2 for one in fast), sum(one >= 10 for one in fast)
    counts = f"Faster with a verdict: {twice} 2 times, {ten} 10 times."
    return f"{counts} As a share of NPBench's best Numba version: {middle} in the median."


def _best(one: Row, *, own: bool) -> float | None:
    gains = [tried.gain for tried in one.tried if (tried.candidate.kind == "own") == own and tried.fault is None]
    return max((gain.ratio for gain in gains if gain and gain.ratio and gain.verdict in ("faster", None)), default=None)


def _right(tried: list[Tried]) -> str:
    said = []
    for one in tried:
        if one.fault is None:
            name = one.candidate.name.rpartition("/")[2].partition(":")[0].removesuffix(".py")
            gain = one.gain
            figure = "" if gain is None or gain.ratio is None else f" {gain.ratio:.3g} ({gain.verdict or 'no verdict'})"
            said.append(name + figure)
    return ", ".join(said) or "none"


def _losses(one: Row, ours: list[Tried]) -> str:
    if one.refused:
        return _short(one.refused)
    said = [
        f"{tried.candidate.name}: {tried.outcome}: {_short(tried.fault)}" for tried in ours if tried.fault is not None
    ]
    said += [f"{name}: {_short(reason)}" for name, reason in one.left_out]
    said += [f"line {loop.line}: {_short(loop.reason)}" for loop in one.loops if loop.form is None]
    return "; ".join(said)


def _short(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= MOST_WORDS else f"{text[: MOST_WORDS - 3]}..."


def main() -> None:
    """Print the table; what is done is said on standard error."""
    budget = os.environ.get("NPBENCH_BUDGET", "60s")
    rows = []
    for kernel in kernels(fetched()):
        print(kernel.name, file=sys.stderr, flush=True)
        rows.append(row(kernel, budget))
        print(_losses(rows[-1], list(rows[-1].tried)), file=sys.stderr, flush=True)
    print(table(rows, budget))


if __name__ == "__main__":
    main()
