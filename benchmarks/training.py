"""Training in this process: against the notebook's, against a bare loop of torch, and several networks at once."""

import contextlib
import io
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from benchmarks import notebook
from benchmarks.rounds import Figure, Floor, interleave, medians, ratios, wall
from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import Part, Split, split_table
from vecml.model.adam import Adam
from vecml.model.train import train

NOTEBOOK_ROWS = 5_000
REPLICAS = 16
MANY_ROWS = 1_000_000
RATE = 1e-3  # Adam's step size without a table


def training(rounds: int) -> Iterator[Figure]:
    """The notebook's training, as many networks of it at once, and a pass over a million rows."""
    yield from _against_the_notebook(rounds)
    yield from _replicas(rounds)
    yield from _many_rows(rounds)


def _against_the_notebook(rounds: int) -> Iterator[Figure]:
    """5,000 rows, 5 epochs, batches of 128: the notebook's DataLoader with two workers against vecml's training."""
    config = PipelineConfig(rows=NOTEBOOK_ROWS * 5 // 4, device="cpu")
    split = _split(config)
    x_NF = split.train.x_FN.T.astype(np.float64)

    def theirs() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            notebook.train_model(notebook.SimpleNetwork(), x_NF, split.train.label_N)

    seconds = interleave({"notebook": wall(theirs), "vecml": wall(lambda: train(split, config, "cpu"))}, rounds)
    yield Figure(
        f"training on {split.train.n_rows:,} rows, times faster",
        ratios(seconds["notebook"], seconds["vecml"]),
        Floor(10),
        detail=medians(seconds),
    )


def _replicas(rounds: int) -> Iterator[Figure]:
    """The notebook's job, 4,000 training rows: what 16 networks at once cost beside a single one."""
    config = PipelineConfig(rows=NOTEBOOK_ROWS, device="cpu")
    several = config.model_copy(update={"replicas": REPLICAS})
    split = _split(config)
    arms = {"one": wall(lambda: train(split, config, "cpu")), "several": wall(lambda: train(split, several, "cpu"))}
    seconds = interleave(arms, 3 * rounds)
    yield Figure(
        f"training {REPLICAS} networks at once, times one",
        ratios(seconds["several"], seconds["one"]),
        Floor(3, at_least=False),
        detail=medians(seconds),
    )


def _many_rows(rounds: int) -> Iterator[Figure]:
    """One pass over a million rows of 10 features against a loop over batches that were cut beforehand.

    With torch's Adam and with vecml's: the faster of both is the bar.
    """
    config = PipelineConfig(rows=MANY_ROWS * 5 // 4, epochs=1, device="cpu")
    split = _split(config)
    part = split.train
    arms = {
        "torch": wall(_bare(part, lambda module: torch.optim.Adam(module.parameters(), lr=RATE))),
        "torch with vecml's Adam": wall(_bare(part, lambda module: Adam(list(module.parameters()), RATE))),
        "vecml": wall(lambda: train(split, config, "cpu")),
    }
    before = torch.get_num_threads()
    for threads in sorted({1, before}):
        torch.set_num_threads(threads)
        try:
            seconds = interleave(arms, max(1, rounds // 2))
        finally:
            torch.set_num_threads(before)
        bar = tuple(map(min, seconds["torch"], seconds["torch with vecml's Adam"]))
        yield Figure(
            f"a pass over {part.n_rows:,} rows, rate over a bare loop's, {threads} threads",
            ratios(bar, seconds["vecml"]),
            Floor(0.8),
            detail=medians(seconds),
        )


def _bare(part: Part, optimizer_of: Callable[[nn.Module], torch.optim.Adam | Adam]) -> Callable[[], None]:
    """A pass of 10-32-2 over batches of 128 that are cut already, in the order of the rows."""
    x_batches = torch.from_numpy(np.ascontiguousarray(part.x_FN.T)).split(128)
    label_batches = torch.from_numpy(part.label_N).split(128)

    def loop() -> None:
        module = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = optimizer_of(module)
        forget = optimizer.gradient_P.zero_ if isinstance(optimizer, Adam) else optimizer.zero_grad
        for x_BF, label_B in zip(x_batches, label_batches, strict=True):
            forget()
            nn.functional.cross_entropy(module(x_BF), label_B).backward()
            optimizer.step()

    return loop


def _split(config: PipelineConfig) -> Split:
    return split_table(load_table(config), config.test_fraction, config.seed)
