"""An ASGI application that answers this machine only: no foreign host name, and no page of another site.

A browser lets any page that its user visits send requests to servers on this machine, and open WebSockets to them. It
says in `Origin` which page asks; here the page must be the server's own. That the port must be the one that was asked,
and not a fixed one, lets the server be reached through an SSH tunnel as well.

Names and notes of runs may be a stranger's, and both UIs draw notes as Markdown: its pictures would tell another host
who looks at which run. A policy that each page carries lets it load from this machine only, and lets no other site show
it in a frame, where clicks could be stolen.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

HOSTS = ("127.0.0.1", "localhost", "::1")
_HERE = "'self' data: blob: http://127.0.0.1:* http://localhost:* ws://127.0.0.1:* ws://localhost:*"
PAGE_POLICY = (
    f"default-src {_HERE} 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'self'"
)
READING = ("GET", "HEAD", "OPTIONS")
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class OwnPagesOnly:
    """Passes a request on to `app` when `is_own` says so; answers 403 to the others, and closes their WebSockets.

    Pages go out with PAGE_POLICY beside the policies that they have.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or is_own(scope["headers"], scope.get("method", "GET")):
            await self._app(scope, receive, _with_policy(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await receive()  # the request to connect, which is refused
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": plain})
            await send(
                {"type": "http.response.body", "body": b"This server answers its own pages on this machine only."}
            )


def _with_policy(send: Send) -> Send:
    """Send an answer on; if it is a page, with our policy."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if any(name.lower() == b"content-type" and b"html" in value.lower() for name, value in headers):
                headers.append((b"content-security-policy", PAGE_POLICY.encode("ascii")))
                message = {**message, "headers": headers}
        await send(message)

    return sent


def is_own(headers: list[tuple[bytes, bytes]], method: str = "GET") -> bool:
    """Whether a request goes to a name of this machine, and comes from a program or from a page of the same server.

    Args:
        headers: lower-case names and values, as ASGI has them. A program sends no `origin` and no `sec-fetch-site`.
        method: of HTTP. A link on any page may lead here, but only our own pages may change something; a page on
            another port of this machine is the same site to a browser, and is none of ours.
    """
    sites = [value for name, value in headers if name == b"sec-fetch-site"]
    if method not in READING and any(site not in (b"same-origin", b"none") for site in sites):
        return False
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    if len(hosts) != 1 or len(origins) > 1:
        return False
    asked = _place(f"http://{hosts[0]}")
    return asked is not None and (not origins or (origins[0].startswith("http://") and _place(origins[0]) == asked))


def _place(address: str) -> int | None:
    """The port of an address on this machine, whatever its name is called; None for an address anywhere else."""
    try:
        parts = urlsplit(address)
        port = 80 if parts.port is None else parts.port
    except ValueError:
        return None
    beside = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return port if parts.hostname in HOSTS and not beside else None
