"""The engine `torch`, as the registry knows it: which layouts, precisions and devices it has, and why one is not here.

torch itself is imported when it is asked for the first time, so that the command line can name its engines at once.
"""

import warnings
from collections.abc import Mapping

from vecml.config import Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.libraries import missing
from vecml.errors import one_line
from vecml.model.network import AnyModel


class TorchEngine(Engine):
    """torch on a CPU, on CUDA and on Apple's MPS."""

    name = "torch"
    precisions = ("float32", "float64", "tf32", "bfloat16", "float16")
    devices: Mapping[str, tuple[Precision, ...]] = {
        "cpu": ("float32", "float64", "bfloat16"),
        "cuda": ("float32", "float64", "tf32", "bfloat16", "float16"),
        "mps": ("float32", "float16"),
    }
    own_models = True

    def unavailable(self, model: AnyModel, setting: Setting) -> str | None:  # noqa: ARG002 -- it runs every model
        return unsupported(self, setting) or missing_torch(setting)

    def load(self, model: AnyModel, setting: Setting) -> Loaded:
        """Copy the weights to the device in the precision that is computed in, and start the threads."""
        chain = model.chain
        if chain is None:
            from vecml.engines.torch_module import ModuleLoaded  # noqa: PLC0415 -- it imports torch

            return ModuleLoaded(model, setting, compiled=False)
        from vecml.engines.torch_blocks import TorchLoaded  # noqa: PLC0415 -- it imports torch

        return TorchLoaded(chain, setting)


def missing_torch(setting: Setting) -> str | None:
    """The reason why torch cannot run this setting here, in words for the user; None where it can."""
    if reason := missing("torch", None):
        return reason
    try:
        match setting.device:
            case "cuda":
                return _missing_on_cuda(setting)
            case "mps":
                return _missing_on_mps()
            case _:
                return _missing_on_cpu(setting)
    # Which errors torch has for what it was built without, or for a driver in trouble, is not documented: an
    # AssertionError where CUDA was left out, a RuntimeError from a driver.
    except Exception as error:  # noqa: BLE001
        return f"torch cannot use {setting.device}: {one_line(error)}"


def _missing_on_cpu(setting: Setting) -> str | None:
    import torch  # noqa: PLC0415

    if setting.precision != "bfloat16":
        return None
    try:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except AttributeError:
        return "this torch was built without oneDNN, which computes in bfloat16 on a CPU"
    return None if native else "this CPU has no bfloat16 arithmetic"


def _missing_on_cuda(setting: Setting) -> str | None:
    import torch  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is too old, say; there is no device then
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not 0 <= setting.device_index < count:
        return f"torch sees no CUDA device {setting.device_index}, of {count}"
    # tf32 and bfloat16 arithmetic came with compute capability 8.0
    newer = torch.cuda.get_device_capability(setting.device_index) >= (8, 0)
    if setting.precision in ("tf32", "bfloat16") and not newer:
        return f"this GPU has no {setting.precision} arithmetic"
    return None


def _missing_on_mps() -> str | None:
    import torch  # noqa: PLC0415

    return None if torch.backends.mps.is_available() else "torch sees no MPS device"
