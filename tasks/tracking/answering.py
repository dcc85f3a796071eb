"""Whether a tracking server answers, asked before anything waits for it: MLflow itself would be silent for minutes."""

import math
import os
import time

from vecml.errors import StoreError, one_line
from vecml.passwords import without_passwords
from vecml.warnings import warn

PATIENCE_SECONDS = 12.0
SILENT_SECONDS = 3.0
PAUSE_SECONDS = 0.5

REMEMBERED_SECONDS = 60.0  # after a wait in vain, for how long a second one is not made; one question always is

_failed: dict[str, float] = {}  # when each address was last waited for in vain


def check_answers(uri: str) -> None:
    """Wait for an answer of any kind, `PATIENCE_SECONDS` at most; after `SILENT_SECONDS` a warning says so (VML018).

    Args:
        uri: of a tracking server, with http or https.

    Raises StoreError, with the reason, where there is no answer.
    """
    import requests  # noqa: PLC0415 -- only a server has to be asked

    shown, began, told = without_passwords(uri), time.monotonic(), False
    patience = PATIENCE_SECONDS if began - _failed.get(uri, -math.inf) > REMEMBERED_SECONDS else 0.0
    insecure = os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true")
    while True:
        waited = time.monotonic() - began
        limit = min(SILENT_SECONDS if not told else patience, patience) - waited
        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=max(limit, PAUSE_SECONDS), verify=not insecure).close()
            _failed.pop(uri, None)
            return
        except requests.exceptions.SSLError:
            return  # it answers; MLflow will say what is wrong with its certificate
        except requests.exceptions.RequestException as error:
            reason = _reason(error)
        waited = time.monotonic() - began
        if waited >= patience:
            _failed[uri] = time.monotonic()
            raise StoreError(
                f"the tracking server {shown} does not answer: {reason}",
                "start it, or unset MLFLOW_TRACKING_URI to keep runs in mlruns/ and `vecml export` them later",
            )
        if waited >= SILENT_SECONDS and not told:
            told = True
            warn("VML018", f"the tracking server {shown} is waited for, {patience:.0f} s at most: {reason}")
        time.sleep(PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    """The system's own words, which the libraries above have wrapped several times."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)) is not None:
        if not isinstance(cause, BaseException):
            break
        inner = cause
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return without_passwords(one_line(inner))
