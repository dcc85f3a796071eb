"""The engine `torch_compile`, as the registry knows it; torch itself is imported when it is asked for."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.torch import missing_torch
from vecml.errors import one_line
from vecml.foreign_text import clean
from vecml.leftovers import scratch_folder
from vecml.model.network import AnyModel

COMPILERS = ("g++", "clang++")
SMALL = b"#include <cmath>\ndouble small(double x) { return std::sqrt(x); }\n"  # a header, a compiler and a linker
TRIED_SECONDS = 30.0

_OF_LINKER = re.compile(r"(?:\S*/)?(?:[\w.-]*-)?(?:ld|mold|as|collect2)(?:\.\w+)?: ")
_CALLED_LINKER = re.compile(r"^collect2: |linker command failed")


class TorchCompileEngine(Engine):
    """torch.compile on a CPU, by a C++ compiler, and on CUDA, by Triton."""

    name = "torch_compile"
    precisions = ("float32", "float64", "tf32", "bfloat16", "float16")
    devices: Mapping[str, tuple[Precision, ...]] = {
        "cpu": ("float32", "float64", "bfloat16"),
        "cuda": ("float32", "float64", "tf32", "bfloat16", "float16"),
    }
    own_models = True

    def unavailable(self, model: AnyModel, setting: Setting) -> str | None:  # noqa: ARG002 -- it asks no model
        """Why it cannot run under `setting` here, or None; what cannot be compiled shows when it is loaded."""
        if reason := unsupported(self, setting) or missing_torch(setting):
            return reason
        return missing_compiler() if setting.device == "cpu" else None

    def load(self, model: AnyModel, setting: Setting) -> Loaded:
        """Compile the model and start the threads.

        Raises EngineUnavailableError when a module of the user's own cannot be compiled.
        """
        from vecml.engines.torch_module import ModuleLoaded  # noqa: PLC0415 -- it imports torch

        return ModuleLoaded(model, setting, compiled=True)


def missing_compiler() -> str | None:
    """Why torch.compile finds no C++ compiler here that works, in words for the user, or None."""
    chosen = os.environ.get("CXX")
    found = shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is not None:
        said = _fault(found)
        return None if said is None else f"torch.compile needs a C++ compiler, and {Path(found).name} fails: {said}"
    where = f"CXX is {chosen}, not on the PATH" if chosen else f"none of {', '.join(COMPILERS)} is on the PATH"
    return f"torch.compile needs a C++ compiler: {where}"


@functools.cache
def _fault(compiler: str) -> str | None:
    """What a C++ compiler says when it fails at a small library, the line of its error; None when it makes that."""
    with scratch_folder() as folder:
        command = [compiler, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(folder / "small.so")]
        try:
            done = subprocess.run(
                command,
                input=SMALL,
                capture_output=True,
                check=False,
                timeout=TRIED_SECONDS,
                env={**os.environ, "LC_ALL": "C"},  # compilers say "error" in many languages
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return one_line(error)
    if done.returncode == 0:
        return None
    said = _error_line(done.stderr.decode(errors="replace")) or _error_line(done.stdout.decode(errors="replace"))
    return clean(said)[:200] or f"it ended with {done.returncode}"


def _error_line(said: str) -> str:
    """The line that says the error in what a compiler has printed, which tells much round it; empty where it is empty.

    The linker's own words say more than those of what called it, which come after them.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip() and line.strip() != "compilation terminated."]
    errors = [line for line in lines if "error:" in line]
    of_linker = [line for line in lines if _OF_LINKER.match(line) and "warning:" not in line and line not in errors]
    own = [line for line in errors if not _CALLED_LINKER.search(line)]
    return next(iter([*own, *of_linker, *errors, *reversed(lines)]), "")
