"""A run as one self-contained HTML page: nothing is fetched, nothing runs but its own few lines of script.

The content policy allows the page's own style and script by their hashes and nothing else, no network at all. Names
come from users' data: Jinja2 escapes every value, and pictures escape their own text.
"""

import base64
import gzip
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from vecml.comparison.comparison import ArmFigures, Comparison, recommended
from vecml.comparison.document import to_json
from vecml.foreign_text import clean
from vecml.numbers import count, percent, seconds
from vecml.report import surroundings
from vecml.report.calls import call_seconds
from vecml.report.chart_limits import standings
from vecml.report.charts import Picture, charts
from vecml.report.comparison import (
    NOT_RECORDED,
    OF_COMMANDS,
    OF_FUNCTIONS,
    Table,
    answers,
    how,
    reasons,
    sentence,
    table,
)
from vecml.report.content import SHAPES, Content, content_of, word
from vecml.report.pareto import EXPLAINED, knows_truth, trades
from vecml.report.rules import excluded_rounds, question, verdict_rules

GENERATOR = "vecml report"
LONG_ANSWER = 160  # characters: a longer answer is set smaller


@dataclass(frozen=True)
class About:
    """The run that a page is about.

    Attributes:
        name, run_id: the run's; the page of a file has the file's name and no run id.
        address: its page in MLflow, or None; shown as a link where it begins with http.
        status: MLflow's word: FINISHED, FAILED, KILLED, RUNNING.
        error: why it failed, or None.
        created: ISO 8601, or None.
        note: a remark to show, plain text, or None.
    """

    name: str
    run_id: str
    address: str | None = None
    status: str = "FINISHED"
    error: str | None = None
    created: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Attributes:
        text: what it shows.
        heading: of its column; a narrow page shows it beside the text.
        order: what the column is sorted by: a number, or None to sort by the text.
        sign: a verdict's character before the text, or nothing.
    """

    text: str
    heading: str
    order: float | None = None
    sign: str = ""


@dataclass(frozen=True)
class Report:
    """A run's own report.

    Attributes:
        picture: comes first on the page, where there is one.
        text: of several lines, shown as they are.
    """

    picture: Picture | None
    text: str


def page(comparison: Comparison, about: About) -> str:
    """The page of a comparison, as HTML text: the answer, pictures, reasons, the environment, and the raw record."""
    content = content_of(comparison)
    answer, cells = sentence(comparison, content), table(comparison, content)
    return template(
        "page"
    ).render(
        **_frame(about),
        asked=question(content),
        answer=answer,
        is_long=len(answer) > LONG_ANSWER,
        key_figures=_key_figures(content),
        settings=_settings(content, cells),
        settings_headings=cells.headings,
        charts={name: Markup(picture.wide + picture.narrow) for name, picture in charts(content).items()},  # noqa: S704 -- drawn by us
        is_latency=content.is_latency,
        speed_caption=_speed_caption(content),
        is_functions=not comparison.settings,
        noun=comparison.noun,
        unit=content.unit,
        has_intervals=any(arm.rows_per_s_low is not None for arm in content.arms.values()),
        truth=knows_truth(content),
        pareto=_pareto(content),
        pareto_explained=EXPLAINED,
        standings=_standings(content),
        answers=answers(content),
        answers_note={"setting": NOT_RECORDED, "function": OF_FUNCTIONS, "command": OF_COMMANDS}[comparison.noun],
        machine=surroundings.machine(comparison.environment),
        libraries=surroundings.libraries(comparison.environment),
        loads=surroundings.loads(comparison.load_before, comparison.load_after),
        differing=surroundings.differing_facts(content),
        changing=surroundings.changing_facts(content),
        launches=surroundings.launches(content),
        verdicts=_verdicts(content),
        reasons=reasons(comparison, content)[:-1],
        how=_sentence(how(comparison)),
        rules=verdict_rules(content),
        left_out=excluded_rounds(),
        document=download_address(to_json(comparison)),
        file_name=f"{file_stem(about.name, about.run_id)}.json",
        vecml=comparison.vecml,
    )


def page_of_run(
    about: About,
    kind: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    pictures: Mapping[str, bytes] | None = None,
    report: Report | None = None,
) -> str:
    """The page of a run that has no comparison (a pipeline run, or one that failed before there was a result).

    Args:
        about: which run, and how it ended.
        kind: what it is, in a word or two: `pipeline run`.
        params, metrics, tags: what was logged; MLflow's own tags are left out.
        pictures: PNG bytes to show, by file name.
        report: what comes first.
    """
    drawn = None if report is None else report.picture
    shown = {name: value for name, value in tags.items() if not name.startswith("mlflow.")}
    return template("run").render(
        **_frame(about),
        kind=kind,
        tables=[
            ("Metrics", Table(("metric", "value"), tuple((name, _metric(metrics[name])) for name in sorted(metrics)))),
            ("Params", Table(("param", "value"), tuple((name, params[name]) for name in sorted(params)))),
            ("Tags", Table(("tag", "value"), tuple((name, shown[name]) for name in sorted(shown)))),
        ],
        drawn=drawn,
        drawing=None if drawn is None else Markup(drawn.wide + drawn.narrow),  # noqa: S704 -- drawn by us
        text=Markup(escape(clean(report.text, keep="\n"))) if report else "",  # noqa: S704 -- escaped
        pictures=[
            (name, Markup("data:image/png;base64,") + base64.b64encode(content).decode())
            for name, content in (pictures or {}).items()
        ],
    )


def download_address(document: str) -> str:
    """Pack a document into the `data:` address of a download link: gzip, then base64.

    The same text always gives the same address.
    """
    return f"data:application/gzip;base64,{base64.b64encode(gzip.compress(document.encode(), mtime=0)).decode()}"


def is_a_page(content: bytes) -> bool:
    """Whether a file holds a page that vecml made; such a file may be overwritten."""
    return f'<meta name="generator" content="{GENERATOR}'.encode() in content[:4096]


def file_stem(name: str, otherwise: str) -> str:
    """Turn a run's name into a file name of at most 60 letters, digits, dots and hyphens.

    `otherwise` is the file name when nothing of the run's name is left.
    """
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60].rstrip("-.")
    return plain or otherwise


def _frame(about: About) -> dict[str, Any]:
    """The values that the template of both kinds of page needs: the run, the style, the script and the policy."""
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    return {
        "about": about,
        "ended": about.status not in ("FINISHED", "RUNNING", "SCHEDULED"),
        "running": about.status in ("RUNNING", "SCHEDULED"),
        "link": about.address if re.match(r"https?://", about.address or "") else None,
        "created": _day(about.created),
        "generator": GENERATOR,
        "policy": policy,
        "style": Markup(style),  # noqa: S704 -- the package's own file
        "script": Markup(script),  # noqa: S704
    }


def _key_figures(content: Content) -> list[tuple[str, str]]:
    comparison = content.comparison
    measured, subject = comparison.measured, comparison.subject
    blocks = sum(len(arm.blocks) for arm in measured.arms)
    chosen = dict.fromkeys(name for family in content.families if (name := recommended(comparison, family)))
    environment = comparison.environment
    return [
        ("Recommended", ", ".join(chosen) or "no answer"),
        (
            "Machine",
            f"{environment.get('cpu_model') or 'an unknown CPU'}, {environment.get('usable_cpus') or '?'} CPUs",
        ),
        ("Rows", count(subject.n_rows, "row"))
        if comparison.settings
        else (f"{comparison.noun.capitalize()}s", f"{len(content.arms)}"),
        ("Measured", f"{count(measured.launches, 'launch')}, {count(blocks, 'block')}, {seconds(measured.seconds)}"),
    ]


def _speed_caption(content: Content) -> str:
    """What the colours of the bars mean, as far as verdicts give them a meaning."""
    kinds, noun = {claim.kind for claim in content.claims if claim.shown}, content.comparison.noun
    if not kinds and any(claim.kind == "busy" for claim in content.claims):
        return "The lengths of the bars are what was measured while others used the CPUs, and hold for that alone."
    if not kinds:
        return "The lengths of the bars are no verdict: none of them is shown to be longer than another."
    if "unsurpassed" in kinds:
        return f"The bars in the accent colour are those of {noun}s that nothing is shown to be faster than."
    return f"The bars in the accent colour are the fastest {noun} and those that show no certain difference from it."


def _settings(content: Content, told: Table) -> list[list[Cell]]:
    rows = []
    for arm, cells in zip(content.arms.values(), told.rows, strict=True):
        rows.append(
            [
                Cell(text, heading, _order(arm, heading), SHAPES[word(arm)][2] if heading == "verdict" else "")
                for heading, text in zip(told.headings, cells, strict=True)
            ]
        )
    return rows


def _order(arm: ArmFigures, heading: str) -> float | None:
    verdict = arm.verdict
    if re.fullmatch(r"p[0-9.]+", heading):
        return arm.percentile_seconds.get(round(float(heading[1:]) / 100, 9))
    values = {
        "rows/s": arm.rows_per_s,
        "time": call_seconds(arm),
        "user": arm.facts.get("user_seconds"),
        "system": arm.facts.get("system_seconds"),
        "ratio": 1.0 if verdict is None else verdict.ratio,
        "interval": None if verdict is None else verdict.ratio_low,
        "load": arm.load_seconds,
        "memory": arm.peak_rss_bytes,
        "flips": arm.flips,
        "limit": arm.fraction_of_limit,
        "pays from": arm.break_even_rows,
        "rows/call": None if arm.setting is None else arm.setting.request_rows,
    }
    value = values.get(heading)
    return None if value is None or not math.isfinite(value) else float(value)


def _pareto(content: Content) -> list[str]:
    """For each family whose labels were counted, a sentence that names the settings on the Pareto set."""
    lines = []
    for family in content.families:
        found = trades(content, family)
        on = [trade.name for trade in found if trade.beaten_by is None]
        if found:
            off = len(found) - len(on)
            lines.append(
                f"On the set: {', '.join(on)}; off it: {count(off, 'setting')}."
                if off
                else f"All of them are on the set: {', '.join(on)}."
            )
    return lines


def _standings(content: Content) -> str | None:
    found = standings(content)
    if not found:
        return None
    best = max(found, key=lambda one: one.fraction)
    bound = "the copy" if best.flops_per_byte < best.roof.flops_per_s / best.roof.bytes_per_s else "the matrix product"
    return (
        f"This work needs {best.flops_per_byte:.3g} operations for each byte that it must move, so {bound} limits it."
        f" {best.name} comes nearest: it reaches {percent(best.fraction)} of that limit."
    )


def _verdicts(content: Content) -> Table:
    rows = []
    for family in content.families:
        for verdict in (*family.verdicts, *family.null_verdicts):
            rows.append(
                (
                    verdict.arm,
                    verdict.baseline,
                    "-" if verdict.ratio is None else f"{verdict.ratio:.4f}",
                    "-"
                    if verdict.ratio_low is None or verdict.ratio_high is None
                    else f"{verdict.ratio_low:.4f} to {verdict.ratio_high:.4f}",
                    "-" if verdict.p_value is None else f"{verdict.p_value:.2g}",
                    percent(verdict.smallest_detectable),
                    f"{verdict.pairs:,}",
                    f"{verdict.dropped:,}",
                )
            )
    headings = ("arm", "baseline", "ratio", "interval", "p", "could have seen", "pairs", "dropped")
    return Table(headings, tuple(rows))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _metric(value: float) -> str:
    return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.6g}"


def _day(created: str | None) -> str | None:
    """`25 November 2026, 20:48 UTC`; what is no date is shown as it is."""
    if created is None:
        return None
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    zone = " UTC" if when.utcoffset() is not None and not when.utcoffset() else ""
    return f"{when.day} {when:%B %Y, %H:%M}{zone}"


def _digest(text: str) -> str:
    """The hash by which the content policy allows an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _resource(name: str) -> str:
    return files("vecml.report").joinpath(name).read_text(encoding="utf-8")


@cache
def template(name: str) -> Template:
    """Load the template of a page: `page`, `run` or `lab`.

    A name that it uses and does not get is an error, not an empty place.
    """
    loader = DictLoader({file: _resource(f"{file}.html.j2") for file in ("frame", "page", "run", "lab")})
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """Clean text that came from users, and leave our own markup as it is."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
