"""A ladder in MLflow: one run with every rung's figures, the whole record and the picture."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tasks.tracking.run import Logged, ResultWriter, tracked_result
from vecml import keys
from vecml.lab.ladder import Ladder, best, figures, gain, to_json_dict
from vecml.progress import stage


@dataclass(frozen=True)
class LadderWriter(ResultWriter):
    """Writes one ladder."""

    def log(self, ladder: Ladder, note: str, drawn: bytes | None) -> None:
        """Log params, metrics, tags and files; `note` (Markdown) is the description, `drawn` the picture's PNG.

        Everything is on the disk before any of it is logged: when that fails, the StoreError says where it is kept.
        """
        with stage("storing the ladder"):
            files: dict[str, str | bytes] = {
                "ladder.json": json.dumps(to_json_dict(ladder)) + "\n",
                "environment.json": json.dumps(dict(ladder.environment), indent=1) + "\n",
            }
            if drawn is not None:
                files["pictures/ladder.png"] = drawn
            self.log_at_once(Logged(files, params(ladder), metrics(ladder), end_tags(ladder), note))


def tracked_ladder(name: str | None) -> AbstractContextManager[LadderWriter]:
    """A ladder's run round the block: FINISHED when it ends, FAILED or KILLED when it is left otherwise.

    Raises StoreError when the store cannot be opened or written.
    """
    return tracked_result(keys.LADDER, name, LadderWriter)


def params(ladder: Ladder) -> dict[str, str]:
    """`LADDER_PARAMS` of `vecml.keys`."""
    values = (
        *(ladder.data_source, ladder.n_rows, ladder.widths[0], ladder.widths[-1]),
        "-".join(map(str, ladder.widths)),
        tuple(rung.name for rung in ladder.rungs),
    )
    return {name: keys.text(value) for name, value in zip(keys.LADDER_PARAMS, values, strict=True)}


def metrics(ladder: Ladder) -> dict[str, float]:
    """`BEST_RUNG_METRICS` of `vecml.keys`, and every rung's `RUNG_METRICS`, of both those that are known."""
    found = figures(ladder)
    top = best(found)
    of_best: tuple[float | None, ...] = (
        gain(found),
        None if top is None else top.rows_per_s,
        None if top is None else top.fraction_of_limit,
        None if top is None else top.flips,
    )
    values = dict(zip(keys.BEST_RUNG_METRICS, of_best, strict=True))
    for rung in found:
        before, first = rung.before, rung.first
        own = (
            rung.rows_per_s,
            None if before is None else before.ratio,
            None if before is None else before.ratio_low,
            None if before is None else before.ratio_high,
            None if first is None else first.ratio,
            rung.flips,
            rung.memory_bytes,
            rung.fraction_of_limit,
        )
        values |= dict(zip(keys.rung_metrics(rung.name), own, strict=True))
    return {name: float(value) for name, value in values.items() if value is not None}


def end_tags(ladder: Ladder) -> dict[str, str]:
    """`LADDER_END_TAGS` of `vecml.keys`."""
    found = figures(ladder)
    top = best(found)
    idle = tuple(rung.name for rung in found if rung.stopped_paying)
    values = (ladder.measured.launches, ladder.model_digest, None if top is None else top.name, idle or None)
    return {name: keys.text(value) for name, value in zip(keys.LADDER_END_TAGS, values, strict=True)}
