"""Which Prefect server is meant, read without Prefect."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.server import configured_url


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)


def test_none() -> None:
    assert configured_url() is None


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    assert configured_url() == "http://127.0.0.1:1/api"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prefect.toml", '[api]\nurl = "http://127.0.0.1:2/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://127.0.0.1:2/api"\n'),
        ("home/profiles.toml", 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://127.0.0.1:2/api"\n'),
    ],
)
def test_a_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert configured_url() == "http://127.0.0.1:2/api"


def test_another_profile_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home/profiles.toml").write_text(
        'active = "b"\n[profiles.a]\nPREFECT_API_URL = "http://x"\n[profiles.b]\n'
    )
    assert configured_url() is None
    monkeypatch.setenv("PREFECT_PROFILE", "a")
    assert configured_url() == "http://x"


def test_a_damaged_file_is_left_to_prefect(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[api\n")
    assert configured_url() is None


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("vecml.cli.app", ("numpy", "torch", "prefect", "mlflow", "pyarrow", "httpx")),
        ("vecml.cli.launch", ("torch", "prefect", "mlflow", "pyarrow", "sklearn", "scipy", "matplotlib")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
