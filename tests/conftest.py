"""What several folders of tests share: a whole run's result, made without Prefect and MLflow."""

import dataclasses
import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest

# CI tries the same examples each time, so that it is red for a change's sake only; elsewhere they vary and find more.
# An example has no deadline: on a busy machine any of them takes longer at times.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("varied", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "varied")

if TYPE_CHECKING:
    from xdist.scheduler.loadscope import LoadScopeScheduling

    from vecml.report.summary import PipelineResult


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadScopeScheduling | None":
    """Have `--dist loadgroup` keep together what shares servers."""
    from tests.scheduling import ByFile

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Ten thousand tests and the libraries stay to the end: no collection of garbage needs to look through them.

    A tenth of the tests' time went there.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, nor a process that one starts, reads or writes the user's cache.

    The lock of measurements lies in the folder for temporary files: with one of its own, no worker of a test run waits
    for another's measurement.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VECML_CACHE", str(tmp_path_factory.mktemp("cache")))
        scratch = str(tmp_path_factory.mktemp("tmp"))
        patch.setenv("TMPDIR", scratch)
        patch.setattr(tempfile, "tempdir", scratch)
        if "PYTEST_XDIST_WORKER" in os.environ:  # what one worker has compiled is there for the others
            patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp().parent / "torch_compile"))
        yield


@pytest.fixture(scope="module")
def short_looks() -> Iterator[None]:
    """A quick look of this process measures for a tenth of its usual time: for tests of what else it says."""
    from vecml.comparison import budget
    from vecml.optimize import measure

    short = dataclasses.replace(budget.QUICK_PLAN, rounds=4, block_seconds=0.02, warm_seconds=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "QUICK_PLAN", short)
        patch.setattr(measure, "QUICK_PLAN", short)
        yield


def _result_of(
    folder: Path, names: tuple[str, ...], shares: tuple[float, ...] | None = None, replicas: int = 1
) -> "PipelineResult":
    """The result of a run over 300 rows of these classes, each with its share of them (all the same by default)."""
    # Here, so that a test that needs no result does not wait for torch.
    from vecml import keys
    from vecml.comparison.auto import Choice
    from vecml.config import make_config
    from vecml.data.sources import load_table
    from vecml.data.split import split_table
    from vecml.environment import describe
    from vecml.inference.infer import infer, score
    from vecml.inference.setting import resolve_setting
    from vecml.model.train import train
    from vecml.report.summary import PipelineResult
    from vecml.tracked_run import TrackedRun

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    code = rng.choice(len(names), size=300, p=shares)
    np.savez(folder / "table.npz", X=rng.normal(size=(300, 3)) + code[:, None], y=np.array(names)[code])
    config = make_config(
        {"data": str(folder / "table.npz"), "target": "y", "epochs": 30, "batch_size": 16, "replicas": replicas}
    )
    table = load_table(config)
    split = split_table(table, config.test_fraction, config.seed)
    training = train(split, config, replicas=replicas)
    inference = infer(training.model, split.test, resolve_setting(config))
    return PipelineResult(
        config=config,
        table=dataclasses.replace(table, columns=()),
        split=split,
        training=training,
        inference=inference,
        evaluation=score(split, inference, training.replicas),
        seconds={stage: 0.001 * number for number, stage in enumerate(keys.STAGES, 1)},
        environment=describe(),
        run=TrackedRun("id", "1", "name", "store", True, "http://127.0.0.1:5000/#/runs/id", "http://127.0.0.1:5000"),
        choice=Choice(inference.setting, "torch: no other was faster", kept=False) if replicas > 1 else None,
    )


@pytest.fixture(scope="session")
def result_of() -> "Callable[..., PipelineResult]":
    """`result_of(folder, class names, their shares)`: a run's result, its table in the folder."""
    return _result_of


@pytest.fixture(scope="session")
def telling_result(tmp_path_factory: pytest.TempPathFactory) -> "PipelineResult":
    """A result in which no two values are the same by chance, so that a value under another's key is seen.

    Three classes of unlike size, of which the test part has another majority than the training part; the reference
    engine ran on every other test row and disagrees about some; times, memory and launches are made up.
    """
    from vecml.data.split import Part
    from vecml.inference.infer import infer, score
    from vecml.measure.records import Window
    from vecml.measure.single import Measurement
    from vecml.warnings import VecmlWarning

    made = _result_of(tmp_path_factory.mktemp("telling"), ("common", "middle", "rare"), (0.6, 0.25, 0.15), replicas=5)
    whole = made.split.test
    kept = np.flatnonzero((whole.label_N != 0) | (np.arange(whole.n_rows) % 6 == 0))
    test = Part(np.ascontiguousarray(whole.x_FN[:, kept]), whole.label_N[kept], whole.row_N[kept], unseen_categories=7)
    split = dataclasses.replace(made.split, test=test)
    inference = infer(made.training.model, test, made.inference.setting)
    compared_N = np.arange(1, test.n_rows, 2)
    reference_NC = inference.reference_logits_NC[compared_N]
    reference_NC[1::4] = reference_NC[1::4, ::-1] * 1.5 + (0.3, 0.0, 0.1)
    inference = dataclasses.replace(
        inference,
        reference_row_N=compared_N,
        reference_logits_NC=reference_NC,
        measurement=Measurement(test.n_rows, 4, (0.02, 0.05, 0.011), launches=3, peak_rss_bytes=123_456_789),
        fraction_of_limit=0.3579,
        window=Window(0, 0, 0, 0, 0.4, 0.001, 0.0, 0.2468, 2),
    )
    with pytest.warns(VecmlWarning, match="VML007"):
        evaluation = score(split, inference, made.training.replicas)
    return dataclasses.replace(made, split=split, inference=inference, evaluation=evaluation)
