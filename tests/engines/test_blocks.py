"""The block loop covers every row once whatever the numbers, ends its threads, and lets errors through."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.engines import blocks
from vecml.engines.blocks import Blocks, choose_block_rows, count_cpus, level2_bytes, values_per_row
from vecml.model.network import Architecture

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


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_comes_out_after_the_others_have_ended_and_no_block_begins_any_more(failing: int) -> None:
    loop = Blocks(1, 2)
    both = threading.Barrier(2, timeout=30)
    running: set[int] = set()
    done = 0

    def work(thread: int, rows: slice) -> None:
        nonlocal done
        if rows.start < 2:
            both.wait()
        running.add(thread)
        done += 1
        if thread == failing:
            running.discard(thread)
            raise ValueError("of this block")
        running.discard(thread)

    with pytest.raises(ValueError, match="of this block"):
        loop.run(10_000, work)
    assert not running
    loop.run(3, lambda *_: None)  # the loop is still good
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
    assert values_per_row(Architecture(3, (10, 4), 9, "relu")) == 14
    assert values_per_row(Architecture(3, (), 9, "relu")) == 12


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0-1,8-9", 4), ("0,2,4", 3), ("", 1)])
def test_a_kernel_list_of_cpus_is_counted(text: str, count: int) -> None:
    assert count_cpus(text) == count


class TestCacheSize:
    @pytest.fixture(autouse=True)
    def _afresh(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        monkeypatch.setattr(blocks, "_CACHE", tmp_path)
        level2_bytes.cache_clear()
        yield
        level2_bytes.cache_clear()

    def write(self, tmp_path: Path, index: int, **files: str) -> None:
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text + "\n")

    def test_level_2_is_found_and_divided_by_who_shares_it(self, tmp_path: Path) -> None:
        self.write(tmp_path, 0, level="1", size="32K", shared_cpu_list="0")
        self.write(tmp_path, 2, level="2", size="2048K", shared_cpu_list="0,4")
        self.write(tmp_path, 3, level="3", size="32768K", shared_cpu_list="0-7")
        assert level2_bytes() == MIB

    @pytest.mark.parametrize(("answer", "expected"), [(3 * MIB, 3 * MIB), (0, MIB), (-1, MIB)])
    def test_else_the_system_is_asked_else_a_mebibyte(
        self, monkeypatch: pytest.MonkeyPatch, answer: int, expected: int
    ) -> None:
        monkeypatch.setattr(blocks.os, "sysconf", lambda _: answer)
        assert level2_bytes() == expected

    def test_a_system_that_does_not_know_the_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(name: str) -> int:
            raise ValueError(name)

        monkeypatch.setattr(blocks.os, "sysconf", unknown)
        assert level2_bytes() == MIB

    def test_an_unreadable_size_is_passed_over(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(blocks.os, "sysconf", lambda _: 0)
        self.write(tmp_path, 0, level="2", size="unknown", shared_cpu_list="0")
        self.write(tmp_path, 1, level="2")
        assert level2_bytes() == MIB
