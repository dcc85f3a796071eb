"""The engine `torch`, as the registry knows it: which layouts, precisions and devices it has, and why one is not here.

torch itself is imported when it is asked for the first time, so that the command line can name its engines at once.
"""

import warnings

from vecml.config import Layout, Precision, Setting
from vecml.engines.base import Loaded
from vecml.engines.checks import unsupported
from vecml.model.network import Model

ON_DEVICE: dict[str, tuple[Precision, ...]] = {
    "cpu": ("float32", "float64", "bfloat16"),
    "cuda": ("float32", "float64", "tf32", "bfloat16", "float16"),
    "mps": ("float32", "float16"),
}


class TorchEngine:
    """torch on a CPU, on CUDA and on Apple's MPS."""

    name = "torch"
    layouts: tuple[Layout, ...] = ("columns", "rows")
    precisions: tuple[Precision, ...] = ("float32", "float64", "tf32", "bfloat16", "float16")
    devices: tuple[str, ...] = tuple(ON_DEVICE)

    def unavailable(self, model: Model, setting: Setting) -> str | None:  # noqa: ARG002 -- it runs every model
        """Why it cannot run under `setting` here, or None."""
        reason = unsupported(self, setting)
        if reason is None and setting.precision not in ON_DEVICE[setting.device]:
            known = ", ".join(ON_DEVICE[setting.device])
            reason = f"on {setting.device} it computes in {known}, not in {setting.precision}"
        return reason or _missing(setting)

    def load(self, model: Model, setting: Setting) -> Loaded:
        """Copy the weights to the device in the precision that is computed in, and start the threads."""
        from vecml.engines.torch_blocks import TorchLoaded  # noqa: PLC0415 -- it imports torch

        return TorchLoaded(model, setting)


def _missing(setting: Setting) -> str | None:
    """What this machine lacks for `setting`, in words for the user, or None."""
    try:
        import torch  # noqa: PLC0415 -- a second or two

        match setting.device:
            case "cuda":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a driver that is too old, say; there is no device then
                    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
                if setting.device_index >= count:
                    return f"torch sees no CUDA device {setting.device_index}, of {count}"
                # tf32 and bfloat16 arithmetic came with compute capability 8.0
                newer = torch.cuda.get_device_capability(setting.device_index) >= (8, 0)
                if setting.precision in ("tf32", "bfloat16") and not newer:
                    return f"this GPU has no {setting.precision} arithmetic"
            case "mps":
                if not torch.backends.mps.is_available():
                    return "torch sees no MPS device"
            case _:
                if setting.precision == "bfloat16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
                    return "this CPU has no bfloat16 arithmetic"
    except (ImportError, OSError) as error:
        return f"torch cannot be imported: {error}"
    except RuntimeError as error:
        return f"torch cannot use {setting.device}: {error}"
    return None
