"""`vecml compare --cluster`: one comparison on each kind of machine that a cluster of Ray has."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vecml.cli import fail_if as fail_if_
from vecml.cli.options import write_json
from vecml.cli.terminal import console, opening, own_name, show_comparison, show_error
from vecml.comparison.config import ComparisonConfig
from vecml.errors import ServerError, SettingError, StoreError, VecmlError
from vecml.fields import flag
from vecml.foreign_text import clean

if TYPE_CHECKING:
    from vecml.comparison.cluster import Budgeted, KindResult
    from vecml.comparison.demand import Demand
    from vecml.comparison.kinds_document import Kinds

ID_DIGITS = 12  # of a run's id, which are enough to find it


class Found:
    """Holds what was measured on a cluster, and where it is tracked.

    Attributes:
        kinds: the comparisons.
        pages: by machine key, the address of the run's page; empty for what was read from a file.
        runs: ids of the runs.
        untracked: why one of them could not be tracked, or None.
    """

    def __init__(
        self, kinds: "Kinds", pages: Mapping[str, str], runs: tuple[str, ...], untracked: VecmlError | None = None
    ) -> None:
        self.kinds, self.pages, self.runs, self.untracked = kinds, pages, runs, untracked


def check_alone(where: str, calls: Mapping[str, Any], *, fresh: bool) -> None:
    """Raise SettingError for flags that do nothing on a cluster.

    Args:
        where: the cluster.
        calls: what was given of commands, functions and revisions.
        fresh: whether `--fresh` was given.
    """
    if calls:
        name = next(iter(calls))
        told = "a command" if name == "commands" else flag(name)
        raise SettingError(
            f"--cluster {where}: ways to run a model are compared there, and {told} is for this machine",
            "leave out --cluster, or run vecml compare on each of the machines",
        )
    if fresh:
        raise SettingError(f"--fresh with --cluster {where}: nodes always measure afresh", "leave out --fresh")


def measured(asked: ComparisonConfig, where: str, node_timeout: float | None) -> Found:
    """Compare on the cluster; each kind is tracked as soon as it is measured.

    Raises what `compare_on_cluster` raises, and StoreError where nothing can be tracked.
    """
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from vecml.comparison.cluster import SILENT_SECONDS, Hear, Wish, check_asked, compare_on_cluster

        wish = Wish(where, SILENT_SECONDS if node_timeout is None else node_timeout)
        check_asked(asked, wish)
        from tasks.tracking.location import locate, prepare

        prepare(locate())  # before anything is measured: where nothing can be recorded, nothing is
        from tasks.tracking.read import read_run
        from vecml.comparison.kinds_document import Kinds

        pages: dict[str, str] = {}
        runs: list[str] = []
        untracked: list[VecmlError] = []

        def done(result: "KindResult") -> None:
            if result.comparison is None:
                return
            try:
                run_id, pages[result.kind.machine_key] = _track(result, asked.name)
                runs.append(run_id)
            except VecmlError as error:  # the others are measured, and all of it is shown first
                untracked.append(error)

        results = compare_on_cluster(asked, wish, read_run, Hear(_announce, done))
    return Found(Kinds(where, tuple(results)), pages, tuple(runs), next(iter(untracked), None))


def _track(result: "KindResult", name: str | None) -> tuple[str, str]:
    """Record the comparison as one of the machine that measured it; return the run's id and its page's address.

    It is kept before any run is opened: the store may have gone away while the nodes measured. Raises StoreError.
    """
    from tasks.tracking.comparison import ComparisonTracking, keep_measured, said_where_kept
    from vecml.comparison.cluster import kept_file
    from vecml.comparison.session import recorded
    from vecml.environment import of_json

    comparison = result.comparison
    assert comparison is not None  # noqa: S101 -- the caller has looked
    own = None if name is None else f"{name}-{result.kind.short}"
    tracking, file = ComparisonTracking(elsewhere=of_json(comparison.environment)), kept_file(result, own)
    is_kept = keep_measured(file, comparison, own)
    try:
        _, writer = recorded(tracking, own, file, lambda _kept, _keep: comparison)
    except StoreError as error:
        said = said_where_kept()
        if is_kept and error.kept is None and said not in (error.hint or ""):
            error.hint = f"{said}; {error.hint}" if error.hint else said
        raise
    return writer.run.run_id, writer.run.url


def _announce(budgeted: "Budgeted") -> None:
    from vecml.report.comparison import expectation

    line = expectation(budgeted.resolves, budgeted.budget, budgeted.source)
    console(sys.stderr).print(f"{budgeted.kind.short}: {line}", soft_wrap=True, markup=False)


def is_of_kinds(content: bytes) -> bool:
    """Whether a file is what `--cluster` and `--json` wrote."""
    from vecml.comparison.kinds_document import is_of_kinds as is_one

    return is_one(content)


def read(content: bytes, name: str) -> Found:
    """Read what such a file holds; `name` is the file's. Raises MeasureError where it is damaged."""
    from vecml.comparison.kinds_document import kinds_from_json

    return Found(kinds_from_json(content, name), {}, ())


def finish(
    found: Found, json: Path | None, demand: "Demand | None", fail_if: str | None, *, markdown: bool = False
) -> None:
    """Write and show what was found, and end with the exit code.

    Args:
        found: from `measured` or `read`.
        json: the file that `--json` names.
        demand, fail_if: as for `vecml.cli.fail_if.leave`.
        markdown: whether it is printed as Markdown.

    Raises the error where one could not be tracked, and ServerError where a kind of machine was not measured. Where
    `demand` was missed on any, that goes before both.
    """
    from vecml.comparison.kinds_document import kinds_to_json
    from vecml.report.kinds import kinds_note

    results = found.kinds.results
    if not write_json(json, lambda: kinds_to_json(found.kinds)):
        if markdown:
            typer.echo(clean(kinds_note(results), keep="\n"), nl=False)
        else:
            _show(found)
    codes = []
    for one in results:
        if one.comparison is not None:
            try:
                fail_if_.leave(one.comparison, demand, fail_if, f"{one.kind.short}: ")
            except typer.Exit as exit_:
                codes.append(exit_.exit_code)
    if fail_if_.MISSED in codes:
        if found.untracked is not None:
            show_error(found.untracked)
        raise typer.Exit(fail_if_.MISSED)
    if found.untracked is not None:
        raise found.untracked
    failed = [one for one in results if one.failure is not None]
    if failed:
        first = failed[0].failure
        assert first is not None  # noqa: S101 -- those that failed have their reason
        if len(results) == 1:
            raise first
        raise ServerError(
            f"{len(failed)} of {len(results)} kinds of machine not measured: {failed[0].kind.short}: {first.message}",
            first.hint,
        )
    if codes:
        raise typer.Exit(fail_if_.UNDECIDED)


def _show(found: Found) -> None:
    from vecml.report.comparison import reasons, table
    from vecml.report.kinds import kind_sentence

    for number, one in enumerate(found.kinds.results):
        if number:
            console().print()
        if one.comparison is None:
            console().print(clean(kind_sentence(one)), style="bold", soft_wrap=True, markup=False)
            continue
        content, lines = table(one.comparison), reasons(one.comparison)
        address = found.pages.get(one.kind.machine_key)
        if address is not None:
            lines.append(opening(address))
        show_comparison(kind_sentence(one), content.headings, content.rows, lines, address)
    if len(found.runs) > 1:  # by id: a name may be that of several runs
        runs = " ".join(run_id[:ID_DIGITS] for run_id in found.runs)
        console().print(f"Between machines: {own_name()} diff {runs}", soft_wrap=True, markup=False)
