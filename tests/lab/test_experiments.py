"""The experiments' twins are equal, by hypothesis; their plans and sentences say what is measured, and no more."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.errors import SettingError
from vecml.lab.catalogue import NAMES, chosen, experiment
from vecml.lab.experiment import Cell, Outcome, crossing
from vecml.lab.experiments import blas_threads, broadcasting, dtype, gil, locality, simd, ufunc
from vecml.lab.work import WayWork, difference, samples
from vecml.measure.limits import Limits
from vecml.measure.verdict import Verdict
from vecml.report.lab import page, table, to_json_dict

sizes = st.integers(1, 300)
seeds = st.integers(0, 1_000)


@given(sizes, seeds)
def test_ufunc_twins(n_values: int, seed: int) -> None:
    x_N = ufunc.make_input(n_values, seed)
    assert ufunc.plain(x_N.tolist()) == ufunc.vectorised(x_N, np.empty_like(x_N)).tolist()


@given(sizes, seeds)
def test_locality_twins(n_values: int, seed: int) -> None:
    x_N, index_N = locality.make_input(n_values, seed)
    scattered_N = locality.plain(x_N, index_N, np.empty_like(x_N))
    np.testing.assert_array_equal(scattered_N, locality.vectorised(x_N[index_N], np.empty_like(x_N)))
    m_NN = np.random.default_rng(seed).random((7, 7), dtype=np.float32)
    np.testing.assert_array_equal(locality.by_columns(m_NN), locality.by_rows(np.ascontiguousarray(m_NN.T)))


@given(sizes, seeds)
def test_broadcasting_twins(n_rows: int, seed: int) -> None:
    m_NW, row_W = broadcasting.make_input(n_rows, seed)
    tiled_NW = broadcasting.plain(m_NW, row_W, np.empty_like(m_NW))
    np.testing.assert_array_equal(tiled_NW, broadcasting.vectorised(m_NW, row_W, np.empty_like(m_NW)))


@given(st.integers(1, 50), st.integers(1, 4))
@settings(deadline=None)
def test_gil_twins(n_values: int, chunks: int) -> None:
    parts = np.split(gil.make_input(n_values * chunks), chunks)
    with ThreadPoolExecutor(2) as pool:
        assert gil.plain(gil.numpy_chunk, parts) == gil.vectorised(gil.numpy_chunk, parts, pool)
        steps = [n_values] * chunks
        assert gil.plain(gil.python_chunk, steps) == gil.vectorised(gil.python_chunk, steps, pool)


@given(sizes, seeds, st.sampled_from(["float64", "float32", "float16", "int8"]))
def test_dtype_twins_within_what_the_type_allows(n_values: int, seed: int, name: str) -> None:
    x_N, y_N = dtype.make_input(n_values, seed)
    off = np.abs(dtype.vectorised(x_N, y_N, name) - dtype.plain(x_N, y_N)).max()
    assert off <= 2 * dtype.TOLERANCE[name]


@given(st.integers(1, 64), seeds, st.integers(1, 2))
@settings(deadline=None)
def test_blas_twins(size: int, seed: int, threads: int) -> None:
    left_NN, right_NN = blas_threads.make_input(size, seed)
    expected_NN = blas_threads.plain(left_NN, right_NN)
    np.testing.assert_allclose(blas_threads.vectorised(left_NN, right_NN, threads), expected_NN, rtol=1e-5)


@pytest.mark.parametrize("isa", ["scalar", "sse41", "avx2", "avx512", "neon"])
def test_simd_twins(isa: str) -> None:
    from vecml.engines.halide import missing_instructions

    pytest.importorskip("halide")
    if missing_instructions(isa) is not None:  # type: ignore[arg-type]
        pytest.skip("this CPU lacks it")
    out_N = np.empty(64, np.float32)
    x_N = np.empty(64, np.float32)
    call = simd.compiled(isa, x_N, out_N)

    @given(seeds)
    @settings(deadline=None, max_examples=20)
    def same(seed: int) -> None:
        x_N[:] = simd.make_input(64, seed)
        call()
        np.testing.assert_allclose(out_N, simd.plain(x_N), rtol=0, atol=simd.TOLERANCE)

    same()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("simd", "gpu")])
def test_the_first_point_of_each_runs_and_its_ways_agree(name: str) -> None:
    found = experiment(name)
    points = found.plan(True).points
    if not points:
        pytest.skip("os.sched_getaffinity gives one CPU, and this is about several")
    point = points[0]
    taken = []
    for way in point.ways[:2]:
        work = WayWork({"experiment": name, "way": dict(way.payload), "allocations": found.allocations})
        work.open()
        work.call()
        facts = work.finish()
        assert (facts["allocated_bytes"] is not None) == found.allocations
        taken.append(facts["samples"])
        work.close()
    assert difference(*taken) <= point.ways[1].tolerance


def test_labels_and_way_names_are_told_apart() -> None:
    for found in chosen("all"):
        points = found.plan(True).points
        assert len({point.label for point in points}) == len(points)
        for point in points:
            assert len({way.name for way in point.ways}) == len(point.ways) >= 2


def test_an_experiment_that_there_is_not() -> None:
    with pytest.raises(SettingError, match="lab simt: there is no such experiment"):
        chosen("simt")


def test_samples_and_differences() -> None:
    assert samples(np.arange(1_000.0))[0] == 0
    assert samples(np.arange(1_000.0))[-1] == 999
    assert len(samples(np.arange(1_000.0))) == 64
    assert samples(2.5) == [2.5]
    assert samples(np.array([np.nan])) == [1e300]
    assert difference([1.0, -4.0], [1.0, -3.0]) == 0.25
    assert difference([1.0], [1.0, 2.0]) == float("inf")


def test_the_crossing_is_found_on_logarithmic_axes() -> None:
    assert crossing([10, 1_000], [0.1, 10]) == pytest.approx(100)
    assert crossing([10, 100, 1_000], [2, 3, 4]) is None
    assert crossing([10, 100], [0.1, 0.5]) is None


def made_cell(point: str, x: float | None, way: str, seconds: float, ratio: float | None, word: str | None) -> Cell:
    verdict = None if ratio is None else Verdict(way, "plain", 0, word, "made", ratio, ratio * 0.9, ratio * 1.1)  # type: ignore[arg-type]
    return Cell(point, x, way, ratio is None, seconds, verdict, None, 160, 20, 0.5, None, 0.0)


def made_outcome(ratios: dict[int, tuple[float, str]]) -> Outcome:
    cells = []
    for size, (ratio, word) in ratios.items():
        cells.append(made_cell(f"{size:,} values", size, ufunc.LOOP, 1e-6 * size, None, None))
        cells.append(made_cell(f"{size:,} values", size, ufunc.UFUNC, 1e-6 * size / ratio, ratio, word))
    found = ufunc.EXPERIMENT
    return Outcome(
        *(found.name, found.title, found.idea, found.axis, "2026-01-02T03:04:05+00:00", True, tuple(cells), {}),
        limits=Limits({"float32/1": 1e9}, {"1": 1e9}),
        launches=3,
        environment={"cpu_model": "<b>a processor</b>", "usable_cpus": 2},
    )


def test_the_sentences_follow_from_the_figures() -> None:
    crossed = ufunc.tell(made_outcome({10: (0.1, "slower"), 1_000: (10.0, "faster")}))
    assert crossed[0].startswith("Over 10 values the ufuncs are 0.10 times as fast (slower)")
    assert crossed[1] == "The lines cross near 100 values: below that the loop wins, above it the ufuncs."
    always = ufunc.tell(made_outcome({10: (2.0, "faster"), 1_000: (10.0, "faster")}))
    assert always[1].startswith("There is no crossover in what was measured: even 10 values are enough")
    never = ufunc.tell(made_outcome({10: (0.1, "slower"), 1_000: (0.5, "slower")}))
    assert never[1] == "There is no crossover in what was measured: the ufuncs do not win here."


def test_nothing_measured_is_said_to_be_so() -> None:
    nothing = dataclasses.replace(made_outcome({}), cells=())
    assert ufunc.tell(nothing)[0] == "No size gave a ratio."


def test_page_table_and_json() -> None:
    outcome = dataclasses.replace(made_outcome({10: (0.1, "slower")}), sentences=("<script>alert(1)</script>",))
    made = page([outcome], {"ufunc": b"\x89PNG"})
    assert "<script>" not in made
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made
    assert "&lt;b&gt;a processor&lt;/b&gt;" in made
    assert "http" not in made.replace("http-equiv", "")
    assert table(outcome)[1] == ["10 values", "ufunc", "100 µs", "0.10", "0.09-0.11", "50.0 %", "slower"]
    assert to_json_dict([outcome])["experiments"]["ufunc"]["cells"][1]["ratio"] == 0.1
