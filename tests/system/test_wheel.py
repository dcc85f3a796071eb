"""The wheel is whole: built from the source distribution, installed without the checkout, it runs in an empty folder.

Nothing is downloaded: what vecml depends on comes from this environment, whose folders of packages the fresh one reads.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vecml import __version__

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "vecml", "tasks", "flows")

pytestmark = [
    pytest.mark.system,
    pytest.mark.xdist_group("wheel"),
    pytest.mark.timeout(900),
]  # a minute, on a machine that does nothing else


def done(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    process = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` builds, from a copy: setuptools leaves its own folders beside the sources."""
    pytest.importorskip("build", reason="make setup installs what builds the wheel")
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    done(sys.executable, "-m", "build", "--no-isolation", "--quiet", "--outdir", "dist", ".", cwd=copy)
    return copy / "dist"


@pytest.fixture(scope="module")
def fresh(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel, where everything else is borrowed from this one."""
    place = tmp_path_factory.mktemp("fresh")
    done(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    (wheel,) = dist.glob("*.whl")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel)
    done(sys.executable, "-m", "pip", "--python", place / "bin" / "python", *install, cwd=place)
    borrowed = [folder for folder in sys.path if Path(folder).name == "site-packages"]
    site = done(place / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place)
    (Path(site.strip()) / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return place / "bin"


def test_both_distributions_carry_the_version(dist: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {
        f"vecml-{__version__}.tar.gz",
        f"vecml-{__version__}-py3-none-any.whl",
    }


@pytest.mark.long
def test_the_installed_wheel_runs_and_compares_in_an_empty_folder(
    fresh: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    code = "import flows, tasks, vecml; print(flows.__file__, tasks.__file__, vecml.__file__)"
    for place in done(fresh / "python", "-c", code, cwd=tmp_path).split():
        assert Path(place).is_relative_to(fresh.parent)
    run = done(fresh / "vecml", "run", "--rows", "2000", "--name", "first", cwd=tmp_path, env=environment)
    assert "test rows labelled right" in run
    assert (tmp_path / "mlruns" / "mlflow.db").exists()
    compare = ("compare", "--quick", "--run", "first", "--engines", "numpy,torch")
    assert "measured in 1 launch" in done(fresh / "vecml", *compare, cwd=tmp_path, env=environment)
    report = done(
        fresh / "vecml", "report", "first", "--no-open", cwd=tmp_path, env=environment
    )  # templates came along
    assert (tmp_path / report.strip()).stat().st_size > 10_000
