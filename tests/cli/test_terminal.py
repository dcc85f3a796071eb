"""What the terminal shows: colour and width as they are asked for, nothing cut off, warnings by code."""

import io
import sys
import time
import warnings
from pathlib import Path

import pytest

from vecml.cli import launch
from vecml.cli.terminal import Bars, progress_bars, show_error, show_result, shown_warnings
from vecml.config import make_config
from vecml.errors import DataError, SettingError
from vecml.progress import stage
from vecml.warnings import CODES, VecmlWarning, warn

LONG = "a value that is long " * 20
ROWS = [("data", LONG), ("[bold]name[/]", "a [red]value[/] and a\\backslash")]
ADDRESS = "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef0123456789abcdef"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fold_to_the_width_and_lose_nothing(
    plain: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_result("One sentence. " * 10, ROWS, ADDRESS)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines[:-1])) <= width
    assert lines[-1] == ADDRESS
    assert shown.replace("\n", "").replace(" ", "").count("avaluethatislong") == 20
    assert "…" not in shown
    assert "[bold]name[/]" in shown
    assert "[red]value[/]" in shown


def test_no_colour_where_there_is_no_terminal(plain: None, capsys: pytest.CaptureFixture[str]) -> None:
    show_error(DataError("column '[red]' is [bold]", "try [link]"))
    assert capsys.readouterr().err == "error: column '[red]' is [bold]\nhint: try [link]\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(plain: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    show_error(DataError("a", "b"))
    assert "\x1b[3" not in stream.getvalue()


def test_colour_on_a_terminal(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    show_error(DataError("a"))
    assert "\x1b[" in stream.getvalue()


def test_warnings_are_a_line_each_and_once(plain: None, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_warnings(()):
        for _ in range(2):
            warn("VML001", "column 'a' is constant and was dropped")
        warnings.warn("somebody else's", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "VML001 column 'a' is constant and was dropped\n"


def test_a_warning_can_be_silenced(plain: None, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_warnings(("VML001",)):
        warn("VML001", "a")
        warn("VML002", "b")
    assert capsys.readouterr().err == "VML002 b\n"


def test_a_code_that_does_not_exist() -> None:
    with pytest.raises(SettingError) as caught, shown_warnings(("VML999",)):
        pass
    assert caught.value.message == "--ignore VML999: there is no such warning"
    with pytest.raises(KeyError):
        warn("VML999", "a")


def test_every_code_is_in_the_docs() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "warnings.md").read_text(encoding="utf-8")
    for code, text in CODES.items():
        assert f'| <a id="{code}"></a>{code} | {text} |' in page


def test_a_vecml_warning_is_a_user_warning() -> None:
    assert issubclass(VecmlWarning, UserWarning)
    with pytest.warns(VecmlWarning, match="^VML001 a$"):
        warn("VML001", "a")


def test_a_bar_appears_for_what_lasts(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bars = Bars(after_seconds=0.01)
    bar = bars.begin("training", 10)
    limit = time.monotonic() + 10
    while "training" not in stream.getvalue():
        bars.advance(bar, 0.01)
        time.sleep(0.01)
        assert time.monotonic() < limit, "no bar"
    bars.end(bar)


def test_no_bar_for_what_is_short(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bars = Bars(after_seconds=3600)
    bar = bars.begin("reading", None)
    bars.advance(bar, 5)
    bars.end(bar)
    assert "reading" not in stream.getvalue()


def test_no_bars_without_a_terminal(plain: None, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(), stage("training", 3) as advance:
        advance(1)
    assert capsys.readouterr().err == ""


def test_a_known_conflict_is_said_before_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(launch, "known_conflicts", lambda: ["fastapi 0.155 breaks prefect 3.8.8"])
    with pytest.warns(VecmlWarning, match="^VML008 fastapi 0.155 breaks prefect 3.8.8$"):
        launch.check_here(make_config({"device": "cpu"}))


def test_the_bar_of_labelling_says_how_many_rows_a_second() -> None:
    bars = Bars(after_seconds=3600)
    labelled, trained = bars.begin("predicting", 4_000_000.0), bars.begin("training", 10)
    for bar, amount in ((labelled, 1_000_000.0), (trained, 1), (labelled, 1_000_000.0), (trained, 1)):
        time.sleep(0.01)
        bars.advance(bar, amount)
    shown = [bars._progress.columns[-1](task).plain for task in bars._progress.tasks]
    assert shown[0].endswith("row/s")
    assert shown[1] == ""
    for bar in (labelled, trained):
        bars.end(bar)
