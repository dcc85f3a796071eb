"""A batch as a frozen model: Prefect shows it as a form, and a deployment keeps it."""

from pydantic import ConfigDict, Field, field_validator

from vecml.config import check_name
from vecml.fields import Declared


class BatchConfig(Declared):
    # Prefect's form shows the docstring and the descriptions.
    """Label many files into a folder of parts. What was interrupted goes on where it was."""

    model_config = ConfigDict(title="Batch")

    data: str = Field(min_length=1, title="Data", description="a folder, a pattern, names with commas, or an address")
    out: str = Field(min_length=1, title="Output", description="the folder of the parts, or its address")
    model: str = Field(
        "models:/vecml@champion",
        title="Model",
        description="models:/NAME@champion, models:/NAME/VERSION, or a run's name or id",
    )
    architecture: str | None = Field(
        None, title="Model class", description="package.module:Class of a model of your own class"
    )
    keep: tuple[str, ...] = Field((), title="Keep", description="columns to carry over")
    probabilities: bool = Field(False, title="Probabilities", description="a column for each class as well")
    row: bool = Field(False, title="Row", description="a column with the number of the row in the data")
    engine: str | None = Field(None, title="Engine", description="another engine than the one stored with the model")
    threads: int | None = Field(None, ge=1, title="Threads", description="another number of CPU threads")
    resume: bool = Field(True, title="Resume", description="take over the parts that are there")
    part_size: str | None = Field(
        None, title="Part size", description="about how much of the input becomes a part; 256MiB by default"
    )
    cluster: str | None = Field(
        None, title="Cluster", description="Ray's: auto, local:N or ray://HOST:PORT; this process alone by default"
    )
    node_timeout: float | None = Field(
        None, gt=0, title="Node time-out", description="seconds without a labelled row; 900 by default"
    )
    name: str | None = Field(None, title="Name", description="name of the run in MLflow")

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        check_name(name)
        return name
