"""`vecml compare`: ways to run one model, commands or functions, measured beside each other, each with a verdict."""

import sys
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli import compare_cluster
from vecml.cli import fail_if as fail_if_
from vecml.cli.calls_file import with_file
from vecml.cli.compare_calls import CALLS, calls_asked
from vecml.cli.options import Fields, MaxMemory, command, is_printed, option, output_file
from vecml.cli.run import refuse_idle_flags
from vecml.cli.terminal import console, opening, show_comparison
from vecml.comparison.config import DATA_AND_MODEL, MEASURING, ComparisonConfig
from vecml.config import PipelineConfig, TrainingConfig, read_config_file
from vecml.errors import MeasureError, SettingError
from vecml.fields import flag, shown
from vecml.foreign_text import clean, clean_json
from vecml.regular_file import read_regular

if TYPE_CHECKING:
    from vecml.comparison.command_lines import Commands
    from vecml.comparison.functions import Functions
    from vecml.comparison.revisions import Revisions

EPILOG = """**Examples**

- `vecml compare`: numpy against torch, a million generated rows, a verdict within a minute

- `vecml compare --engines all --threads 1,2 --budget auto`: every engine that is here, with one thread and with two

- `vecml compare --run RUN --engines numpy,torch --layout columns,rows`: a tracked model on its test part

- `vecml compare --request-rows 1,32,1024`: the latency of single requests, with the tails that the sample supports

- `vecml compare -- './old data.txt' './new data.txt'`: two commands, from their start to their end

- `vecml compare --ref main --ref HEAD --build make --fail-if slower:5% -- './parse data.txt'`: two revisions

- `vecml compare --functions bench.py:loop,bench.py:fast --inputs bench.py:make_inputs`: functions of your own

- `vecml compare --engines all --cluster auto`: on one node of each kind of machine that a cluster of Ray has

- `vecml compare --json result.json`, and later `vecml compare --from result.json`: the same verdicts, from raw blocks
"""
JSON_TEXT = "Write everything, raw blocks included, as JSON (docs/comparison.md); `-` prints it instead."
FROM_TEXT = "Measure nothing: compute the verdicts of such a file again."
MARKDOWN_TEXT = "Print it as Markdown, for a pull request."
FRESH_TEXT = "Measure everything again, also where launches of the same comparison were kept when it was stopped."
CLUSTER_TEXT = "Compare on each kind of machine of a cluster of Ray: auto, local:N nodes here, or its address."
TIMEOUT_TEXT = "Seconds without a word after which a node is given up. [default: 900]"
# Fields of other forms that do nothing for this command, and what to write instead.
IDLE = {
    "engine": "write engines = [...], with two or more",
    "replicas": "leave it out: a comparison trains one network",
    "fail_on_regression": "leave it out: it is for the flow; vecml history --check looks for slowdowns",
}
# What is needed to load the model of a run that is trained already.
BESIDE_RUN = ("architecture",)
ONLY_A_COMPARISONS = tuple(name for name in ComparisonConfig.model_fields if name not in PipelineConfig.model_fields)


