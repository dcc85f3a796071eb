"""requirements.txt: every package that the base install needs, at the version in constraints.txt.

`make run` installs from it without resolving anything, which takes a tenth of the time. After a version was moved in
constraints.txt, or a dependency was added to pyproject.toml, `python -m tests.base_requirements` writes it anew.
"""

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILE = ROOT / "requirements.txt"


def closure(lines: Iterable[str]) -> set[str]:
    """Canonical names of what the requirements in `lines` need, directly or not, by what is installed here."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                needed = [Requirement(line) for line in requires(name) or ()]
            except PackageNotFoundError as error:
                raise LookupError(f"{name} is not installed: run make setup first") from error
            waiting += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def base_requirements() -> str:
    """The text of requirements.txt, as pyproject.toml, constraints.txt and the installed packages give it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = closure(project["dependencies"])
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in pins if canonicalize_name(line.partition("==")[0]) in needed]
    missing = needed - {canonicalize_name(line.partition("==")[0]) for line in lines}
    if missing:
        raise LookupError(f"constraints.txt does not pin {', '.join(sorted(missing))}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(base_requirements(), encoding="utf-8")
