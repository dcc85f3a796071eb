"""Numba's variants: fast math, loops in parallel, checked bounds; each is compiled and judged as any candidate."""

from pathlib import Path

import numpy as np
import pytest

from tests.optimize.made_modules import places
from vecml.device import usable_cpus
from vecml.errors import SettingError
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import Numba
from vecml.optimize.candidates.registry import VARIANTS, Suggestions, variants
from vecml.optimize.kinds import Kind, Kinds
from vecml.optimize.measure import Gain
from vecml.optimize.observe import Observation
from vecml.optimize.profile import Profile
from vecml.optimize.steps import Request, Tried, _fitting, _shortlist, _winner
from vecml.optimize.target import load
from vecml.optimize.validate import Validation, check

TEXT = """import numpy as np


def f(x):
    out, s = np.zeros(len(x)), 0.0
    for i in range(len(x)):
        out[i] = x[i] * 3
        s += x[i]
    return out, s


def make_inputs():
    return (np.arange(9.0),)
"""


def made_of(folder: Path, rtol: float) -> tuple[Subject, dict[str, Candidate], dict[str, str]]:
    target, _ = places(folder, TEXT)
    kinds = Kinds({(1, 0, 1, 1): Kind("array", "float64", 1)})
    seen = Observation(0.1, 1.0, (), (), (), 0.0, "", ())
    subject = Subject(target, TEXT, seen, Profile((), (), 1.0), folder / "made", kinds)
    right = Numba().make(subject)
    assert isinstance(right, Candidate)
    found, left_out = variants(Suggestions((), {}, (), subject), right, rtol)
    return subject, {one.name: one for one in found}, left_out


@pytest.mark.long  # three compilations
def test_each_variant_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    subject, made, left_out = made_of(tmp_path, 1e-6)
    assert not left_out or usable_cpus() < 2
    for one in made.values():
        function = load(one.place)
        x = np.arange(1001.0)
        assert check(load(subject.target), function, (x,), ("x",), 1e-6)
    if "numba parallel" in made:
        assert "for i in numba.prange(len(x))" in made["numba parallel"].source
        assert made["numba parallel"].parallel
    assert "fastmath={" in made["numba fastmath"].source
    assert "nnan" not in made["numba fastmath"].source


def test_bit_by_bit_nothing_is_added_in_another_order(tmp_path: Path) -> None:
    _, made, left_out = made_of(tmp_path, 0.0)
    assert list(made) == ["numba boundscheck"]
    assert "--rtol 0 asks for every bit" in left_out["numba fastmath"]


def test_an_index_out_of_range_raises_where_bounds_are_checked(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    text = TEXT.replace("x[i] * 3", "x[i + 1]")
    target, _ = places(tmp_path, text)
    seen = Observation(0.1, 1.0, (), (), (), 0.0, "", ())
    subject = Subject(target, text, seen, Profile((), (), 1.0), tmp_path / "made")
    right = Numba().make(subject)
    assert isinstance(right, Candidate)
    (checked,) = [one.make(subject, right, 1e-6) for one in VARIANTS["numba"] if one.name == "numba boundscheck"]
    assert isinstance(checked, Candidate)
    with pytest.raises(IndexError):
        load(checked.place)(np.arange(3.0))


def test_the_plainest_of_numbas_wins_unless_another_is_surely_faster() -> None:
    def gain(ratio: float, low: float) -> Gain:
        return Gain("faster", "", ratio, low, ratio * 1.1, 0.1, None, None, None)

    order = ["numpy", "numba", "numba fastmath"]
    close = {"f": gain(1, 1), "numpy": gain(5, 4), "numba": gain(10, 9), "numba fastmath": gain(11, 9.5)}
    assert _winner(close, "f", order) == "numba"
    assert _winner({**close, "numba fastmath": gain(20, 15)}, "f", order) == "numba fastmath"
    assert _winner({**close, "numpy": gain(50, 40)}, "f", order) == "numpy"


def test_what_the_budget_has_no_time_for_is_not_measured(tmp_path: Path) -> None:
    target, _ = places(tmp_path, TEXT)
    names = ("numpy", "numba", "numba fastmath", "numba boundscheck", "torch.compile", "numexpr")
    right = Validation(None, "", 9, 0, 0.01)
    tried = [Tried(Candidate(name, "numba", target), right, None) for name in names]
    tried[4] = Tried(Candidate("torch.compile", "torch", target), Validation(None, "", 9, 0, 0.02), None)
    seen = Observation(1.0, 1.0, (), (), (), 0.0, "", ())
    short = _shortlist(tried)
    assert [one.candidate.name for one in short] == ["numpy", "numba", "numba fastmath", "numba boundscheck", "numexpr"]
    kept, plan = _fitting(short, seen, Request("", "", budget="60s"))
    assert [one.candidate.name for one in kept][:2] == ["numpy", "numba"]
    assert len(kept) < len(short)
    assert plan.budget_seconds == 60.0
    with pytest.raises(SettingError, match="too short for a verdict"):
        _fitting(short, seen, Request("", "", budget="10s"))
