"""All five steps over a small function: the record, the report, the store, and the check."""

import dataclasses
import json
from pathlib import Path

import pytest

from tasks.tracking.results import optimization_content, optimization_metrics, optimization_params
from tasks.tracking.run import tracked_result
from tasks.tracking.store import open_store
from tests.optimize.made_modules import SLOW
from vecml import keys
from vecml.errors import SettingError
from vecml.optimize.candidates import registry
from vecml.optimize.measure import Gain
from vecml.optimize.steps import Optimization, Request, check, optimize, to_json_dict
from vecml.report.optimize import as_text, sentence, times

pytestmark = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")
WRONG = "import numpy as np\n\n\ndef wrong(x):\n    out = x * x\n    out[-1:] = 0\n    return out\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "slow.py").write_text(SLOW)
    (folder / "fast.py").write_text(WRONG)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path, short_looks: None) -> Optimization:
    request = Request(
        f"{folder}/slow.py:squares", f"{folder}/slow.py:make_inputs", (f"{folder}/fast.py:wrong",), budget="quick"
    )
    heard: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "VARIANTS", {})  # each takes seconds, and has tests of its own
        made = optimize(request, heard.append)
    assert [line[0] for line in heard] == ["1", "2", "3", "4", "5"]
    return made


def test_the_record(found: Optimization, folder: Path) -> None:
    assert (folder / "slow.py").read_text() == SLOW
    by_name = {one.candidate.name: one for one in found.tried}
    assert list(by_name) == ["fast.py:wrong", "numpy", "numba"]
    assert by_name["fast.py:wrong"].fault == ("1 of 2,000 values differ, the first at [1999]: 0.0 instead of 3996001.0")
    assert by_name["numpy"].fault is None
    assert by_name["numba"].fault is None
    assert by_name["numpy"].gain is not None
    assert by_name["numpy"].gain.ratio is None or by_name["numpy"].gain.ratio > 10
    assert [(one.dtype, one.within) for one in found.dtypes][:2] == [("float64", True), ("float32", True)]
    assert json.loads(json.dumps(to_json_dict(found), allow_nan=False))["version"] == 1


def test_the_report(found: Optimization) -> None:
    text = as_text(found)
    assert all(f"\n{number}. " in text for number in range(1, 6))
    assert "line 7: a map: every turn for itself" in text
    assert "fast.py:wrong: WRONG: 1 of 2,000 values differ" in text
    assert "over your own inputs" in text
    assert "+    out[:] = x * x" in text
    assert max(map(len, text.splitlines())) <= 80
    assert [times(value) for value in (1.234, 12.34, 1234.4)] == ["1.23", "12.3", "1,234"]


def gain(verdict: str | None, ratio: float = 20.0) -> Gain:
    return Gain(verdict, "because", ratio, ratio - 1, ratio + 1, 0.001, 0.5, 7, 10**8)


def judged(found: Optimization, **verdicts: str | None) -> Optimization:
    tried = tuple(
        dataclasses.replace(one, gain=gain(verdicts[one.candidate.name]))
        for one in found.tried
        if one.candidate.name in verdicts
    )
    winner = next((name for name, verdict in verdicts.items() if verdict == "faster"), None)
    return dataclasses.replace(found, tried=tried, winner=winner)


def test_the_check(found: Optimization) -> None:
    assert check(found)[0] == 1
    assert check(found)[1].startswith("fast.py:wrong: 1 of 2,000 values differ")
    assert check(judged(found, numpy="faster", numba="slower")) == (0, "numpy is right and faster")
    assert check(judged(found, numpy="undetected")) == (3, "numpy: because")
    assert check(judged(found, numpy="slower", numba="undetected")) == (1, "numpy: slower: because")
    assert check(dataclasses.replace(found, tried=())) == (1, "there is no candidate")
    assert sentence(judged(found, numpy="faster")) == (
        "Take numpy: it is 20.0 times faster than squares (19.0 to 21.0), and right over all that was tried;"
        " --apply writes it, --patch FILE shows it."
    )
    assert sentence(dataclasses.replace(found, tried=())) == (
        "Leave squares as it is: nothing can take its place (no loop of it can be written in NumPy)."
    )


