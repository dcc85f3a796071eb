"""What tests of commands share: stores that are copies of a migrated one, and a command run in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.migrated_store import _stores_are_copies, migrated_database
from vecml.cli.app import main

__all__ = ["_stores_are_copies", "migrated_database"]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vecml(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`vecml("diff", "--json")` over the store of the module's `home`: exit code, standard output, standard error."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["vecml", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call
