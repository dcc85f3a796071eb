"""MLflow's server as `vecml ui` and `vecml up` start it: for this machine, and for its own pages only.

MLflow by itself lets the pages of every server on this machine change its runs. It knows this application as `vecml`
by the entry point of that name in pyproject.toml: `mlflow server --app-name vecml`.
"""

from vecml.own_pages import OwnPagesOnly

NAME = "vecml"


def app() -> OwnPagesOnly:
    """Make the application, in the process that serves it."""
    from mlflow.server.fastapi_app import app as mlflow_app  # noqa: PLC0415 -- heavy, and only the server needs it

    return OwnPagesOnly(mlflow_app)
