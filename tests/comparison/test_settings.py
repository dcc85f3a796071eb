"""Which settings are compared, what they are called, and what is said of those that cannot run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.comparison.settings import choose, names_of, product
from vecml.config import Setting
from vecml.errors import EngineUnavailableError, SettingError


def anything(_setting: Setting) -> None:
    """Everything can run."""


def without(*engines: str):  # type: ignore[no-untyped-def]
    def check(setting: Setting) -> None:
        if setting.engine in engines:
            raise EngineUnavailableError(f"engine {setting.engine} cannot run this model here: it is not installed")

    return check


def test_a_name_says_what_differs_and_no_more() -> None:
    assert names_of(product(engine=["numpy", "torch"])) == ["numpy", "torch"]
    assert names_of(product(engine=["numpy", "torch"], threads=[1, 2])) == [
        "numpy threads=1",
        "numpy threads=2",
        "torch threads=1",
        "torch threads=2",
    ]
    assert names_of(product(engine=["torch"], block_rows=[None, 4096])) == [
        "torch block_rows=auto",
        "torch block_rows=4096",
    ]


def test_that_one_engine_computes_in_float64_alone_gives_no_other_a_longer_name() -> None:
    settings = [Setting("torch"), Setting("halide"), Setting("row_loop", precision="float64")]
    assert names_of(settings) == ["torch", "halide", "row_loop"]
    settings += [Setting("torch", precision="bfloat16"), Setting("row_loop", precision="tf32")]
    assert names_of(settings) == [
        "torch precision=float32",
        "halide precision=float32",
        "row_loop",
        "torch precision=bfloat16",
        "row_loop precision=tf32",
    ]


@given(
    st.lists(st.sampled_from(["numpy", "torch", "row_loop"]), min_size=1, unique=True),
    st.lists(st.integers(1, 8), min_size=1, unique=True),
    st.lists(st.sampled_from(["columns", "rows"]), min_size=1, unique=True),
    st.lists(st.sampled_from([None, 1, 32]), min_size=1, unique=True),
)
def test_names_are_distinct(
    engines: list[str], threads: list[int], layouts: list[str], sizes: list[int | None]
) -> None:
    settings = product(engine=engines, threads=threads, layout=layouts, request_rows=sizes)
    assert len(settings) == len(engines) * len(threads) * len(layouts) * len(sizes)
    assert len(set(names_of(settings))) == len(settings)


def test_the_same_setting_twice_is_one() -> None:
    assert len(product(engine=["numpy", "numpy"], threads=[2])) == 1


def test_the_first_is_the_baseline_unless_another_is_named() -> None:
    settings = product(engine=["numpy", "torch"], threads=[1, 2])
    assert next(iter(choose(settings, None, anything).settings)) == "numpy threads=1"
    assert next(iter(choose(settings, "torch", anything).settings)) == "torch threads=1"
    assert next(iter(choose(settings, "numpy threads=2", anything).settings)) == "numpy threads=2"
    assert set(choose(settings, "torch", anything).settings) == set(names_of(settings))


def test_each_size_of_request_has_the_baseline_first() -> None:
    settings = product(engine=["numpy", "torch"], request_rows=[1, 32])
    names = list(choose(settings, "torch", anything).settings)
    for size in (1, 32):
        assert next(name for name in names if name.endswith(f"={size}")) == f"torch request_rows={size}"


def test_what_cannot_run_is_left_out_with_its_reason() -> None:
    chosen = choose(product(engine=["numpy", "torch", "onnxruntime"]), None, without("onnxruntime"))
    assert list(chosen.settings) == ["numpy", "torch"]
    assert chosen.skipped == {"onnxruntime": "engine onnxruntime cannot run this model here: it is not installed"}


def test_an_engine_that_there_is_not_is_left_out_too() -> None:
    from vecml.engines.registry import check_setting

    chosen = choose(product(engine=["numpy", "torch", "tensorflow"]), None, check_setting)
    assert chosen.skipped == {"tensorflow": "--engine tensorflow: there is no such engine"}


def test_a_baseline_that_was_named_and_cannot_run_ends_it() -> None:
    with pytest.raises(SettingError) as caught:
        choose(product(engine=["onnxruntime", "numpy"]), "onnxruntime", without("onnxruntime"))
    assert caught.value.message == (
        "the baseline onnxruntime cannot run: engine onnxruntime cannot run this model here: it is not installed"
    )
    assert caught.value.hint == "choose another with --baseline"


def test_unless_it_was_named_the_baseline_is_the_first_that_can_run() -> None:
    chosen = choose(product(engine=["onnxruntime", "numpy", "torch"]), None, without("onnxruntime"))
    assert list(chosen.settings) == ["numpy", "torch"]
    assert list(chosen.skipped) == ["onnxruntime"]


def test_where_nothing_can_run_the_reason_is_said() -> None:
    with pytest.raises(SettingError) as caught:
        choose(product(engine=["onnxruntime"]), None, without("onnxruntime"))
    assert caught.value.message == (
        "nothing to compare onnxruntime with: engine onnxruntime cannot run this model here: it is not installed"
    )


def test_a_baseline_that_is_none_of_them() -> None:
    with pytest.raises(SettingError) as caught:
        choose(product(engine=["numpy", "torch"]), "jax", anything)
    assert caught.value.message == "--baseline jax: it is none of the settings"
    assert caught.value.hint == "choose from numpy, torch"


def test_one_setting_is_no_comparison() -> None:
    with pytest.raises(SettingError, match=r"nothing to compare numpy with$"):
        choose(product(engine=["numpy"]), None, anything)
    with pytest.raises(SettingError, match="nothing to compare numpy with: engine torch cannot run"):
        choose(product(engine=["numpy", "torch"]), None, without("torch"))
