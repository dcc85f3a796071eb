"""What to do when a device's memory runs out: smaller blocks, said so, and on."""

from collections.abc import Callable

import torch

from vecml.engines.blocks import Blocks
from vecml.errors import EngineUnavailableError
from vecml.warnings import warn


def ran_out(error: BaseException) -> bool:
    """Whether `error` says that a device, or the pinned memory beside it, is full.

    torch has a type of its own for CUDA's; for MPS and for pinned memory it is a RuntimeError that says so.
    """
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def halving(blocks: Blocks, device: torch.device, attempt: Callable[[], None], restart: Callable[[], None]) -> None:
    """Call `attempt`; whenever the device's memory runs out, halve the block, call `restart` and try again.

    Args:
        blocks: whose `block_rows` is halved.
        device: named in what is said.
        attempt: what needs the memory; a further call starts anew.
        restart: frees what the larger blocks held.

    Gives the warning VML014 each time. Raises EngineUnavailableError when not even a block of one row fits, and what
    `attempt` raises for any other reason.
    """
    while True:
        try:
            attempt()
        except RuntimeError as error:
            if not ran_out(error):
                raise
            before = blocks.block_rows
        else:
            return
        # Here the error is gone, and with it the frames that held on to the device's memory.
        blocks.block_rows = before // 2
        restart()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if before == 1:
            raise EngineUnavailableError(
                f"--device {device.type}: its memory does not even hold the model and a block of one row",
                "end what else uses it, or take --device cpu",
            )
        warn(
            "VML014",
            f"the memory of {device} ran out: blocks of {before // 2:,} rows instead of {before:,};"
            f" --block-rows {before // 2} starts with them",
        )
