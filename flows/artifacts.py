"""What a flow run shows in Prefect's UI: a link to its MLflow run and a short table of results."""

from prefect.artifacts import create_link_artifact, create_table_artifact

from vecml.report.result import PipelineResult
from vecml.report.summary import rows, sentence


def publish(result: PipelineResult) -> None:
    """Attach the link and the table to the current flow run."""
    where = "after `vecml ui`" if result.run.local else result.run.store
    create_link_artifact(
        link=result.run.url,
        link_text=f"MLflow run {result.run.name}",
        key="mlflow-run",
        description=f"[MLflow run {result.run.name}]({result.run.url}) ({where})",
    )
    create_table_artifact(
        table=[{"result": name, "value": value} for name, value in rows(result)],
        key="results",
        description=sentence(result),
    )
