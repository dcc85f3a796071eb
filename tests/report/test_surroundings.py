"""What a comparison was made with, in words: the machine, the libraries, the arms' facts, and the machine meanwhile."""

import dataclasses

from tests.made_comparison import comparison_of
from tests.report.made_reports import functions, hostile, many, usual
from vecml.comparison.comparison import Load
from vecml.measure.records import Window
from vecml.report.comparison import answers
from vecml.report.content import content_of
from vecml.report.surroundings import changing_facts, differing_facts, launches, libraries, loads, machine


def test_the_machine_in_words() -> None:
    facts = {
        "cpu_model": "a processor",
        "usable_cpus": 2,
        "cpu_quota": None,
        "memory_bytes": 25_276_510_208,
        "l1d_bytes": 32_768,
        "instruction_sets": ["avx", "avx2"],
        "gpus": [],
        "torch": "2.13.0",
    }
    assert dict(machine(facts).rows) == {
        "processor": "a processor",
        "CPUs that could be used": "2",
        "quota, in CPUs": "none",
        "memory": "23.5 GiB",
        "L1 data cache": "32 KiB",
        "instruction sets": "avx, avx2",
        "GPUs": "none",
    }


def test_the_libraries_and_whatever_else_a_record_says() -> None:
    told = {"torch": "2.13.0", "halide": None, "machine_key": "m", "a thing": {"b": [1]}, "cpu_model": "x"}
    assert libraries(told).rows == (("torch", "2.13.0"), ("a thing", '{"b": [1]}'), ("machine key", "m"))


def test_how_busy_it_was() -> None:
    assert loads(Load(3.411, 1.894), Load(None, None)) == (
        "Other processes used 1.89 CPUs (load average 3.41) before the measurement and an unknown amount after it."
    )


def test_facts_that_differ_name_the_settings_and_count_the_rest() -> None:
    comparison = many(12)
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(
                dataclasses.replace(launch, facts={**launch.facts, "os_threads": 4 if "torch " in arm.name else 1})
                for launch in arm.launches
            ),
        )
        for arm in comparison.measured.arms
    )
    changed = dataclasses.replace(comparison, measured=dataclasses.replace(comparison.measured, arms=arms))
    found = differing_facts(content_of(changed))
    assert found is not None
    assert [row[:2] for row in found.rows] == [("os threads", "1"), ("os threads", "4")]
    assert found.rows[0][2].endswith(" and 6 more")
    assert found.rows[1][2] == "torch threads=1, torch threads=2"
    assert differing_facts(content_of(usual())) is None
    assert differing_facts(content_of(functions())) is None


def test_a_pool_is_told_in_a_few_words() -> None:
    pool = {"api": "blas", "library": "openblas", "threads": 1, "architecture": "Haswell"}
    comparison = comparison_of({"numpy": 0.02, "torch": 0.01}, pools=[pool, pool])
    assert changing_facts(content_of(comparison)) == []
    mixed = next(arm for arm in comparison.measured.arms if arm.name == "numpy")
    first = dataclasses.replace(mixed.launches[0], facts={**mixed.launches[0].facts, "pools": [{**pool, "threads": 2}]})
    changed = dataclasses.replace(mixed, launches=(first, *mixed.launches[1:]))
    arms = tuple(changed if arm is mixed else arm for arm in comparison.measured.arms)
    found = changing_facts(
        content_of(dataclasses.replace(comparison, measured=dataclasses.replace(comparison.measured, arms=arms)))
    )
    assert found == ["numpy: pools: openblas 2 threads Haswell; openblas 1 thread Haswell (2 times)"]


def test_the_machine_launch_by_launch() -> None:
    comparison = usual()
    more = Window(0, 0, 0, 1, 1.0, None, 0.25, 1.75, 2)
    measured = dataclasses.replace(comparison.measured, windows=(*comparison.measured.windows, more))
    found = launches(content_of(dataclasses.replace(comparison, measured=measured)))
    assert found is not None
    rows = {row[0]: dict(zip(found.headings, row, strict=True)) for row in found.rows}
    assert list(rows) == ["1", "2", "3", "4", "5"]
    assert rows["1"]["throttled"] == "250 ms"
    assert rows["1"]["others at most"] == "1.75 CPUs"
    assert rows["1"]["disturbed windows"] == "1 of 2"
    assert rows["2"]["replaced before"] == "1"
    assert rows["3"]["stolen at most"] == "40.0 %"
    assert rows["5"] == {
        "launch": "5",
        "canary": "3 ms",
        "canaries apart": "0.0 %",
        "stolen at most": "0.0 %",
        "throttled": "unknown",
        "others at most": "0.01 CPUs",
        "disturbed windows": "0 of 1",
        "replaced before": "0",
    }


def test_the_answers_of_each_setting() -> None:
    found = answers(content_of(usual()))
    assert found is not None
    assert found.rows[0] == ("numpy threads=1", "1,000", "2", "0", "10.0 % of the allowed", "97.0 %", "float32")
    assert answers(content_of(functions())) is None
    assert answers(content_of(hostile())) is not None


def test_an_error_beyond_what_is_allowed() -> None:
    found = answers(content_of(comparison_of({"numpy": 0.02, "torch": 0.01}, logit_error=1e300)))
    assert found is not None
    assert found.rows[0][4] == "1e+300 times the allowed"
