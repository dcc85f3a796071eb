"""What `pipeline(config)` returns: the record of the run, which shows itself."""

from dataclasses import dataclass

from vecml.record import PipelineRecord
from vecml.report.summary import as_html, as_text


@dataclass(frozen=True, repr=False)
class PipelineResult(PipelineRecord):
    """A pipeline run's record; `print` and a Jupyter cell show sentence and table."""

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)