@command(
    Fields(ComparisonConfig),
    Fields(TrainingConfig, panel=DATA_AND_MODEL, without=("rows",)),
    CALLS,
    panel=MEASURING,
)
def compare(
    own: dict[str, Any],
    training: dict[str, Any],
    calls: dict[str, Any],
    config: Annotated[
        Path | None, option("A TOML file with any of these settings; flags win over it.", "FILE", panel=MEASURING)
    ] = None,
    quick: Annotated[bool, option("One launch: figures, and no verdict.", None, "--quick", panel=MEASURING)] = False,
    json: Annotated[Path | None, output_file(JSON_TEXT, "--json", MEASURING)] = None,
    markdown: Annotated[bool, option(MARKDOWN_TEXT, None, "--markdown", panel=MEASURING)] = False,
    from_: Annotated[Path | None, option(FROM_TEXT, "FILE", "--from", panel=MEASURING)] = None,
    fresh: Annotated[bool, option(FRESH_TEXT, None, "--fresh", panel=MEASURING)] = False,
    fail_if: Annotated[str | None, option(fail_if_.TEXT, "WHAT", "--fail-if", panel=MEASURING)] = None,
    cluster: Annotated[str | None, option(CLUSTER_TEXT, "CLUSTER", "--cluster", panel=MEASURING)] = None,
    node_timeout: Annotated[float | None, option(TIMEOUT_TEXT, "S", "--node-timeout", panel=MEASURING)] = None,
    max_memory: MaxMemory = None,  # noqa: ARG001 -- its callback sets it
) -> None:
    """Compare ways to run a model's inference, commands, revisions, or functions, and say which differences are real.

    Each of them runs in worker processes of its own, several times afresh, in turns of balanced random order; labels
    are held to a float64 reference. It is tracked in MLflow: a parent run, and a run for each of them.
    """
    demand = fail_if_.checked(fail_if)
    if node_timeout is not None and cluster is None:
        raise SettingError(f"--node-timeout {node_timeout:g}: for --cluster only", "leave out --node-timeout")
    switches = {"config": config, "quick": quick, "fresh": fresh, "cluster": cluster}
    if from_ is not None:
        for name in [*own, *training, *calls, *(name for name, value in switches.items() if value)]:
            told = "a command" if name == "commands" else flag(name)
            raise SettingError(f"{told} with --from: nothing is measured", f"leave out {told.replace('a ', 'the ')}")
        content = _content(from_)
        if compare_cluster.is_of_kinds(content):
            found = compare_cluster.read(content, str(from_))
            compare_cluster.finish(found, json, demand, fail_if, markdown=markdown)
        else:
            fail_if_.leave(_recompute(content, from_, json, markdown=markdown), demand, fail_if)
        return
    calls, own, config = with_file(calls, own, config)
    if quick and not calls:
        own["budget"] = "quick"
    if cluster is not None:
        compare_cluster.check_alone(cluster, calls, fresh=fresh)
        found = compare_cluster.measured(_asked(own, training, _file(config, own)), cluster, node_timeout)
        compare_cluster.finish(found, json, demand, fail_if, markdown=markdown)
        return
    if calls:
        wanted = calls_asked(calls, own, training, config, quick=quick)
        result, address = _tracked(partial(_measure_calls, wanted), json, fresh=fresh)
    else:
        asked = _asked(own, training, _file(config, own))
        result, address = _tracked(partial(_measure, asked), json, fresh=fresh)
    _show(result, json, address, markdown=markdown)
    fail_if_.leave(result, demand, fail_if)


def _asked(own: dict[str, Any], training: dict[str, Any], file: Mapping[str, Any]) -> ComparisonConfig:
    """The flags laid over the file, as one record; raises SettingError for a flag that is unknown or does nothing."""
    run = own.get("run", file.get("run"))
    idle = [name for name in training if name not in BESIDE_RUN]
    if run is not None and idle:
        raise SettingError(
            f"{flag(idle[0])} goes with training; --run {run} is trained already",
            f"leave out {flag(idle[0])} or --run",
        )
    subject = file.get("subject", {})
    if run is not None:  # one file serves a comparison that trains, and one of a run
        known = TrainingConfig.model_fields.keys() - set(BESIDE_RUN)
        subject = {name: value for name, value in subject.items() if name not in known}
    asked = ComparisonConfig.checked({**file, **own, "subject": {**subject, **training}})
    refuse_idle_flags(asked.subject, training)
    return asked


def _file(config: Path | None, flags: Collection[str]) -> dict[str, Any]:
    return {} if config is None else read_comparison_file(config, flags)


