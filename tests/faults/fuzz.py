"""Coverage-guided fuzzing of what vecml reads: `make fuzz`, or `python -m tests.faults.fuzz text --seconds 60`.

Atheris (libFuzzer) makes inputs that reach new lines of vecml. Whatever comes of one is a result or a VecmlError in one
line; anything else is kept in a file: another exception, no memory, more than ten seconds, a process that ends. Atheris
needs a wheel for this Python and is none of vecml's packages: it is installed into an environment of its own, which
borrows the others.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import venv
import warnings
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

ATHERIS = "atheris==3.0.0"
GROUPS = ("text", "binary", "document", "archive", "settings")
FOLDER = Path(".bench/fuzz")
SECONDS = 720.0  # for each group: an hour for all of them
LONGEST = 10  # seconds for one input
MEMORY = 4 << 30  # of address space: torch's libraries alone map 2
ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Fuzz the groups one after the other; print what was found, and return 1 where there is something."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="what is read; by default everything")
    asked.add_argument("--seconds", type=float, default=SECONDS, help="for each group")
    asked.add_argument("--out", type=Path, default=FOLDER, help="where findings and grown inputs are kept")
    asked.add_argument("--python", type=Path, help="one that has Atheris; by default an environment is made")
    given = asked.parse_args(arguments)
    python = given.python or environment(FOLDER / "environment")
    found = [path for group in given.groups or GROUPS for path in fuzzed(group, given.seconds, given.out, python)]
    for path in found:
        print(f"\n{path}\n{path.with_suffix('.txt').read_text(errors='replace')[-1_500:]}")  # noqa: T201 -- the report
    return 1 if found else 0


def environment(folder: Path) -> Path:
    """Give the Python of an environment with Atheris and this one's packages; pip installs it the first time."""
    python = folder / "bin/python"
    if not (folder / ".ready").is_file():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", ATHERIS], check=True)
        (place,) = folder.glob("lib/python*/site-packages")
        (place / "vecml.pth").write_text("\n".join([str(ROOT), *(one for one in sys.path if "site-packages" in one)]))
        (folder / ".ready").touch()
    return python


def fuzzed(group: str, seconds: float, out: Path, python: Path) -> list[Path]:
    """Fuzz a group for so long, again wherever the process ends; give the files of what was found."""
    corpus, findings = (out / group / name for name in ("corpus", "findings"))
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    end, starts = time.monotonic() + seconds, 0
    with (out / group / "log.txt").open("a") as log:
        while (left := int(end - time.monotonic())) > 1 and starts < 50:
            starts += 1
            options = [
                f"-max_total_time={left}", f"-timeout={LONGEST}", "-rss_limit_mb=4000", "-max_len=40000",
                "-detect_leaks=0", f"-artifact_prefix={findings}/ended-", "-print_final_stats=1",
            ]  # fmt: skip
            subprocess.run(
                [python, "-P", "-m", "tests.faults.fuzz", "--child", group, str(findings), *options, str(corpus)],
                stdout=log, stderr=log, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
    for path in findings.glob("ended-*"):
        if not path.with_suffix(".txt").exists():
            path.with_suffix(".txt").write_text("the process ended, or took too long; the log has the stack\n")
    return sorted(path for path in findings.iterdir() if path.suffix != ".txt")


def child(group: str, findings: Path, options: list[str]) -> None:
    """Fuzz in this process, which libFuzzer ends; a fault is kept once for each place in the code."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["vecml", "tasks", "tomllib", "zipfile"], enable_loader_override=False):
        from tests.faults import fuzz_targets as targets
    from vecml.errors import VecmlError

    warnings.simplefilter("ignore")
    target = targets.GROUPS[group]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place)
        os.environ["VECML_CACHE"] = str(folder / "cache")
        if group == "settings":
            targets.make_model(folder)
        corpus = Path(options[-1])
        for number, content in enumerate(targets.seeds(group, folder)):
            (corpus / f"seed-{number}").write_bytes(content)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

        def one(content: bytes) -> None:
            if not content:
                return
            try:
                target(content, folder)
            except VecmlError as error:
                if "\n" in error.message or len(error.message) > 2_000:
                    keep(findings, content, f"an error of {len(error.message)} characters", [error.message[:300]])
            except Exception as error:  # noqa: BLE001 -- whatever is no error of vecml's is what is looked for
                keep(findings, content, type(error).__name__, traceback.format_exc().splitlines())

        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


def keep(findings: Path, content: bytes, what: str, told: Iterable[str]) -> None:
    """Keep an input, the smallest for each kind of fault and place in vecml's own code."""
    told = list(told)
    places = [line.strip() for line in told if "/vecml/" in line or "/tasks/" in line]
    name = "".join(letter if letter.isalnum() else "-" for letter in f"{what} {places[-1] if places else ''}")[-120:]
    path = findings / name
    if path.exists() and path.stat().st_size <= len(content):
        return
    path.write_bytes(content)
    path.with_suffix(".txt").write_text("\n".join([what, *told]), errors="replace")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        raise SystemExit(main(sys.argv[1:]))
