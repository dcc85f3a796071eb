"""The engine `halide`, as the registry knows it. Halide itself is imported when it is asked for the first time."""

from collections.abc import Mapping

from vecml import hardware
from vecml.config import ISAS, Isa, Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import unsupported
from vecml.engines.libraries import missing
from vecml.model.network import Model

# what the system calls the instructions that each of them needs: all that Halide's target uses
_NEEDS: dict[str, tuple[str, ...]] = {
    "scalar": (),
    "sse41": ("sse4_1",),
    "avx2": ("avx", "avx2", "fma", "f16c"),
    "avx512": ("avx", "avx2", "fma", "f16c", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"),
    "neon": ("neon",),
    "native": (),
}


class HalideEngine(Engine):
    """The engine `halide`: a kernel compiled for the model's shape and this CPU; no toolchain is needed."""

    name = "halide"
    precisions = ("float32", "float64")
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}
    isas: tuple[Isa, ...] = ISAS  # type: ignore[assignment]
    extra = "halide"

    def unavailable(self, model: Model, setting: Setting) -> str | None:  # noqa: ARG002 -- it runs every chain
        return unsupported(self, setting) or missing_instructions(setting.isa) or missing("halide", self.extra)

    def load(self, model: Model, setting: Setting) -> Loaded:
        """Compile the kernel for the model's shape, pack its weights, start the threads."""
        from vecml.engines.halide_blocks import HalideLoaded  # noqa: PLC0415 -- it imports halide

        return HalideLoaded(model, setting)


def missing_instructions(isa: Isa) -> str | None:
    """Why this CPU cannot run code for `isa`, in words for the user, or None."""
    flags, have = hardware.flags(), hardware.instruction_sets()
    if all(name in flags for name in _NEEDS[isa]):
        return None
    return f"this CPU has no {isa} instructions; it has {', '.join(have) or 'none that are known'}"