def read_comparison_file(path: Path, flags: Collection[str] = ()) -> dict[str, Any]:
    """A TOML file's values for ComparisonConfig: its own fields, and those of its subject, in a table or beside them.

    A field whose name is in `flags` is set by a flag, which wins.

    Raises SettingError as `read_config_file` does, and for a field of `vecml run` that does nothing in a comparison.
    """
    content = read_config_file(path)
    for name, hint in IDLE.items():
        if name in content:
            raise SettingError(f"--config {path}: {name} = {_toml(content[name])} does nothing here", hint)
    if "device" not in flags and "auto" in shown(content.get("device")).split(","):
        line = f"--config {path}: device = {_toml(content['device'])}: a comparison does not choose a device"
        raise SettingError(line, 'write device = "cpu", or several: device = ["cpu", "cuda"]')
    if "rows" in content and not any(name in content for name in ONLY_A_COMPARISONS):
        raise SettingError(
            f"--config {path}: rows = {_toml(content['rows'])}: those of the inference, or those to generate?",
            f"--rows {shown(content['rows'])} for the inference; under [subject] for those to generate",
        )
    subject = {
        name: content.pop(name)
        for name in TrainingConfig.model_fields
        if name in content and name not in ComparisonConfig.model_fields
    }
    table = content.pop("subject", {})
    if not isinstance(table, dict):
        raise SettingError(f"--config {path}: subject is a table", "for example [subject], and below it epochs = 60")
    return {**content, "subject": {**subject, **{name.replace("-", "_"): value for name, value in table.items()}}}


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else shown(value)


def _measure(asked: ComparisonConfig, tracking: Any, **how: Any) -> tuple[Any, Any]:
    from vecml.comparison import session

    done = session.compare(asked, tracking, **how)
    return done.comparison, done.writer


def _measure_calls(asked: "Commands | Functions | Revisions", tracking: Any, **how: Any) -> tuple[Any, Any]:
    from vecml.comparison.command_lines import Commands

    if isinstance(asked, Commands):
        from vecml.comparison.commands import compare_commands

        return compare_commands(asked, tracking, **how)
    from vecml.comparison.revisions import Revisions, compare_revisions

    if isinstance(asked, Revisions):
        return compare_revisions(asked, tracking, **how)
    from vecml.comparison.functions import compare_places

    return compare_places(asked, tracking, **how)


def _tracked(measure: Callable[..., tuple[Any, Any]], json: Path | None, *, fresh: bool) -> tuple[Any, str]:
    """The comparison that `measure` makes, tracked, and the address of its page."""
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.location import locate, prepare

        prepare(locate())  # before anything is trained: where nothing can be recorded, nothing is measured
        from tasks.tracking.comparison import ComparisonTracking
        from vecml.comparison.budget import Budget
        from vecml.report.comparison import expectation

        def announce(budget: Budget) -> None:
            line = expectation(budget.resolves, budget.text, budget.source)
            console(sys.stderr).print(line, soft_wrap=True, markup=False)

        comparison, writer = measure(
            ComparisonTracking(),
            began=process_start(),
            announce=announce,
            json=None if is_printed(json) else json,
            fresh=fresh,
        )
        return comparison, writer.run.url


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise MeasureError(
            f"--from {path}: {error.strerror or error}", "name a file that vecml compare --json wrote"
        ) from None


def _recompute(content: bytes, path: Path, json: Path | None, *, markdown: bool) -> Any:
    from vecml.atomic import write_bytes
    from vecml.comparison.document import from_json, to_json

    comparison = from_json(content, str(path))
    if json is not None and not is_printed(json):
        write_bytes(json, to_json(comparison).encode())
    _show(comparison, json, None, markdown=markdown)
    return comparison


def _show(comparison: Any, json: Path | None, address: str | None, *, markdown: bool = False) -> None:
    from vecml.comparison.document import to_json
    from vecml.report.comparison import note, reasons, sentence, table

    if is_printed(json):
        typer.echo(clean_json(to_json(comparison)), nl=False)
        return
    if markdown:
        typer.echo(clean(note(comparison), keep="\n"), nl=False)
        return
    content = table(comparison)
    lines = reasons(comparison)
    if address is not None:
        lines.append(opening(address))
    show_comparison(sentence(comparison), content.headings, content.rows, lines, address)


def process_start() -> float:
    """When this process began, by the clock of time.perf_counter: what the user waits for counts from there."""
    import psutil

    return time.perf_counter() - max(0.0, time.time() - psutil.Process().create_time())
