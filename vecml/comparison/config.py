"""What a comparison is made of, as a frozen model: the command line makes one, and Prefect shows it as a form."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from vecml.config import Isa, Layout, PipelineConfig, Precision, TrainingConfig
from vecml.fields import Declared, Flag

# One list, which becomes a choice in a form; a union of two would not.
ComparedEngine = Literal["all", "row_loop", "numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide"]
Count = Annotated[int, Field(ge=1)]
CountOrAuto = Annotated[int, Field(ge=0)]
ComparedDevice = Literal["cpu", "cuda", "mps"]
SETTINGS, DATA_AND_MODEL, MEASURING = "Settings", "Data and model", "Measuring"  # the headings of the command's help


class ComparisonConfig(Declared):
    # Prefect's form shows the docstring and the descriptions; the latter are the command line's help as well.
    """A comparison. By default: numpy against torch, a million generated rows, a verdict within a minute."""

    model_config = ConfigDict(title="Comparison")

    engines: Annotated[tuple[ComparedEngine, ...], Flag(SETTINGS, "NAME,...|all", noun="engine")] = Field(
        ("numpy", "torch"), min_length=1, title="Engines", description="engines to compare; all takes every one"
    )
    threads: Annotated[tuple[Count, ...], Flag(SETTINGS, "N,...", default="every CPU")] = Field(
        (), title="Threads", description="numbers of CPU threads; none takes every CPU"
    )
    precision: Annotated[tuple[Precision, ...], Flag(SETTINGS, "NAME,...")] = Field(
        ("float32",), min_length=1, title="Precisions", description="precisions to compute in"
    )
    layout: Annotated[tuple[Layout, ...], Flag(SETTINGS, "NAME,...")] = Field(
        ("columns",), min_length=1, title="Layouts", description="how the features lie in memory, by column or by row"
    )
    isa: Annotated[tuple[Isa, ...], Flag(SETTINGS, "NAME,...", noun="instruction set")] = Field(
        ("native",),
        min_length=1,
        title="Instruction sets",
        description="instruction sets of an engine that can choose, halide",
    )
    block_rows: Annotated[
        tuple[CountOrAuto, ...],
        Flag(SETTINGS, "N|auto,...", default="auto", complaint="neither a number nor auto"),
    ] = Field(
        (), title="Block rows", description="rows worked on at a time in a call; none, or 0, lets the cache size decide"
    )
    device: Annotated[tuple[ComparedDevice, ...], Flag(SETTINGS, "NAME,...")] = Field(
        ("cpu",), min_length=1, title="Devices", description="where the inference runs"
    )
    request_rows: Annotated[tuple[CountOrAuto, ...], Flag(SETTINGS, "N,...")] = Field(
        (),
        title="Request rows",
        description="measure the latency of requests of so many rows, not the throughput; 0 is all rows at once",
    )
    baseline: Annotated[str | None, Flag(SETTINGS, "NAME", default="the first")] = Field(
        None, title="Baseline", description="a setting's name, or an engine's: the others are compared with it"
    )
    rows: Annotated[int | None, Flag(DATA_AND_MODEL, "N")] = Field(
        None,
        ge=1,
        le=10**10,
        title="Rows",
        description="rows inferred; none takes a million generated ones, or the test part of the data; more repeat it",
    )
    run: Annotated[str | None, Flag(DATA_AND_MODEL, "RUN_ID")] = Field(
        None, title="Run", description="a tracked run: its model and its test part"
    )
    budget: Annotated[str, Flag(MEASURING, "TIME|auto")] = Field(
        "60s",
        title="Budget",
        description="wall time for everything: 60s, 5m, auto (until the intervals are narrow, 5 minutes at most), or"
        " quick for figures without a verdict",
    )
    name: Annotated[str | None, Flag(MEASURING, "TEXT")] = Field(
        None, min_length=1, max_length=200, title="Name", description="name of the run; none lets one be made"
    )
    fail_on_regression: bool = Field(
        False,
        title="Fail on a regression",
        description="end as failed when a setting became slower than its history, confirmed by fresh launches",
    )
    subject: TrainingConfig = Field(
        TrainingConfig(), title="Data and model", description="what is trained where no run is named"
    )

    @field_validator("subject", mode="before")
    @classmethod
    def _refuse_former_fields(cls, subject: Any) -> Any:
        """Refuse, in one line, the fields of a pipeline run that a deployment of vecml 0.1 gives its subject."""
        if isinstance(subject, Mapping):
            former = [
                name for name in PipelineConfig.model_fields if name in subject.keys() - TrainingConfig.model_fields
            ]
            if former:
                raise ValueError(
                    f"subject has {', '.join(former)}, which do nothing in a comparison: leave them out of the subject"
                )
        return subject
