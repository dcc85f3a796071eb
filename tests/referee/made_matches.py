"""A small reference, and what plays a candidate against it: the referee's own work in this process, with no sitting."""

import secrets
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

from vecml.measure.work import ArmError
from vecml.referee.contestant import spaces
from vecml.referee.refusals import named
from vecml.referee.work import RefereeWork

REFERENCE = """
import numpy as np

def make_inputs(random, size):
    return random.normal(size=size), 0.25

def solve(x, share):
    return np.sort(x) * share + np.cumsum(x)
"""
HONEST = """
import numpy as np

def solve(x, share):
    return np.cumsum(x) + share * np.sort(x, kind="stable")
"""
CALLS = 12


@lru_cache(maxsize=1)
def own_spaces() -> tuple[str, ...]:
    """The words of `spaces`, which are the same for all tests of a process."""
    return spaces()


def payload(candidate: str | None, folder: Path, **changed: Any) -> dict[str, Any]:
    """The payload of a candidate whose file holds this text; None: what shows the price of handing over."""
    import base64

    text = None if candidate is None else textwrap.dedent(candidate)
    function = changed.pop("function", "solve")
    reference = textwrap.dedent(changed.pop("reference_text", REFERENCE))
    return {
        "folder": str(folder),
        "files": {"reference.py": base64.b64encode(reference.encode()).decode()},
        "reference": "reference.py:solve",
        "maker": "reference.py:make_inputs",
        "sizes": [1_000, 3_000],
        "ranges": [[500, 4_000]],
        "seed": secrets.randbits(64),
        "rtol": 1e-9,
        "precision": "same",
        "source": None if text is None else {"file": "candidate.py", "text": text, "qualified": function},
        "before": list(own_spaces()),
        "facts": {},
        **changed,
    }


def play(candidate: str | None, folder: Path, calls: int = CALLS, **changed: Any) -> str | None:
    """Let a candidate make its calls as a worker would; return why it is refused, or None."""
    work: RefereeWork | None = None
    try:
        work = RefereeWork(payload(candidate, folder, **changed))
        work.open()
        for _ in range(2):
            work.begin()
            for _ in range(calls // 2):
                work.prepare()
                work.call()
            work.rest()
        work.finish()
    except ArmError as error:
        return str(error)
    finally:
        if work is not None:
            work.close()
    return None


def name_of(said: str | None) -> str | None:
    """The name of a refusal."""
    return None if said is None else named(said)[0]
