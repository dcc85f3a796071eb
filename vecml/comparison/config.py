"""What a comparison is made of, as a frozen model: the command line makes one, and Prefect shows it as a form."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from vecml.config import Isa, Layout, PipelineConfig, Precision, TrainingConfig, check_name
from vecml.fields import Declared, Flag, RefusedError, flag

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
    run: Annotated[str | None, Flag(DATA_AND_MODEL, "RUN")] = Field(
        None, title="Run", description="a run's id, the beginning of it, or its name: that run's model and test part"
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
    def _subject_is_what_is_trained(cls, subject: Any) -> Any:
        """Refuse, in one line, the fields of a pipeline run, which a deployment of vecml 0.1 gives its subject."""
        given = subject.model_dump(exclude_unset=True) if isinstance(subject, PipelineConfig) else subject
        names = given.keys() - TrainingConfig.model_fields if isinstance(given, Mapping) else ()
        former = [name for name in PipelineConfig.model_fields if name in names]
        if not former:
            return given
        does, them = ("does", "it") if len(former) == 1 else ("do", "them")
        line = f"subject has {', '.join(former)}, which {does} nothing in a comparison"
        places = ["engines" if name == "engine" else name for name in former if name != "replicas"]
        hint = f"leave {them} out of the subject"
        raise RefusedError(line, f"{hint}, and set {', '.join(places)} of the comparison itself" if places else hint)

    @model_validator(mode="after")
    def _a_run_is_trained_already(self) -> "ComparisonConfig":
        for name, field in TrainingConfig.model_fields.items():
            # The class is needed to load a model that is a module of the user's own.
            if self.run is not None and name != "architecture" and getattr(self.subject, name) != field.default:
                raise ValueError(f"{flag(name)} goes with training; --run {self.run} is trained already")
        return self

    @model_validator(mode="after")
    def _name_is_one_line(self) -> "ComparisonConfig":
        check_name(self.name)
        return self
