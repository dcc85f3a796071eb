"""A tracking server that is dead, mute or late is told within seconds; one that answers anything is let be."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.tracking import answering
from tasks.tracking.answering import check_answers
from tests.system.conftest import free_port
from vecml.errors import StoreError
from vecml.warnings import VecmlWarning


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PATIENCE_SECONDS", 1.2)
    monkeypatch.setattr(answering, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(answering, "PAUSE_SECONDS", 0.05)


@contextmanager
def server(answer: bytes | None, port: int = 0, late: float = 0.0) -> Iterator[int]:
    """Something that takes connections on a port, and gives this answer to each, or none."""
    ready, over = threading.Event(), threading.Event()
    listener = socket.socket()

    def serve() -> None:
        time.sleep(late)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        listener.settimeout(0.05)
        ready.set()
        taken = []
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            taken.append(connection)
            if answer is not None:
                connection.recv(4096)
                connection.sendall(answer)
                connection.close()
        for connection in (*taken, listener):
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        if not late:
            ready.wait(10)
        yield port or listener.getsockname()[1]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized", b"404 Not Found", b"500 Error"])
def test_any_answer_will_do(status: bytes) -> None:
    with server(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as port:
        check_answers(f"http://127.0.0.1:{port}")


def test_nothing_listens() -> None:
    port = free_port()
    with pytest.warns(
        VecmlWarning, match=rf"^VML018 the tracking server http://\*\*\*@127.0.0.1:{port}/ is waited for"
    ):
        with pytest.raises(StoreError) as caught:
            check_answers(f"http://user:secret@127.0.0.1:{port}/")
    assert caught.value.message == (
        f"the tracking server http://***@127.0.0.1:{port}/ does not answer: Connection refused"
    )


def test_one_that_is_mute() -> None:
    with server(None) as port, pytest.warns(VecmlWarning, match="^VML018 "):
        with pytest.raises(
            StoreError, match=f"the tracking server http://127.0.0.1:{port} does not answer: timed out$"
        ):
            check_answers(f"http://127.0.0.1:{port}")


def test_one_that_comes_late() -> None:
    port = free_port()
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", port, late=0.6), pytest.warns(VecmlWarning):
        check_answers(f"http://127.0.0.1:{port}")
