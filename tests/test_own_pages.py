"""Who is let in: programs of this machine, and the server's own pages; in HTTP and in WebSockets alike."""

import asyncio
from typing import Any

import pytest

from vecml.own_pages import PAGE_POLICY, OwnPagesOnly, is_own


def headers(host: str | None, origin: str | None) -> list[tuple[bytes, bytes]]:
    pairs = ((b"host", host), (b"origin", origin))
    return [(name, value.encode("latin-1")) for name, value in pairs if value is not None]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:4200", None),
        ("localhost:4200", None),
        ("[::1]:4200", None),
        ("127.0.0.1", None),
        ("127.0.0.1:4200", "http://127.0.0.1:4200"),
        ("127.0.0.1:4200", "http://localhost:4200"),
        ("localhost:9999", "http://localhost:9999"),  # through a tunnel from another port
        ("LOCALHOST:4200", "http://Localhost:4200"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_own(host: str, origin: str | None) -> None:
    assert is_own(headers(host, origin))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (None, None),
        ("evil.example", None),
        ("evil.example:4200", "http://evil.example:4200"),
        ("127.0.0.1.evil.example:4200", None),
        ("localhost@evil.example:4200", None),
        ("127.0.0.1:4200/x", None),
        ("127.0.0.1:99999", None),
        ("127.0.0.1:x", None),
        ("", None),
        ("127.0.0.1:4200", "http://evil.example"),
        ("127.0.0.1:4200", "http://evil.example:4200"),
        ("127.0.0.1:4200", "http://127.0.0.1:3000"),
        ("127.0.0.1:4200", "http://127.0.0.1"),
        ("127.0.0.1:4200", "https://127.0.0.1:4200"),
        ("127.0.0.1:4200", "http://127.0.0.1:4200@evil.example"),
        ("127.0.0.1:4200", "http://user@127.0.0.1:4200"),
        ("127.0.0.1:4200", "null"),
        ("127.0.0.1:4200", ""),
        ("127.0.0.1:4200", "file://"),
    ],
)
def test_foreign(host: str | None, origin: str | None) -> None:
    assert not is_own(headers(host, origin))


@pytest.mark.parametrize(
    ("method", "site", "own"),
    [
        ("POST", "cross-site", False),
        ("DELETE", "same-site", False),  # another port of this machine
        ("PATCH", "", False),
        ("POST", "same-origin", True),
        ("POST", "none", True),  # the user's own doing
        ("GET", "cross-site", True),  # a link from the documentation, say
        ("HEAD", "same-site", True),
    ],
)
def test_what_changes_something_comes_from_no_page_but_our_own(method: str, site: str, own: bool) -> None:
    """By what a browser says of the page, also where it says no Origin."""
    assert is_own([*headers("127.0.0.1:4200", None), (b"sec-fetch-site", site.encode())], method) is own


def test_two_of_a_header_are_not_believed() -> None:
    own = headers("127.0.0.1:1", "http://127.0.0.1:1")
    assert not is_own([*own, (b"host", b"evil.example")])
    assert not is_own([*own, (b"origin", b"http://127.0.0.1:1")])


def answers(kind: str, host: str, origin: str | None) -> list[dict[str, Any]]:
    """What comes of a request: of the application itself `{"type": "passed on"}`."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "passed on"})

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(OwnPagesOnly(app)({"type": kind, "headers": headers(host, origin)}, receive, send))
    return sent


@pytest.mark.parametrize("kind", ["http", "websocket", "lifespan"])
def test_what_is_own_is_passed_on(kind: str) -> None:
    assert answers(kind, "localhost:1", "http://127.0.0.1:1") == [{"type": "passed on"}]


def test_what_is_foreign_is_refused() -> None:
    assert answers("http", "localhost:1", "http://evil.example")[0]["status"] == 403
    assert answers("websocket", "localhost:1", "http://evil.example") == [{"type": "websocket.close", "code": 1008}]
    assert answers("lifespan", "", None) == [{"type": "passed on"}]


@pytest.mark.parametrize(("kind", "has_policy"), [(b"text/html; charset=utf-8", True), (b"application/json", False)])
def test_a_page_has_a_policy(kind: bytes, has_policy: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"x"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": headers("localhost:1", None)}
    asyncio.run(OwnPagesOnly(app)(scope, lambda: asyncio.sleep(0, {}), send))
    policies = [value.decode() for name, value in sent[0]["headers"] if name == b"content-security-policy"]
    assert policies == [PAGE_POLICY] * has_policy
    assert sent[1]["body"] == b"x"
    assert "frame-ancestors 'self'" in PAGE_POLICY
