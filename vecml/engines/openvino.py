"""The engine `openvino`, as the registry knows it; the library itself is imported when it is asked for.

Importing openvino as it is sends telemetry when the package openvino-telemetry is beside it. vecml sends none, so it is
imported as if that package were not there, for which openvino has a stand-in.
"""

import sys
import threading
from collections.abc import Mapping
from typing import cast

from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.libraries import missing
from vecml.errors import one_line
from vecml.model.network import AnyModel

_TELEMETRY = "openvino_telemetry"
_ABSENT = object()
_importing = threading.Lock()


class OpenvinoEngine(Engine):
    """OpenVINO on a CPU, where it computes float64 as float32: that is not offered."""

    name = "openvino"
    precisions = ("float32", "bfloat16")
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}
    own_models = True
    extra = "openvino"

    def unavailable(self, model: AnyModel, setting: Setting) -> str | None:
        """Why it cannot run `model` under `setting` here, or None."""
        if reason := unsupported(self, setting) or missing_openvino(self.extra):
            return reason
        if model.chain is None:
            for library, extra in (("torch", None), ("onnx", "onnx"), ("onnxscript", "onnx")):
                if reason := missing(library, extra):
                    return reason
        return _missing_bfloat16() if setting.precision == "bfloat16" else None

    def load(self, model: AnyModel, setting: Setting) -> Loaded:
        """Compile the graph for each thread, and start the threads.

        Raises EngineUnavailableError when a module of the user's own cannot be exported.
        """
        missing_openvino(self.extra)  # imports it in the one way that sends nothing
        from vecml.engines.openvino_blocks import load_openvino  # noqa: PLC0415 -- it imports openvino

        return load_openvino(model, setting)


def missing_openvino(extra: str | None) -> str | None:
    """Why openvino cannot be used here, in words for the user, or None; imports it, without its telemetry."""
    modules = cast("dict[str, object]", sys.modules)
    with _importing:  # of two threads the second one would let the package in
        if "openvino" in modules:
            return missing("openvino", extra)
        before = modules.get(_TELEMETRY, _ABSENT)
        modules[_TELEMETRY] = None  # importing it fails as if it were not installed
        try:
            return missing("openvino", extra)
        finally:
            if before is _ABSENT:
                modules.pop(_TELEMETRY, None)
            else:
                modules[_TELEMETRY] = before


def _missing_bfloat16() -> str | None:
    import openvino  # noqa: PLC0415

    try:
        capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        return f"openvino cannot use the CPU: {one_line(error)}"
    return None if "BF16" in capabilities else "this CPU has no bfloat16 arithmetic"
