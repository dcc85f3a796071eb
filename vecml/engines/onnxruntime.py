"""The engine `onnxruntime`, as the registry knows it; the library itself is imported when it is asked for."""

from collections.abc import Mapping

from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.libraries import missing
from vecml.model.network import AnyModel


class OnnxruntimeEngine(Engine):
    """ONNX Runtime on a CPU.

    Its CPU kernels compute float16 by way of float32, and there are none for bfloat16: neither is offered.
    """

    name = "onnxruntime"
    precisions = ("float32", "float64")
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}
    own_models = True
    extra = "onnx"

    def unavailable(self, model: AnyModel, setting: Setting) -> str | None:
        """Why it cannot run `model` under `setting` here, or None."""
        if reason := unsupported(self, setting):
            return reason
        libraries = ["onnxruntime", "onnx"]
        chain = model.chain
        if chain is None:
            if setting.precision == "float64":
                return "it runs modules of your own in float32"
            libraries += ["onnxscript", "torch"]
        elif setting.precision == "float64" and chain.architecture.hidden and chain.architecture.activation == "gelu":
            return "ONNX Runtime has no float64 kernel for Erf, which gelu needs"
        reasons = (missing(library, None if library == "torch" else self.extra) for library in libraries)
        return next((reason for reason in reasons if reason), None)

    def load(self, model: AnyModel, setting: Setting) -> Loaded:
        """Make the ONNX graph and its sessions, and start the threads.

        Raises EngineUnavailableError when a module of the user's own cannot be exported.
        """
        from vecml.engines.onnxruntime_blocks import load_onnxruntime  # noqa: PLC0415 -- it imports onnxruntime

        return load_onnxruntime(model, setting)
