"""What is imported is declared, also where it is imported late; and requirements/ pins it by hash, from no address."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Set
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OURS = {"vecml", "tasks", "flows"}
FILES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {canonicalize_name(Requirement(line).name): Requirement(line) for line in PROJECT["dependencies"]}
# A library may be an extra where only one part of vecml imports it: an engine's, and what `optimize` works with.
# `--pytest` of optimize starts the user's own.
EXTRAS = {ROOT / "vecml" / "optimize" / "recording.py": {"pytest"}} | {
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
        "batch": ("delta",),
        "cluster": ("ray",),
    }.items()
}
# The plug-in is imported by pytest alone, which is there then.
EXTRAS[ROOT / "vecml" / "pytest_plugin.py"] = {"pytest"}
CONSTRAINTS = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8").splitlines()
# `all` names these by vecml itself.
EXTRAS_OF_ALL = Requirement(PROJECT["optional-dependencies"]["all"][0]).extras
LISTS = ("installers", "torch", "torch-cuda", "base", "everything", "uv")


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


def pinned(name: str) -> dict[Requirement, set[str]]:
    """The requirements in a list of requirements/, each with the SHA-256 of its files."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        pin, *digests = re.split(r"\s+--hash=sha256:", line.strip())
        assert digests, line
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests), line
        found[Requirement(pin)] = set(digests)
    return found


def names(requirements: Iterable[Requirement]) -> set[str]:
    """Canonical names of those that this system needs."""
    return {canonicalize_name(one.name) for one in requirements if one.marker is None or one.marker.evaluate()}


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


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_made_of_the_versions_in_the_constraints_each_with_hashes(name: str) -> None:
    versions = {canonicalize_name(pin): version for pin, _, version in (line.partition("==") for line in CONSTRAINTS)}
    pins = pinned(name)
    assert pins
    for pin in pins:
        assert str(pin.specifier) == f"=={versions[canonicalize_name(pin.name)]}", "`make pins` writes the lists anew"


def test_the_lists_name_every_pin_once() -> None:
    listed = [canonicalize_name(pin.name) for name in LISTS for pin in pinned(name)]
    assert sorted(listed) == sorted(canonicalize_name(line.partition("==")[0]) for line in CONSTRAINTS)


def test_no_list_names_an_address_or_an_option() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"://|^\s*-(?!-hash=sha256:)", text, re.MULTILINE), path


def test_the_base_list_is_the_base_install_and_nothing_else() -> None:
    # `make run` installs it without asking what else is needed: one too few breaks it, one too many makes it slower.
    listed = names(pinned("base")) | names(pinned("torch")) | names(pinned("installers")) - {"pip"}
    assert listed == closure(PROJECT["dependencies"]), "`make pins` writes the lists anew"


def test_the_lists_of_make_setup_are_what_the_extras_need() -> None:
    extras = [
        line for name in ("dev", "docs", "bench", *EXTRAS_OF_ALL) for line in PROJECT["optional-dependencies"][name]
    ]
    listed = {name for one in ("base", "torch", "everything", "installers") for name in names(pinned(one))} - {"pip"}
    assert listed == closure([*PROJECT["dependencies"], *extras]), "`make pins` writes the lists anew"


def test_torch_may_be_a_build_for_the_cpu_that_is_in_no_list_of_a_registry() -> None:
    sys.path.insert(0, str(ROOT / "requirements"))
    try:
        import pins
    finally:
        sys.path.remove(str(ROOT / "requirements"))
    (digests,) = pinned("torch").values()
    assert pins.OTHER_BUILDS["torch==2.13.0"] < digests


def test_make_installs_nothing_without_its_hash() -> None:
    recipes = [line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if " install " in line]
    assert len([line for line in recipes if "--require-hashes" in line]) == 1  # the one that the others use
    others = [line for line in recipes if "--require-hashes" not in line]
    assert all("--no-index --no-deps" in line or "apt-get" in line for line in others), others


def test_the_walk_through_what_packages_need() -> None:
    assert closure(["jinja2>=3"]) == {"jinja2", "markupsafe"}
    assert "uvicorn" not in closure(["jinja2>=3; python_version < '3'"]) | closure(["fastapi"])
    with pytest.raises(LookupError, match=r"^no-such-thing is not installed: run make setup first$"):
        closure(["no-such-thing"])
