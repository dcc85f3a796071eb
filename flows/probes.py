"""Whether a server on this machine answers, and whether a Prefect worker is at work there; past any proxy."""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

STARTUP_SECONDS = 180.0  # the first start migrates databases: half a minute was seen on a quiet machine
ANSWER_SECONDS = 2.0
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def answers(url: str) -> bool:
    """Whether a GET of an address on this machine succeeds."""
    return _asked(urllib.request.Request(url)) is not None  # noqa: S310 -- our own server


def works(api: str, pool: str, name: str, since: datetime) -> bool:
    """Whether the worker `name` of a pool has told the Prefect server at `api` that it is there, after `since`."""
    request = urllib.request.Request(  # noqa: S310 -- our own server
        f"{api}/work_pools/{pool}/workers/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    answer = _asked(request)
    found: list[dict[str, Any]] = json.loads(answer) if answer else []
    return any(
        worker["name"] == name
        and worker["last_heartbeat_time"] is not None
        and datetime.fromisoformat(worker["last_heartbeat_time"]) >= since
        for worker in found
    )


def _asked(request: urllib.request.Request) -> bytes | None:
    try:
        with _open(request, timeout=ANSWER_SECONDS) as response:
            content: bytes = response.read()
            return content
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError):
        return None
