"""What a flow run shows in Prefect's UI: a link to its MLflow run and a short table of results."""

from httpx import HTTPError
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.exceptions import PrefectException

from vecml.report.result import PipelineResult
from vecml.report.summary import markdown, rows, sentence
from vecml.warnings import warn


def publish(result: PipelineResult) -> None:
    """Attach the link and the table to the current flow run; a server that fails now costs only them (VML010)."""
    name = markdown(result.run.name)
    where = "after `vecml ui`" if result.run.local else markdown(result.run.store)
    try:
        create_link_artifact(
            link=result.run.url,
            link_text=f"MLflow run {name}",
            key="mlflow-run",
            description=f"[MLflow run {name}]({result.run.url}) ({where})",
        )
        create_table_artifact(
            table=[{"result": title, "value": value} for title, value in rows(result)],
            key="results",
            description=markdown(sentence(result)),
        )
    except (HTTPError, PrefectException) as error:
        warn("VML010", f"the flow run's link and table could not be made: {' '.join(str(error).split())[:300]}")
