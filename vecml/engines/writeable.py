"""The same memory under other flags, for libraries that ask for more than they need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class _Memory:
    """The memory of an array as NumPy's array interface tells it, said to be writeable."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array  # keeps the memory
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def as_writeable(x: NDArray[Any]) -> NDArray[Any]:
    """The memory of `x`, of any shape and dtype: Halide and OpenVINO refuse read-only arrays even to read from."""
    return x if x.flags.writeable else np.asarray(_Memory(x))
