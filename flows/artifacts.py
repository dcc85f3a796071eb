"""Show a flow run's results in Prefect's UI: a link to its MLflow run and a short table."""

from collections.abc import Sequence

from httpx import HTTPError
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.exceptions import PrefectException

from vecml.batch.label import Labelled
from vecml.comparison.comparison import Comparison
from vecml.errors import one_line
from vecml.numbers import count, rate
from vecml.report.comparison import sentence as comparison_sentence
from vecml.report.comparison import table as comparison_table
from vecml.report.summary import PipelineResult, markdown, rows, sentence
from vecml.tracked_run import TrackedRun
from vecml.warnings import warn


def publish(result: PipelineResult) -> None:
    """Attach a pipeline run's link and table to the current flow run."""
    _attach(result.run, [{"result": title, "value": value} for title, value in rows(result)], sentence(result))


def publish_comparison(comparison: Comparison, run: TrackedRun) -> None:
    """Attach the link to a comparison's parent run, and its table, to the current flow run."""
    content = comparison_table(comparison)
    table = [dict(zip(content.headings, row, strict=True)) for row in content.rows]
    _attach(run, table, comparison_sentence(comparison))


def publish_labels(labelled: Labelled, classes: Sequence[str], run: TrackedRun) -> None:
    """Attach the link to a batch's run, and a table of its classes and nodes, to the current flow run."""
    table = [
        {"what": f"class {name}", "rows": f"{rows:,}", "rate": ""}
        for name, rows in zip(classes, labelled.counts, strict=True)
    ]
    for node in labelled.crew.nodes:
        speed = rate(node.rows / node.seconds) if node.seconds else ""
        table.append({"what": f"node {node.node}", "rows": f"{node.rows:,}", "rate": speed})
    _attach(run, table, f"{count(labelled.n_rows, 'row')} of {count(labelled.files, 'file')} in {labelled.folder}")


def _attach(run: TrackedRun, table: list[dict[str, str]], description: str) -> None:
    """Attach link and table; if the server fails now, warn (VML010): the result itself is stored already."""
    name = markdown(run.name)
    where = "after `vecml ui`" if run.local else markdown(run.store)
    try:
        create_link_artifact(
            link=run.url,
            link_text=f"MLflow run {name}",
            key="mlflow-run",
            description=f"[MLflow run {name}]({run.url}) ({where})",
        )
        create_table_artifact(table=table, key="results", description=markdown(description))
    except (HTTPError, PrefectException) as error:
        warn("VML010", f"the flow run's link and table could not be made: {one_line(error, whole=True, limit=300)}")
