"""`vecml compare --from FILE --fail-if WHAT`: the exit code is what the verdicts of the file show."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.made_comparison import comparison_of
from vecml.cli.app import app
from vecml.comparison.document import to_json


@pytest.mark.parametrize(
    ("what", "seconds", "code", "said"),
    [
        ("slower", 0.02, 1, "yes: torch against numpy: 0.50 times as fast"),
        ("slower:150%", 0.02, 0, "no: torch against numpy"),
        ("slower:100%", 0.02, 3, "not decided: torch against numpy"),
        ("slower", 0.005, 0, "no: torch against numpy: 2.01 times as fast"),
        ("not-faster", 0.005, 0, "no: torch against numpy"),
        ("not-faster", 0.02, 1, "yes: torch against numpy"),
    ],
)
def test_the_exit_code(tmp_path: Path, what: str, seconds: float, code: int, said: str) -> None:
    file = tmp_path / "made.json"
    file.write_text(to_json(comparison_of({"numpy": 0.01, "torch": seconds})), encoding="utf-8")
    done = CliRunner().invoke(app, ["compare", "--from", str(file), "--fail-if", what])
    assert done.exit_code == code, done.output
    assert f"--fail-if {what}: {said}" in done.stderr
