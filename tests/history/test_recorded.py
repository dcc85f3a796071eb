"""Which recorded settings are the same, and what they are called."""

from tests.made_recorded import SETTING, recorded
from vecml.history.recorded import name_of, settings_alike, without_disturbed_baselines


def test_a_block_size_that_was_chosen_anew_is_no_other_setting() -> None:
    first, second = settings_alike(
        [recorded(0, setting={"block_rows": "512"}), recorded(1, setting={"block_rows": "1024"})]
    )
    assert first == second
    assert "block_rows" not in dict(first)


def test_block_sizes_side_by_side_are_two_settings_on_every_day() -> None:
    small, large = {"block_rows": "512"}, {"block_rows": "1024"}
    made = [recorded(0, setting=small), recorded(0, setting=large), recorded(1, setting=small)]
    first, second, later = settings_alike(made)
    assert first != second
    assert first == later


def test_another_engine_is_another_setting() -> None:
    first, second = settings_alike([recorded(), recorded(engine="torch")])
    assert first != second


def test_a_name_has_only_what_differs() -> None:
    first = tuple(SETTING.items())
    second = tuple({**SETTING, "threads": "1"}.items())
    assert name_of(first, [first, second]) == "numpy threads=2"
    assert name_of(first, [first]) == "numpy"
    assert name_of((), []) == "unknown"


def test_that_one_engine_computes_in_float64_alone_gives_no_other_a_longer_name() -> None:
    numpy, torch = tuple(SETTING.items()), tuple({**SETTING, "engine": "torch"}.items())
    alone = tuple({**SETTING, "engine": "row_loop", "precision": "float64"}.items())
    assert [name_of(one, [numpy, torch, alone]) for one in (numpy, torch, alone)] == ["numpy", "torch", "row_loop"]
    double = tuple({**SETTING, "precision": "float64"}.items())
    assert name_of(double, [numpy, double, alone]) == "numpy precision=float64"


def test_a_baseline_of_a_disturbed_sitting_does_not_count() -> None:
    """A record of before calls it valid; it needed the CPUs that its rival, which was disturbed, needed too."""
    disturbed = {"verdict": "invalid", "reason": "62 % of its rounds were disturbed: other processes used the CPUs"}
    made = [recorded(), recorded(0, 2e6, "halide", **disturbed), recorded(1), recorded(1, 2e6, "halide")]
    assert [one.invalid for one in without_disturbed_baselines(made)] == [disturbed["reason"]] * 2 + [None, None]
    wrong = recorded(0, 2e6, "halide", verdict="invalid", reason="its labels are wrong")
    failed = recorded(0, None, "openvino", verdict="invalid", reason="it gave other labels than the reference")
    assert without_disturbed_baselines([*made[:2], failed])[0].invalid == disturbed["reason"]
    assert without_disturbed_baselines([made[0], failed])[0].invalid is None
    wider = recorded(0, 2e6, "halide", setting={"threads": "4"}, **disturbed)
    for other in (wrong, wider):
        assert without_disturbed_baselines([recorded(), other])[0].invalid is None


def test_invalid() -> None:
    assert recorded().invalid is None
    assert recorded(rate=None).invalid == "it has no rate"
    assert recorded(verdict="invalid", reason="it hung").invalid == "it hung"
