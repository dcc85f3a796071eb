"""The leaderboard as text: a sentence, a table and remarks for each board, and all boards as JSON."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from vecml.history.leaderboard import RELATIONS, SITTINGS, Board, Place, Tie
from vecml.history.recorded import name_of
from vecml.measure.claim import Claim, Relation, claim_on_record
from vecml.numbers import count, megabytes, percent, rate
from vecml.report.comparison import Table

VERSION = 1
HEADINGS = ("", "setting", "on", "rows/s", "interval", "tie", "accuracy", "memory", "pays from", "age")
TIES: Mapping[Tie, str] = {
    "best": "best",
    "highest": "first",
    "comparison": "tied",
    "intervals": "tied?",
    "no": "-",
    "apart": "-?",
    "unknown": "?",
}


def title(board: Board) -> str:
    """The heading of a board: the network, the data, the number of rows, and the size of the requests."""
    parts = [f"network {board.architecture_digest[:8]}"]
    if board.subject is not None:
        parts.append(board.subject)
    if board.scale is not None:
        parts.append(f"{board.scale:,} to {10 * board.scale - 1:,} rows")
    if board.request_rows is not None:
        parts.append(f"requests of {count(board.request_rows, 'row')}")
    return ", ".join(parts)


def sentence(board: Board) -> str:
    """The answer: the fastest setting, where verdicts show which that is, and the settings that may be as fast."""
    said = claim(board)
    if said.best is None:
        return f"No answer: {said.reason}."
    speed = rate(board.places[0].rows_per_s or 0.0)
    if said.kind == "nothing":
        return f"No answer: {said.reason}, {speed}. {said.advice[:1].upper()}{said.advice[1:]}."
    here = f"on record of the {said.counted} that count" if said.left_out else "on record"
    if said.kind == "fastest":
        return f"{said.best} is the fastest {here}, {speed}."
    if said.kind == "several":
        return f"The fastest {here} is {' or '.join(said.among)}, which cannot be told apart; {said.best} ran {speed}."
    places = {_where(board, place): place for place in board.places}
    open_ = [name for name in said.among[1:] if RELATIONS[places[name].tie] == "unknown"]
    others = [name for name in said.among[1:] if name not in open_]
    answer = f"{said.best} has the highest rate {here}, {speed}"
    if others:
        answer += f"; {', '.join(others)} may be as fast"
    return f"{answer}; no verdict shows that it is faster than {', '.join(open_)}."


def claim(board: Board) -> Claim:
    """Give what the records of a board allow to be said; its settings are named as in the sentence."""
    first = board.places[0] if board.places and board.places[0].invalid is None else None
    others: dict[str, Relation] = {
        _where(board, place): "invalid" if place.invalid is not None else RELATIONS[place.tie]
        for place in board.places
        if place is not first
    }
    return claim_on_record(None if first is None else _where(board, first), others)


def table(board: Board, now: datetime, top: int | None = None) -> Table:
    """A row for each place, at most `top` of the valid ones; invalid ones come last and have no rank.

    now: with a time zone, for the ages.
    """
    names, letters = _names(board), _letters(board)
    rows = []
    for rank, place in enumerate(board.places, 1):
        if place.invalid is None and top is not None and rank > top:
            continue
        rows.append(
            (
                "-" if place.invalid is not None else str(rank),
                names[place.setting],
                letters[place.machine_key, place.device_name],
                "invalid" if place.rows_per_s is None else rate(place.rows_per_s),
                _interval(place),
                "-" if place.invalid is not None else TIES[place.tie],
                percent(place.accuracy),
                megabytes(None if place.peak_rss_mb is None else place.peak_rss_mb * 1e6),
                "-" if place.break_even_rows is None else f"{math.ceil(place.break_even_rows):,} rows",
                age(now, place.latest),
            )
        )
    return Table(HEADINGS, tuple(rows))


def remarks(board: Board, top: int | None = None) -> list[str]:
    """Remarks, a line each: the meaning of letters and marks, what is not shown, and why settings are invalid."""
    names, letters = _names(board), _letters(board)
    lines = []
    told: dict[tuple[str, str], Place] = {}
    for place in board.places:
        told.setdefault((place.machine_key, place.device_name), place)
    for key, place in told.items():
        device = "" if place.device_name in place.machine else f", {place.device_name}"
        lines.append(f"{letters[key]}: {place.machine}{device} ({place.machine_key[:8]})")
    valid = [place for place in board.places if place.invalid is None]
    if any(place.basis == "launches" for place in valid):
        lines.append(
            f"~ indicative: there were fewer than {SITTINGS} sittings, so the interval does not show how days differ"
        )
    marks = {place.tie for place in valid}
    if "highest" in marks and len(valid) > 1:
        lines.append("first: its rate is the highest, and no verdict shows that it is faster than all others")
    if "comparison" in marks:
        lines.append("tied: a comparison that measured both together found no certain difference from the first")
    if "intervals" in marks:
        lines.append("tied?: its interval overlaps the first's; vecml compare with both settings can tell more")
    if "apart" in marks:
        lines.append(
            "-?: its interval is below the first's, but of too few sittings for a verdict; vecml compare tells"
        )
    if "unknown" in marks:
        lines.append("?: it has no interval, so it cannot be compared with the first")
    if top is not None and len(valid) > top:
        lines.append(f"{count(len(valid) - top, 'further setting')} not shown (--top {top})")
    for place in board.places:
        if place.invalid is not None:
            lines.append(f"{names[place.setting]} on {letters[place.machine_key, place.device_name]}: {place.invalid}")
    return lines


def as_json(found: Sequence[Board], top: int | None = None) -> dict[str, Any]:
    """The records as JSON for programs: `version` 1, their own fields, with rank and answer beside them."""
    return {
        "version": VERSION,
        "kind": "leaderboard",
        "boards": [
            {
                "architecture_digest": board.architecture_digest,
                "subject": board.subject,
                "scale": board.scale,
                "request_rows": board.request_rows,
                "answer": sentence(board),
                "places": [
                    {
                        "rank": None if place.invalid is not None else rank,
                        **dataclasses.asdict(place),
                        "setting": dict(place.setting),
                        "latest": place.latest.isoformat(),
                    }
                    for rank, place in enumerate(board.places, 1)
                    if place.invalid is not None or top is None or rank <= top
                ],
            }
            for board in found
        ],
    }


def age(now: datetime, then: datetime) -> str:
    """`12 min`, `5 h`, `3 d`: how long ago, both with a time zone."""
    minutes = max(0, int((now - then).total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _names(board: Board) -> dict[tuple[tuple[str, str], ...], str]:
    settings = list(dict.fromkeys(place.setting for place in board.places))
    return {setting: name_of(setting, settings) for setting in settings}


def _letters(board: Board) -> dict[tuple[str, str], str]:
    """A, B, ... for the machines' devices, in the order of the places."""
    keys = list(dict.fromkeys((place.machine_key, place.device_name) for place in board.places))
    return {key: _letter(number) for number, key in enumerate(keys)}


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"{_letter(number // 26 - 1)}{_letter(number % 26)}"


def _where(board: Board, place: Place) -> str:
    letters = _letters(board)
    name = _names(board)[place.setting]
    return name if len(letters) == 1 else f"{name} on {letters[place.machine_key, place.device_name]}"


def _interval(place: Place) -> str:
    if place.low is None or place.high is None or place.rows_per_s is None:
        return "-"
    factor = next((factor for factor in (1e6, 1e3) if place.rows_per_s >= factor), 1.0)
    mark = "~" if place.basis == "launches" else ""
    low, high = (f"{end:,.0f}" if end >= 100 else f"{end:.3g}" for end in (place.low / factor, place.high / factor))
    return f"{mark}{low} to {high}"