def test_the_first_sentence_says_what_to_do(found: Optimization) -> None:
    wrong = tuple(one for one in found.tried if one.outcome == "wrong")
    assert sentence(dataclasses.replace(found, tried=wrong)) == (
        "Leave squares as it is: fast.py:wrong gives other results, and nothing else is right."
    )
    quick = dataclasses.replace(found, request=dataclasses.replace(found.request, budget="quick"))
    said = sentence(dataclasses.replace(judged(quick, numpy=None), comparison=None))
    assert said.startswith("Measure again with --budget 60s: numpy is right and took 1 ms where squares took ")
    assert said.endswith("; one launch gives figures, and no verdict.")
    longer = dataclasses.replace(found, request=dataclasses.replace(found.request, budget="60s"), comparison=None)
    slower = sentence(judged(longer, numpy="slower"))
    assert slower.startswith("Leave squares as it is: no candidate is shown to be faster; numpy is right and took 1 ms")


def test_the_store(found: Optimization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    made = judged(found, numpy="faster", numba="slower")
    with tracked_result(keys.OPTIMIZE, "name") as writer:
        writer.log(optimization_content(made))
    client = open_store().client
    run = client.get_run(writer.run.run_id)
    assert (run.info.status, run.data.tags["vecml.kind"], run.data.tags["vecml.winner"]) == (
        "FINISHED",
        "optimize",
        "numpy",
    )
    assert run.data.params == optimization_params(made)
    assert run.data.params["target"] == "slow.py:squares"
    assert set(run.data.params) == set(keys.OPTIMIZE_PARAMS)
    assert run.data.metrics == optimization_metrics(made)
    assert set(run.data.metrics) <= set(keys.OPTIMIZE_METRICS)
    assert (run.data.metrics["optimize/ratio"], run.data.metrics["optimize/break_even_calls"]) == (20.0, 7.0)
    names = {one.path for one in client.list_artifacts(writer.run.run_id)}
    assert names == {"report.txt", "optimize.json", "winner.patch", "environment.json", "pictures"}


def test_every_metric_is_what_its_key_says(found: Optimization) -> None:
    made = judged(found, numpy="faster", numba="slower")
    base = Gain(None, "the baseline", None, None, None, 0.02, 0.1, None, 3 * 10**8)
    profile = dataclasses.replace(made.profile, loop_share=0.75)
    assert optimization_metrics(dataclasses.replace(made, base=base, profile=profile)) == {
        "optimize/call_s": 0.02,
        "optimize/loop_share": 0.75,
        "optimize/bound": 4,
        "optimize/peak_rss_mb": 300,
        "optimize/tried": 2,
        "optimize/right": 2,
        "optimize/ratio": 20,
        "optimize/ratio_low": 19,
        "optimize/ratio_high": 21,
        "optimize/best_call_s": 0.001,
        "optimize/break_even_calls": 7,
        "optimize/best_peak_rss_mb": 100,
    }


def test_without_a_winner_and_a_measurement_their_metrics_are_left_out(found: Optimization) -> None:
    """The profile's bound is infinite where all of the time is in loops."""
    profile = dataclasses.replace(found.profile, loop_share=1.0)
    logged = optimization_metrics(
        dataclasses.replace(found, tried=(), winner=None, base=None, comparison=None, profile=profile)
    )
    assert logged == {
        "optimize/call_s": found.observation.seconds,
        "optimize/loop_share": 1,
        "optimize/tried": 0,
        "optimize/right": 0,
    }


def test_what_is_refused(folder: Path) -> None:
    target, inputs = f"{folder}/slow.py:squares", f"{folder}/slow.py:make_inputs"
    with pytest.raises(SettingError, match=r"^--rtol 2: not from 0 to below 1$"):
        optimize(Request(target, inputs, rtol=2))
    with pytest.raises(SettingError, match=r"^--candidate fast\.py:wrong: given twice$"):
        optimize(Request(target, inputs, (f"{folder}/fast.py:wrong",) * 2))
    with pytest.raises(SettingError, match=r"^--candidate .*fast\.py:right: fast\.py has no function right$"):
        optimize(Request(target, inputs, (f"{folder}/fast.py:right",)))
