"""What a run is made of: one frozen, validated record for the command line, a TOML file, Python and Prefect's form.

Validation on construction: whatever exists is possible in itself. Whether this machine can do it (threads, devices,
engines) is asked of `vecml.device` and `vecml.engines`, because a worker may be another machine.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, field_validator, model_validator

from vecml.errors import SettingError
from vecml.fields import Declared, Flag, RefusedError, flag, shown
from vecml.passwords import taken_out
from vecml.regular_file import read_regular

Activation = Literal["relu", "gelu", "tanh", "sigmoid"]
EngineName = Literal["row_loop", "numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide"]
EngineChoice = Literal["auto", "row_loop", "numpy", "torch", "torch_compile", "onnxruntime", "openvino", "halide"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float64", "float32", "tf32", "bfloat16", "float16"]
Layout = Literal["columns", "rows"]
ClassWeight = Literal["none", "balanced"]
Isa = Literal["native", "scalar", "sse41", "avx2", "avx512", "neon"]

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
ENGINES: tuple[str, ...] = get_args(EngineName)
PRECISIONS: tuple[str, ...] = get_args(Precision)
ISAS: tuple[str, ...] = get_args(Isa)

# How the address of a database begins; a path follows the third slash.
DATABASES = ("postgresql://", "postgres://", "sqlite:///", "duckdb://")

Width = Annotated[int, Field(ge=1, le=65_536)]
DATA, TRAINING, INFERENCE, RUN = "Data", "Training", "Inference", "Run"  # the headings of `vecml run --help`


class TrainingConfig(Declared):
    # Prefect's form shows the docstring and the descriptions; the latter are the command line's help as well.
    """The data and the network of a training. By default: 5,000 generated rows, a 10-32-2 network, five epochs.

    None in a field of the training means that `vecml.model.recipe` chooses it when the table is there.
    """

    model_config = ConfigDict(title="Data and model")

    data: Annotated[str | None, Flag(DATA, "SOURCE")] = Field(
        None,
        title="Data",
        description="a file (CSV and other text, Parquet, Feather, numpy, ARFF, Excel), a folder or pattern of files,"
        " here or at an address such as s3://bucket/folder, - for standard input, a database, or sklearn:NAME; none"
        " generates normal features",
    )
    query: Annotated[str | None, Flag(DATA, "SQL")] = Field(
        None, min_length=1, title="Query", description="the rows to read, where data is the address of a database"
    )
    target: Annotated[str | None, Flag(DATA, "COLUMN")] = Field(
        None, title="Target", description="the column that holds the label"
    )
    drop: Annotated[tuple[str, ...], Flag(DATA, "COLUMN,...")] = Field(
        (), title="Drop", description="columns to leave out; as a flag, quote a name that has a comma: '\"a, b\",id'"
    )
    keep: Annotated[tuple[str, ...], Flag(DATA, "COLUMN,...")] = Field(
        (), title="Keep", description="the only columns to use, beside the target; written as for --drop"
    )
    max_categories: Annotated[int, Flag(DATA, "N")] = Field(
        100,
        ge=2,
        le=10_000,
        title="Categories at most",
        description="values of a text column that become categories; of more, the commonest, and one for all others",
    )
    categorical: Annotated[tuple[str, ...], Flag(DATA, "COLUMN,...")] = Field(
        (),
        title="Categorical",
        description="columns that are categories whatever they say: codes such as 007, written as for --drop",
    )
    missing: Annotated[tuple[str, ...], Flag(DATA, "TEXT,...")] = Field(
        (),
        title="Missing",
        description="what stands for a missing value in this table, such as '?' or -99; written as for --drop",
    )
    day_first: Annotated[bool, Flag(DATA, "")] = Field(
        False,
        title="Day first",
        description="dates such as 01/02/2024 that fit both ways have the day first; none takes the month after a"
        " slash",
    )
    bins: Annotated[int | None, Flag(DATA, "N")] = Field(
        None, ge=2, le=100, title="Bins", description="cut a target of numbers into so many classes of equal size"
    )
    min_class_rows: Annotated[int, Flag(DATA, "N")] = Field(
        1, ge=1, le=10**9, title="Rows of a class", description="rows below which a class is rare"
    )
    rare_classes: Annotated[Literal["drop", "merge"], Flag(DATA, "NAME", noun="way")] = Field(
        "drop", title="Rare classes", description="leave out the rows of rare classes, or merge these into one class"
    )
    separator: Annotated[str | None, Flag(DATA, "CHARACTER")] = Field(
        None,
        min_length=1,
        title="Separator",
        description="what stands between the values of a text file, or its name, tab for example; none"
        " looks at the file",
    )
    encoding: Annotated[str | None, Flag(DATA, "NAME")] = Field(
        None, min_length=1, title="Encoding", description="a text file's encoding, cp1252 for example; none looks at it"
    )
    no_header: Annotated[bool, Flag(DATA, "")] = Field(
        False,
        title="No header",
        description="a text file's first row is data; its columns are called 0, 1, 2 and so on",
    )
    rows: Annotated[int, Flag(DATA, "N")] = Field(
        5_000, ge=1, le=10**12, title="Rows", description="rows to generate when there is no data file"
    )
    features: Annotated[int, Flag(DATA, "N")] = Field(
        10, ge=1, le=100_000, title="Features", description="features to generate"
    )
    test_fraction: Annotated[float, Flag(DATA, "SHARE")] = Field(
        0.2, gt=0, lt=1, title="Test fraction", description="share of the rows kept for testing"
    )
    sample: Annotated[int | None, Flag(DATA, "N")] = Field(
        None,
        ge=2,
        le=10**9,
        title="Sample",
        description="train on so many rows, drawn from the training part; tested with all of the test part",
    )
    on_disk: Annotated[bool, Flag(DATA, "")] = Field(
        False,
        title="On the disk",
        description="keep the table in temporary files instead of in memory, for more rows than memory; else that is"
        " done where files would not fit in it",
    )
    strict: Annotated[bool, Flag(DATA, "")] = Field(
        False, title="Strict", description="refuse a table of which something would have to be decided; else it is told"
    )
    hidden: Annotated[
        tuple[Width, ...] | None,
        Flag(TRAINING, "N,...|auto", default="auto", noun="width", complaint="not a list of widths", example="64,32"),
    ] = Field(
        None,
        min_length=1,
        max_length=8,
        title="Hidden",
        description="widths of the hidden layers; none lets the table decide, and is 32 without one",
    )
    activation: Annotated[Activation, Flag(TRAINING, "NAME")] = Field(
        "relu", title="Activation", description="the function between the layers"
    )
    architecture: Annotated[str | None, Flag(TRAINING, "MODULE:CLASS")] = Field(
        None,
        title="Architecture",
        description="a torch.nn.Module class of your own, made with (features, classes), instead of hidden layers",
    )
    weights: Annotated[str | None, Flag(TRAINING, "FILE")] = Field(
        None,
        title="Weights",
        description="a safetensors file of trained weights, which take the encoded table as it is: nothing is trained",
    )
    epochs: Annotated[int | None, Flag(TRAINING, "N|auto", default="auto")] = Field(
        None,
        ge=1,
        le=10**9,
        title="Epochs",
        description="passes over the training part; none goes on until rows that are held out of it say that it is"
        " enough, and is 5 for generated data",
    )
    batch_size: Annotated[int | None, Flag(TRAINING, "N|auto", default="auto")] = Field(
        None,
        ge=1,
        le=10**9,
        title="Batch size",
        description="rows per training step; none lets the table decide, and is 128 for generated data",
    )
    learning_rate: Annotated[
        float | None, Flag(TRAINING, "RATE|auto", default="auto", complaint="neither a number nor auto")
    ] = Field(
        None,
        gt=0,
        le=10,
        title="Learning rate",
        description="Adam's step size; none lets the table decide, and is 0.001 for generated data",
    )
    weight_decay: Annotated[
        float | None, Flag(TRAINING, "RATE|auto", default="auto", complaint="neither a number nor auto")
    ] = Field(
        None,
        ge=0,
        le=100,
        title="Weight decay",
        description="share of the weights that a step of size 1 takes away; none lets the table decide, and is 0 for"
        " generated data",
    )
    max_steps: Annotated[int | None, Flag(TRAINING, "N|auto", default="auto")] = Field(
        None,
        ge=1,
        le=10**9,
        title="Steps at most",
        description="training steps after which auto epochs end; none lets the table decide",
    )
    max_seconds: Annotated[float, Flag(TRAINING, "SECONDS")] = Field(
        300.0, gt=0, title="Seconds at most", description="wall time after which auto epochs end"
    )
    class_weight: Annotated[ClassWeight, Flag(TRAINING, "NAME", noun="class weight")] = Field(
        "none", title="Class weight", description="balanced: a row of a rare class counts more in training"
    )
    tune: Annotated[int, Flag(TRAINING, "N")] = Field(
        0,
        ge=0,
        le=1_000,
        title="Tune",
        description="settings of width, learning rate and weight decay to try on rows held out of the training part",
    )
    seed: Annotated[int, Flag(TRAINING, "N")] = Field(
        0, ge=0, le=2**32 - 1, title="Seed", description="seed of the data, the split and the training"
    )

    @model_validator(mode="after")
    def _architecture_stands_alone(self) -> "TrainingConfig":
        if self.architecture is not None:
            for field in ("hidden", "activation"):
                value = getattr(self, field)
                # A run of vecml 0.2 has its default of hidden in its file.
                if value not in (type(self).model_fields[field].default, (32,)):
                    why = f"--architecture {self.architecture} has its own layers: leave one out"
                    raise ValueError(f"--{field} {shown(value)}: {why}")
        return self

    @field_validator("data")
    @classmethod
    def _no_password_is_kept(cls, data: str | None) -> str | None:
        return None if data is None else taken_out(data)

    @model_validator(mode="after")
    def _query_goes_with_a_database(self) -> "TrainingConfig":
        is_database = self.data is not None and self.data.startswith(DATABASES)
        if self.query is not None and not is_database:
            raise ValueError(f"--query needs a database: --data with one of {', '.join(DATABASES)}")
        if is_database and self.query is None:
            raise RefusedError(f"--data {self.data}: which rows?", "--query 'SELECT * FROM table'")
        return self

    @model_validator(mode="after")
    def _tuning_needs_held_out_rows(self) -> "TrainingConfig":
        if self.tune:
            if self.data is None:
                raise ValueError(f"--tune {self.tune} needs --data: generated data is trained on as the notebook does")
            for field in ("epochs", "architecture", "weights"):
                if getattr(self, field) is not None:
                    raise ValueError(f"--tune {self.tune}: leave out --{field}: held-out rows end each trial")
        return self

    @model_validator(mode="after")
    def _target_goes_with_data(self) -> "TrainingConfig":
        if self.data is None:
            texts = ("day_first", "separator", "encoding", "no_header")
            for field in ("target", "drop", "keep", "categorical", "missing", "bins", "on_disk", *texts):
                if getattr(self, field):
                    what = "the table" if field in ("on_disk", *texts) else "the column"
                    raise ValueError(f"{flag(field)} needs --data: name the file that holds {what}")
        both = sorted(set(self.drop) & set(self.keep))
        if both:
            raise ValueError(f"column {both[0]!r} is both dropped and kept")
        if self.target is not None and self.target in self.drop:
            raise ValueError(f"column {self.target!r} is the target and cannot be dropped")
        return self


class PipelineConfig(TrainingConfig):
    """A pipeline run: the data and the network, and how the inference runs."""

    model_config = ConfigDict(title="Pipeline")

    replicas: Annotated[int, Flag(TRAINING, "N")] = Field(
        1,
        ge=1,
        le=1_024,
        title="Replicas",
        description="networks trained at once from different seeds; their accuracies get a mean and an interval",
    )
    engine: Annotated[EngineChoice, Flag(INFERENCE, "NAME")] = Field(
        "torch",
        title="Engine",
        description="the library that runs the inference; auto compares them once and remembers which is the fastest",
    )
    budget: Annotated[str, Flag(INFERENCE, "TIME")] = Field(
        "90s", title="Budget", description="wall time of the comparison that engine auto makes"
    )
    device: Annotated[DeviceName, Flag(INFERENCE, "NAME")] = Field(
        "auto", title="Device", description="where training and inference run; auto takes a GPU where there is one"
    )
    precision: Annotated[Precision, Flag(INFERENCE, "NAME")] = Field(
        "float32", title="Precision", description="what the inference computes in"
    )
    layout: Annotated[Layout, Flag(INFERENCE, "NAME")] = Field(
        "columns", title="Layout", description="how the features lie in memory, by column or by row"
    )
    isa: Annotated[Isa, Flag(INFERENCE, "NAME")] = Field(
        "native", title="Instruction set", description="what an engine that can choose, halide, compiles for"
    )
    threads: Annotated[int | None, Flag(INFERENCE, "N")] = Field(
        None,
        ge=1,
        title="Threads",
        description="CPU threads of the inference; none takes every CPU that this process may use",
    )
    block_rows: Annotated[
        int | None, Flag(INFERENCE, "N|auto", default="auto", complaint="neither a number nor auto")
    ] = Field(None, ge=1, title="Block rows", description="rows worked on at a time; none lets the cache size decide")
    no_simple_models: Annotated[bool, Flag(TRAINING, "")] = Field(
        False,
        title="No simple models",
        description="leave logistic regression and gradient boosting out, which say what a simple model gives on a"
        " table; they take a second for a small one and up to a minute for a large one",
    )
    name: Annotated[str | None, Flag(RUN, "TEXT")] = Field(
        None, min_length=1, max_length=200, title="Name", description="name of the run; none lets one be made"
    )

    @model_validator(mode="after")
    def _name_is_one_line(self) -> "PipelineConfig":
        check_name(self.name)
        return self

    @model_validator(mode="after")
    def _replicas_are_of_vecmls_network(self) -> "PipelineConfig":
        if self.replicas > 1:
            for field in ("architecture", "weights"):
                if getattr(self, field) is not None:
                    raise ValueError(
                        f"--replicas {self.replicas}: only vecml's own network is trained so, no --{field}"
                    )
        return self


@dataclass(frozen=True)
class Setting:
    """One way to run inference, resolved for this machine: nothing is "auto" any more.

    Attributes:
        engine: a name of the registry.
        device: `cpu`, `cuda` or `mps`; device_index counts within it.
        precision: what is computed in.
        layout: `columns` (F, N) or `rows` (N, F), what the engine is handed.
        threads: CPU threads.
        block_rows: rows worked on at a time inside a call; None lets the engine choose from the cache size.
        isa: instruction set of an engine that can choose.
        request_rows: rows per call; None is all of them.
        scope: `host`: host array in, host labels out.
    """

    engine: str
    device: str = "cpu"
    device_index: int = 0
    precision: Precision = "float32"
    layout: Layout = "columns"
    threads: int = 1
    block_rows: int | None = None
    isa: Isa = "native"
    request_rows: int | None = None
    scope: str = "host"


def check_name(name: str | None) -> None:
    """Raise ValueError for the name of a run that is not one line of printable text."""
    if name is not None and (not name.strip() or not name.isprintable()):
        raise ValueError(f"--name {name!r}: must be one line of printable text")


def make_config(values: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> PipelineConfig:
    """A config from `values` laid over `base` (a file's content, say); None means "not given".

    Raises SettingError with one line that names the first offending flag and value.
    """
    return PipelineConfig.checked(
        {**(base or {}), **{name: value for name, value in values.items() if value is not None}}
    )


def read_config_file(path: Path) -> dict[str, Any]:
    """The content of a TOML configuration file: PipelineConfig's fields, dashes or underscores alike.

    Raises SettingError when there is no such file or it is no TOML.
    """
    try:
        content = tomllib.loads(read_regular(path).decode("utf-8-sig"))
    except OSError as error:
        raise SettingError(f"--config {path}: {error.strerror or error}", "name a TOML file that can be read") from None
    except (ValueError, RecursionError) as error:  # also numbers of 5,000 digits, and 50,000 brackets
        raise SettingError(
            f"--config {path}: not TOML: {error}", 'a line looks like: epochs = 60, or data = "file.csv"'
        ) from None
    return {name.replace("-", "_"): value for name, value in content.items()}
