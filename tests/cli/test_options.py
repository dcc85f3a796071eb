"""Flags come from the models: each field is a flag and a key with one description; help waits for nothing heavy."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from vecml.cli.app import app
from vecml.cli.compare import read_comparison_file
from vecml.cli.options import Fields, JsonFile, columns, command, help_of, option
from vecml.comparison.config import ComparisonConfig
from vecml.config import PipelineConfig, TrainingConfig
from vecml.errors import SettingError
from vecml.fields import flag, flag_of

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def flags_of(name: str) -> dict[str, Any]:
    return {option: parameter for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize(
    ("name", "model", "without"),
    [
        ("run", PipelineConfig, set()),
        ("compare", ComparisonConfig, {"fail_on_regression", "subject"}),  # for the flow; a table of its own
        ("compare", TrainingConfig, {"rows"}),  # the comparison's own
    ],
)
def test_every_field_is_a_flag_with_its_description(name: str, model: Any, without: set[str]) -> None:
    shown = flags_of(name)
    for field, information in model.model_fields.items():
        if field in without:
            continue
        mark = flag_of(information)
        assert mark is not None, f"{field} has no Flag"
        parameter = shown[flag(field)]
        assert parameter.help == help_of(information)
        assert parameter.metavar == (mark.metavar or None)
        assert parameter.help.lower().startswith(information.description.lower()), field


def test_every_command_has_debug_and_its_json_is_checked_beforehand(tmp_path: Path) -> None:
    assert all("--debug" in flags_of(name) for name in COMMANDS)
    small = typer.Typer()

    @command()
    def write(json: JsonFile = None) -> None:
        raise AssertionError(json)

    small.command()(write)
    with pytest.raises(SettingError) as caught:
        small(["--json", str(tmp_path / "none" / "a.json")], standalone_mode=False)
    assert caught.value.message == f"--json {tmp_path}/none/a.json: there is no folder {tmp_path}/none"
    with pytest.raises(SettingError, match="it is a folder"):
        small(["--json", str(tmp_path)], standalone_mode=False)


def test_a_command_gets_what_was_given_and_nothing_else() -> None:
    got: list[Any] = []

    @command(Fields(TrainingConfig, without=("rows",)))
    def look(values: dict[str, Any], rows: Annotated[int, option("Rows.")] = 3) -> None:
        got.append((values, rows))

    small = typer.Typer()
    small.command()(look)
    small(["--drop", 'a,"b,c"', "--drop", "d", "--hidden", "8", "--rows", "5"], standalone_mode=False)
    assert got == [({"drop": ("a", "b,c", "d"), "hidden": "8"}, 5)]


def test_names_of_columns() -> None:
    assert columns(["a, b", '"c,d"']) == ("a", "b", "c,d")


CAN_BE = [
    (
        'engines = ["numpy", "halide"]\nrows = 5\nepochs = 60\n',
        {"engines": ["numpy", "halide"], "rows": 5},
        {"epochs": 60},
    ),
    ("threads = 2\n[subject]\nbatch-size = 32\nrows = 7\n", {"threads": 2}, {"batch_size": 32, "rows": 7}),
    (
        'data = "sklearn:digits"\nbudget = "30s"\nname = "a"\n',
        {"budget": "30s", "name": "a"},
        {"data": "sklearn:digits"},
    ),
]


@pytest.mark.parametrize(("text", "own", "subject"), CAN_BE)
def test_a_comparisons_file_holds_its_own_fields_and_those_of_training(
    tmp_path: Path, text: str, own: dict[str, Any], subject: dict[str, Any]
) -> None:
    (tmp_path / "job.toml").write_text(text)
    found = read_comparison_file(tmp_path / "job.toml")
    assert found == {**own, "subject": subject}
    ComparisonConfig.checked(found)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            'epochs = 3\nengine = "numpy"\n',
            '--config {file}: engine = "numpy" does nothing here',
            "write engines = [...], with two or more",
        ),
        (
            "replicas = 4\n",
            "--config {file}: replicas = 4 does nothing here",
            "leave it out: a comparison trains one network",
        ),
        (
            "fail-on-regression = true\n",
            "--config {file}: fail_on_regression = true does nothing here",
            "leave it out: it is for the flow; vecml history --check looks for slowdowns",
        ),
        (
            "rows = 2000\n",
            "--config {file}: rows = 2000: those of the inference, or those to generate?",
            "--rows 2000 for the inference; under [subject] for those to generate",
        ),
        (
            'device = "auto"\nbudget = "30s"\n',
            '--config {file}: device = "auto": a comparison does not choose a device',
            'write device = "cpu", or several: device = ["cpu", "cuda"]',
        ),
        ("subject = 3\n", "--config {file}: subject is a table", "for example [subject], and below it epochs = 60"),
    ],
)
def test_a_file_with_what_does_nothing_in_a_comparison_is_refused(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    file = tmp_path / "job.toml"
    file.write_text(text)
    with pytest.raises(SettingError) as caught:
        read_comparison_file(file)
    assert (caught.value.message, caught.value.hint) == (message.format(file=file), hint)


@pytest.mark.parametrize("text", ['run = "a1"\nepochs = 60\n', "epochs = 60\n[subject]\nhidden = 8\nrows = 7\n"])
def test_beside_a_run_the_files_fields_of_training_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """One file serves both: a comparison that trains, and one of a run, which is named by a flag or in the file."""
    file = tmp_path / "job.toml"
    file.write_text('architecture = "a.b:C"\nbudget = "30s"\ndevice = "auto"\n' + text)
    asked: list[ComparisonConfig] = []
    monkeypatch.setattr("vecml.cli.compare._tracked", lambda measure, *_, **__: (asked.append(measure.args[0]), None))
    monkeypatch.setattr("vecml.cli.compare._show", lambda *_, **__: None)
    app(["compare", "--config", str(file), "--run", "a1", "--device", "cpu"], standalone_mode=False)
    assert asked == [ComparisonConfig(run="a1", budget="30s", subject=TrainingConfig(architecture="a.b:C"))]


def test_a_file_may_not_hold_an_unknown_key(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text("epoch = 3\n")
    with pytest.raises(SettingError) as caught:
        ComparisonConfig.checked(read_comparison_file(tmp_path / "job.toml"))
    assert (caught.value.message, caught.value.hint) == ("unknown setting 'epoch'", "did you mean epochs?")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--run", "nothing", "--epochs", "3"), "--epochs goes with training; --run nothing is trained already"),
        (("--from", "none.json", "--quick"), "--quick with --from: nothing is measured"),
        (("--from", "none.json", "--engines", "numpy,torch"), "--engines with --from: nothing is measured"),
        (("--architecture", "a:B", "--activation", "relu"), "--activation relu: --architecture a:B has its own layers"),
        (("--engines", "tensorflow,numpy"), "--engines tensorflow: there is no such engine"),
        (("--engines", ""), "--engines: name at least one engine"),
    ],
)
def test_flags_that_a_comparison_refuses(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        app(["compare", *flags], standalone_mode=False)
    assert caught.value.message == message


def test_help_waits_for_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vecml.cli.app import app\napp(['compare', '--help'], standalone_mode=False)\n"
        "print(sorted({'numpy', 'torch', 'mlflow', 'prefect', 'pyarrow', 'scipy', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://host/a.json", "https://host/a.json: it is no file of this machine"),
        ("s3://bucket/a.json", "s3://bucket/a.json: it is no file of this machine"),
        ("file:///tmp/a.json", "file:///tmp/a.json: an address is no path"),
        ("file:/tmp/a.json", "file:///tmp/a.json: an address is no path"),
    ],
)
def test_an_address_is_no_file_and_keeps_its_slashes(address: str, said: str) -> None:
    small = typer.Typer()

    @command()
    def write(file: Annotated[Path, typer.Argument()], json: JsonFile = None) -> None:
        raise AssertionError(file, json)

    small.command()(write)
    for arguments in ([address], ["there", "--json", address]):
        with pytest.raises(SettingError) as caught:
            small(arguments, standalone_mode=False)
        assert caught.value.message == said
