"""The engine `torch_compile`, as the registry knows it; torch itself is imported when it is asked for."""

import os
import shutil
from collections.abc import Mapping

from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.torch import missing_torch
from vecml.model.network import AnyModel

COMPILERS = ("g++", "clang++")


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
    """Why torch.compile finds no C++ compiler here, in words for the user, or None."""
    chosen = os.environ.get("CXX")
    if chosen:
        return None if shutil.which(chosen) else f"torch.compile needs a C++ compiler: CXX is {chosen}, not on the PATH"
    if any(map(shutil.which, COMPILERS)):
        return None
    return f"torch.compile needs a C++ compiler: none of {', '.join(COMPILERS)} is on the PATH"
