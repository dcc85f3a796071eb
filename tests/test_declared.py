"""What is imported is declared, also where it is imported late; and constraints.txt pins it, from no address."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Set
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.base_requirements import FILE, base_requirements, closure

ROOT = Path(__file__).parents[1]
OURS = {"vecml", "tasks", "flows"}
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {canonicalize_name(Requirement(line).name): Requirement(line) for line in PROJECT["dependencies"]}
# A library may be an extra where only one part of vecml imports it: an engine's, and what `optimize` works with.
EXTRAS = {
    ROOT / "vecml" / part: {
        canonicalize_name(Requirement(line).name)
        for extra in extras
        for line in PROJECT["optional-dependencies"][extra]
    }
    for part, extras in {
        "engines": ("onnx", "openvino", "halide"),
        "lab": ("halide",),
        "optimize": ("optimize",),
        "data": ("database", "excel"),
    }.items()
}
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def imported(source: str) -> Iterator[str]:
    """Top-level packages that are imported anywhere in the source, in a function or by a literal name too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and node.args:
            by_name = ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__", "find_spec"}
            name = node.args[0]
            if by_name and isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value.partition(".")[0]


def undeclared(source: str, providers: Mapping[str, list[str]], extras: Set[str] = frozenset()) -> set[str]:
    """Third-party packages of no declared dependency and none of `extras`; `providers`: the distributions of each."""
    third_party = set(imported(source)) - OURS - set(sys.stdlib_module_names)
    return {
        package
        for package in third_party
        if not any(canonicalize_name(name) in DECLARED.keys() | extras for name in providers.get(package, [package]))
    }


@pytest.fixture(scope="module")
def providers() -> Mapping[str, list[str]]:
    return packages_distributions()


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_what_is_imported_is_declared(path: Path, providers: Mapping[str, list[str]]) -> None:
    extras = next((extras for part, extras in EXTRAS.items() if path.is_relative_to(part)), frozenset())
    assert undeclared(path.read_text(encoding="utf-8"), providers, extras) == set()


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("import numpy.linalg, json, vecml.errors", set()),
        ("from sklearn.metrics import log_loss", set()),  # of scikit-learn
        ("from . import polars", set()),
        ("import polars", {"polars"}),
        ("def late():\n    from polars.io import csv", {"polars"}),
        ("if TYPE_CHECKING:\n    import pandas", {"pandas"}),  # installed, but only because others need it
        ("importlib.import_module('polars.io')", {"polars"}),
        ("find_spec('polars')", {"polars"}),
        ("try:\n    import polars\nexcept ImportError:\n    polars = None", {"polars"}),
    ],
)
def test_the_checker_itself(source: str, missing: set[str], providers: Mapping[str, list[str]]) -> None:
    assert undeclared(source, providers) == missing


def test_constraints_are_pins_and_nothing_else() -> None:
    for line in CONSTRAINTS:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
    assert len({canonicalize_name(line.partition("==")[0]) for line in CONSTRAINTS}) == len(CONSTRAINTS)


def test_every_dependency_is_pinned_within_its_range() -> None:
    pins = {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in CONSTRAINTS)}
    assert DECLARED.keys() <= pins.keys()
    for name, requirement in DECLARED.items():
        assert requirement.specifier.contains(pins[name]), f"{name}: {pins[name]} is outside {requirement.specifier}"


def test_torch_is_pinned_without_a_build() -> None:
    # A local version such as 2.13.0+cpu exists on one index only; without it every index has a build that fits.
    assert "torch==2.13.0" in CONSTRAINTS


def test_requirements_are_the_base_install_and_nothing_else() -> None:
    # `make run` installs them without asking what else they need: one too few breaks it, one too many makes it slower.
    assert FILE.read_text(encoding="utf-8") == base_requirements(), "python -m tests.base_requirements writes it anew"


def test_the_walk_through_what_packages_need() -> None:
    assert closure(["jinja2>=3"]) == {"jinja2", "markupsafe"}
    assert "uvicorn" not in closure(["jinja2>=3; python_version < '3'"]) | closure(["fastapi"])
    with pytest.raises(LookupError, match=r"^no-such-thing is not installed: run make setup first$"):
        closure(["no-such-thing"])
