"""What a comparison is made of, as a frozen model: the command line makes one, and Prefect shows it as a form."""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from vecml.config import DEVICES, ENGINES, ISAS, Isa, Layout, Precision, TrainingConfig
from vecml.errors import SettingError

ALL = "all"
# One list, which becomes a choice in a form; a union of two would not.
ComparedEngine = Literal["all", "row_loop", "numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide"]
Count = Annotated[int, Field(ge=1)]
CountOrAuto = Annotated[int, Field(ge=0)]
ComparedDevice = Literal["cpu", "cuda", "mps"]


class ComparisonConfig(BaseModel):
    # Prefect's form shows the docstring and the descriptions.
    """What is compared. As it stands: numpy against torch, a million generated rows, a verdict within a minute."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), title="Comparison")

    engines: tuple[ComparedEngine, ...] = Field(
        ("numpy", "torch"), min_length=1, title="Engines", description="libraries to compare; all takes every one here"
    )
    threads: tuple[Count, ...] = Field((), title="Threads", description="CPU threads; none takes every CPU")
    precision: tuple[Precision, ...] = Field(
        ("float32",), min_length=1, title="Precisions", description="what the inference computes in"
    )
    layout: tuple[Layout, ...] = Field(
        ("columns",), min_length=1, title="Layouts", description="features by column or by row"
    )
    isa: tuple[Isa, ...] = Field(
        ("native",), min_length=1, title="Instruction sets", description="of an engine that can choose, halide"
    )
    block_rows: tuple[CountOrAuto, ...] = Field(
        (), title="Block rows", description="rows worked on at a time; none, or 0, lets the cache size decide"
    )
    device: tuple[ComparedDevice, ...] = Field(
        ("cpu",), min_length=1, title="Devices", description="where the inference runs"
    )
    request_rows: tuple[Count, ...] = Field(
        (), title="Request rows", description="the latency of requests of so many rows instead of the throughput"
    )
    baseline: str | None = Field(
        None, title="Baseline", description="a setting or an engine; none takes the first that can run"
    )
    rows: int | None = Field(
        None,
        ge=1,
        le=10**10,
        title="Rows",
        description="rows inferred; none: a million generated ones, or the test part",
    )
    run: str | None = Field(None, title="Run", description="a tracked run: its model and its test part")
    budget: str = Field(
        "60s", title="Budget", description="wall time: 60s, 5m, auto, or quick for figures without a verdict"
    )
    name: str | None = Field(None, min_length=1, max_length=200, title="Name", description="name of the run")
    fail_on_regression: bool = Field(
        False,
        title="Fail on a regression",
        description="end as failed when a setting became slower than its history, confirmed by fresh launches",
    )
    subject: TrainingConfig = Field(
        TrainingConfig(), title="Data and model", description="what is trained where no run is named"
    )


def check_words(field: str, values: Sequence[str]) -> None:
    """Raise SettingError for a value that the field (`engines`, `precision` ...) does not know."""
    known: dict[str, tuple[str, ...]] = {
        "engine": (*ENGINES, ALL),
        "precision": get_args(Precision),
        "layout": get_args(Layout),
        "isa": ISAS,
        "device": DEVICES[1:],
    }
    for value in values:
        if value not in known[field]:
            choices = [choice for choice in known[field] if choice != ALL]
            flag = "engines" if field == "engine" else field
            raise SettingError(f"--{flag} {value}: there is no such {field}", f"choose from {', '.join(choices)}")
