"""Tensors of torch as NumPy arrays, without importing torch: whoever has one has imported it; and others' devices."""

import sys
from typing import Any

from numpy.typing import NDArray

from vecml.errors import DataError


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def from_device(x: Any) -> str | None:
    """An expression of `x` that copies an array of CuPy's or Numba's kind from its device; None for anything else."""
    if hasattr(x, "__cuda_array_interface__") and not is_tensor(x):
        return next((f"x.{name}()" for name in ("get", "copy_to_host") if callable(getattr(x, name, None))), None)
    return None


def plain_array(x: Any, what: str) -> NDArray[Any]:
    """The values of a tensor of any shape; of a floating dtype other than float32 and float64, as float32.

    Args:
        x: a tensor that `is_tensor`; it may require gradients, be a conjugate or negative view, or lie on a device.
        what: what to call it in errors.

    Raises:
        DataError: it is sparse, nested, masked, quantised or has no values; the hint is an expression of `x`.
    """
    torch = sys.modules["torch"]
    kind = str(x.dtype).removeprefix("torch.")
    if type(x).__module__.startswith("torch.masked"):
        raise DataError(f"{what} is a masked tensor, and its mask would be lost", "x.to_tensor(0.0)")
    if x.is_nested:
        raise DataError(f"{what} is a nested tensor, whose rows differ", "torch.nested.to_padded_tensor(x, 0.0)")
    if x.layout != torch.strided:
        raise DataError(f"{what} is a {str(x.layout).removeprefix('torch.')} tensor, not a dense one", "x.to_dense()")
    if x.is_meta:
        raise DataError(f"{what} is a tensor on device meta, which has no values", "give one with values")
    if x.is_quantized:
        raise DataError(f"{what} is a quantised tensor ({kind}), not one of numbers", "x.dequantize()")
    plain = x.detach().resolve_conj().resolve_neg().cpu()
    if plain.dtype.is_floating_point and plain.dtype not in (torch.float32, torch.float64):
        plain = plain.float()  # exact: each of these has fewer digits
    array: NDArray[Any] = plain.numpy()
    return array
