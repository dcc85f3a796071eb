"""The lists in this folder: every package at one version, with the SHA-256 of each of its files.

`python requirements/pins.py write` makes the lists from pyproject.toml and constraints.txt, which holds the versions;
what constraints.txt does not name yet is added to it. `python requirements/pins.py outdated` says what is newer.
Both ask the package registry through uv, which resolves for Linux, macOS and Windows at once, and write no address.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
CONSTRAINTS = HERE / "constraints.txt"
UV = Path(sys.executable).with_name("uv")
EXTRAS = ("dev", "docs", "all", "bench")
# The first is what pyproject.toml asks for; mkdocs-material asks for a later 3.11 than that.
PYTHON_OF_BASE, PYTHON_OF_ALL = "3.11", "3.11.5"
# torch==2.13.0 means any build of it, and its builds for the CPU alone stand in no list of the registry. They are
# named here as files that may come from a folder of wheels (PIP_FIND_LINKS); every other one has to be the registry's.
OTHER_BUILDS = {
    "torch==2.13.0": {"6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
}  # Linux, x86-64, Python 3.11
# What only the registry's torch for Linux needs: no build for the CPU does, so these wait until one is missing.
FOR_CUDA = re.compile(r"(cuda|nvidia)-|triton$")


def canonical(name: str) -> str:
    """The one form of a package's name."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def name_of(pin: str) -> str:
    """The canonical name in a line such as `torch==2.13.0 ; sys_platform == 'linux'`."""
    return canonical(re.split(r"==|\[", pin)[0])


def compiled(source: str, *options: str, python: str, constraints: Path | None = CONSTRAINTS) -> dict[str, set[str]]:
    """What `source` (a file, or `-` and the text of one) needs on any system: each pin with the hashes of its files."""
    command = [UV, "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate", "--generate-hashes"]
    command += ["--only-binary", ":all:"]  # a source distribution is built with what no list names
    command += ["--python-version", python, *options, *([] if constraints is None else ["-c", constraints])]
    made = subprocess.run([*command, source], cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(made.stderr)
    pins: dict[str, set[str]] = {}
    for line in made.stdout.splitlines():
        text = line.strip().removesuffix("\\").strip()
        if text.startswith("--hash="):
            next(reversed(pins.values())).add(text.removeprefix("--hash=sha256:"))
        else:
            pins[text] = set()
    return pins


def text_of(pins: Mapping[str, Iterable[str]]) -> str:
    """A list as pip reads it, each pin followed by its hashes."""
    return "".join(
        " \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(digests))]) + "\n"
        for pin, digests in sorted(pins.items(), key=lambda item: name_of(item[0]))
    )


def lists() -> dict[str, dict[str, set[str]]]:
    """Every list by its name: what is installed first, what `make run` needs, and what `make setup` adds to it."""
    base = compiled("pyproject.toml", python=PYTHON_OF_BASE)
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    everything = compiled("pyproject.toml", *extras, python=PYTHON_OF_ALL)
    installers = compiled("requirements/installers.in", "--allow-unsafe", python=PYTHON_OF_BASE)
    torch = {pin: digests for pin, digests in base.items() if name_of(pin) == "torch"}
    cuda = {pin: digests for pin, digests in base.items() if FOR_CUDA.match(name_of(pin))}
    elsewhere = torch.keys() | cuda.keys() | installers.keys()
    here = {name_of(pin) for pin in (*base, *installers)}
    return {
        "installers": installers,
        "torch": {pin: digests | OTHER_BUILDS.get(pin, set()) for pin, digests in torch.items()},
        "torch-cuda": cuda,
        "base": {pin: digests for pin, digests in base.items() if pin not in elsewhere},
        "everything": {pin: digests for pin, digests in everything.items() if name_of(pin) not in here},
        "uv": compiled("requirements/uv.in", python=PYTHON_OF_BASE),
    }


def write() -> None:
    """Makes every list anew, and adds to constraints.txt what it does not name."""
    made = lists()
    for name, pins in made.items():
        (HERE / f"{name}.txt").write_text(text_of(pins), encoding="utf-8")
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    known = {name_of(line) for line in lines}
    pins = {re.sub(r"\[.*?\]", "", pin.partition(";")[0]).strip() for one in made.values() for pin in one}
    lines += [pin for pin in pins if name_of(pin) not in known]
    CONSTRAINTS.write_text("\n".join(sorted(lines, key=name_of)) + "\n", encoding="utf-8")


def outdated() -> None:
    """Prints each pin that has a newer version, and the newest that pyproject.toml and the others admit."""
    pinned = {name_of(line): line.partition("==")[2] for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines()}
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    admitted = {}
    for pin in compiled("pyproject.toml", *extras, python=PYTHON_OF_ALL, constraints=None):
        admitted[name_of(pin)] = re.split(r"[ ;]", pin.partition("==")[2])[0]
    command = [UV, "pip", "list", "--outdated", "--format", "json", "--python", sys.executable]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    newest = {canonical(one["name"]): one["latest_version"] for one in listed}
    rows = [("package", "pinned", "newest that fits", "newest")]
    for name, version in pinned.items():
        fits = admitted.get(name, version)
        if fits != version or name in newest:
            rows.append((name, version, fits if fits != version else "-", newest.get(name, fits)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"{len(rows) - 1} of {len(pinned)} pins have something newer")
    print("to move one: its line in requirements/constraints.txt, `make pins`, `make setup`, and every test")


if __name__ == "__main__":
    {"write": write, "outdated": outdated}[sys.argv[1]]()
