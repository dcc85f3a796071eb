"""The block loop covers every row once whatever the numbers, ends its threads, and lets errors through."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.engines import blocks
from vecml.engines.blocks import Blocks, choose_block_rows, level2_bytes
from vecml.hardware import Cache
from vecml.model.network import Architecture, OwnArchitecture

MIB = 1 << 20


@given(rows=st.integers(0, 500), block_rows=st.integers(1, 600), threads=st.integers(1, 4))
def test_every_row_is_worked_on_once(rows: int, block_rows: int, threads: int) -> None:
    loop = Blocks(block_rows, threads)
    seen: list[slice] = []
    loop.run(rows, lambda _, part: seen.append(part))
    loop.close()
    assert sorted(row for part in seen for row in range(part.start, part.stop)) == list(range(rows))
    assert all(part.start % block_rows == 0 and part.stop - part.start <= block_rows for part in seen)


def test_two_threads_work_at_the_same_time_under_different_numbers() -> None:
    loop = Blocks(1, 2)
    meeting = threading.Barrier(2, timeout=30)
    numbers: dict[int, int] = {}
    begun: list[int] = []

    def work(thread: int, rows: slice) -> None:
        meeting.wait()  # passes only when both are here
        numbers[rows.start] = thread

    loop.run(2, work, begin=lambda: begun.append(threading.get_ident()))
    loop.close()
    assert sorted(numbers.values()) == [0, 1]
    assert len(set(begun)) == 2


def test_few_rows_stay_on_the_calling_thread() -> None:
    loop = Blocks(100, 4)
    idents: list[int] = []
    loop.run(100, lambda *_: idents.append(threading.get_ident()))
    loop.close()
    assert idents == [threading.get_ident()]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_comes_out_after_the_others_have_ended_and_no_block_begins_any_more(
    failing: int, error: type[BaseException]
) -> None:
    loop = Blocks(1, 2)
    both = threading.Barrier(2, timeout=30)
    begun: list[int] = []
    ended: list[int] = []

    def work(thread: int, rows: slice) -> None:
        begun.append(rows.start)
        if rows.start < 2:
            both.wait()
        if thread == failing:
            raise error("of this block")
        time.sleep(0.01)  # the failure is long past when this thread looks for its next block
        ended.append(rows.start)

    with pytest.raises(error, match="of this block"):
        loop.run(200, work)
    assert len(begun) < 20  # two, but for a machine that stands still meanwhile; 200 when nobody is stopped
    assert len(ended) == len(begun) - 1
    loop.run(3, lambda *_: None)  # the loop is still good
    loop.close()


@pytest.mark.parametrize("failing", [0, 1])
def test_a_thread_that_cannot_begin_stops_the_others(failing: int) -> None:
    loop = Blocks(1, 2)
    both = threading.Barrier(2, timeout=30)
    caller = threading.get_ident()
    done: list[int] = []

    def begin() -> None:
        both.wait()
        if (threading.get_ident() == caller) == (failing == 0):
            raise ValueError("cannot begin")

    def work(thread: int, rows: slice) -> None:
        time.sleep(0.01)
        done.append(rows.start)

    with pytest.raises(ValueError, match="cannot begin"):
        loop.run(200, work, begin)
    assert len(done) < 20
    loop.close()


def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    loop = Blocks(1, 3)
    loop.run(50, lambda *_: None)
    loop.close()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("widths", "cache", "expected"),
    [
        ((10, 32, 2), MIB, 16_384),
        ((64, 32, 10), MIB, 8_192),
        ((100, 256, 10), MIB, 2_048),
        ((10, 32, 2), 2 * MIB, 32_768),
        ((10, 32, 2), 256 << 10, 4_096),
        ((1, 1, 2), 64 * MIB, 65_536),
        ((4_096, 4_096, 1_000), MIB, 256),
    ],
)
def test_block_rows_follow_shape_and_cache(widths: tuple[int, ...], cache: int, expected: int) -> None:
    architecture = Architecture(widths[0], widths[1:-1], widths[-1], "relu")
    assert choose_block_rows(architecture, 4, cache) == expected
    assert choose_block_rows(architecture, 8, 2 * cache) == expected


def test_the_widest_pair_counts() -> None:
    assert Architecture(3, (10, 4), 9, "relu").values_per_row == 14
    assert Architecture(3, (), 9, "relu").values_per_row == 12
    assert OwnArchitecture("mine:Net", 5, 2, "0" * 32, 700, "aten.convolution").values_per_row == 107


def test_a_cpus_share_of_level_2_is_its_cache_divided_by_who_shares_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for found, expected in ((Cache(2 * MIB, 2), MIB), (Cache(3 * MIB, 1), 3 * MIB), (Cache(1, 2), 1), (None, MIB)):
        monkeypatch.setattr(blocks, "cache", lambda level, root, found=found: found if level == 2 else None)
        assert level2_bytes(tmp_path) == expected
