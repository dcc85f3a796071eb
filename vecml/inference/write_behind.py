"""A thread that writes what is handed to it, so that writing and computing overlap."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Any

WRITE_BEHIND = 2  # blocks
_ENDING = 0.1  # seconds between looks at whether the writer still writes
_END = object()


@contextmanager
def written_behind(work: Callable[[Iterator[Any]], None]) -> Iterator[Callable[[Any], None]]:
    """Yield a function that hands an item to a thread, which runs `work` over all items; after the `with` it is done.

    The function waits while as many items as `WRITE_BEHIND` are waiting. What `work` raises is raised by the function
    or at the end of the `with` block. Where the block itself raises, what waits is given up and the iterator ends.
    """
    queue: Queue[Any] = Queue(WRITE_BEHIND)
    failed: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            work(iter(queue.get, _END))
        except BaseException as error:  # noqa: BLE001 -- it is raised again by whoever hands over items
            failed.append(error)
            over.set()

    thread = threading.Thread(target=run, name="vecml-write", daemon=True)
    thread.start()

    def put(item: Any) -> None:
        while not over.is_set():
            with suppress(Full):
                queue.put(item, timeout=_ENDING)
                return

    def write(item: Any) -> None:
        put(item)
        if failed:
            raise failed[0]

    try:
        yield write
    except BaseException:
        with suppress(Empty):  # what waits is not worth writing any more
            while True:
                queue.get_nowait()
        raise
    finally:
        put(_END)
        thread.join()
    if failed:
        raise failed[0]
