"""What vecml is held against: what people would use (`peers_plain`), and what a specialist would (`peers_expert`).

A peer is opened as an arm of a comparison like an engine (`open_peer`), so that the same gate holds its labels.
`python -m benchmarks.peers NAME WIDTHS ROWS THREADS` checks its labels against the float64 reference and prints the
block size at which it is fastest, and its rate; `absent: ` and the reason where it cannot run here.

Every arm, vecml's too, writes its labels into one array that is there from call to call. What a peer needs in between
it takes as its users would: fresh from the allocator in a plain call, kept where a specialist would keep it.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers_expert as expert
from benchmarks.memory_counts import PageFaults, huge_page_facts
from benchmarks.peers_plain import PLAIN, Label
from vecml.comparison.reference import reference_labels, reference_logits, tolerance
from vecml.comparison.work import EngineWork
from vecml.config import Layout, Setting
from vecml.engines.base import Engine
from vecml.model.network import Architecture, Layer, Model

BLOCKS = (None, 1_024, 4_096, 16_384, 65_536)
SEARCH_ROUNDS = 5
ROWS_AT_ONCE = 100_000  # of the reference
CPP = "C++ in a day"


def _never() -> None:
    """It is there, or the benchmark's environment is not complete."""


@dataclass(frozen=True)
class Known:
    """How a peer is opened.

    Attributes:
        make: its function from the model and the number of threads.
        layout: of the float32 array that its function takes.
        absent: why it cannot run here, or None.
        blocks: block sizes to choose from; None: the whole array at once, which may be cut inside.
        packages: whose versions tell which peer it was.
    """

    make: Callable[[Model, int], Label]
    layout: Layout = "rows"
    absent: Callable[[], str | None] = _never
    blocks: tuple[int | None, ...] = BLOCKS
    packages: tuple[str, ...] = ()


_PACKAGES = {
    "scikit-learn": ("scikit-learn",),
    "plain torch": ("torch",),
    "plain torch.compile": ("torch",),
    "plain ONNX Runtime": ("onnxruntime",),
    "plain OpenVINO": ("openvino",),
    "plain JAX": ("jax",),
}
PEERS: Mapping[str, Known] = {
    **{name: Known(make, packages=_PACKAGES.get(name, ())) for name, make in PLAIN.items()},
    "torch by column": Known(expert.torch_columns, "columns", packages=("torch",)),
    "Numba by hand": Known(expert.numba_lanes, "columns", blocks=(None,), packages=("numba",)),
    "LiteRT with XNNPACK": Known(expert.litert, absent=expert.no_litert),
    CPP: Known(expert.cpp, "columns", expert.no_compiler, (None,)),
}


def make_model(widths: tuple[int, ...], seed: int = 0) -> Model:
    """A network of these widths with random weights, ReLU between the layers."""
    random = np.random.default_rng(seed)
    layers = tuple(
        Layer(
            (random.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)).astype(np.float32),
            (random.standard_normal(fan_out) / 10).astype(np.float32),
        )
        for fan_in, fan_out in pairwise(widths)
    )
    return Model(Architecture(widths[0], widths[1:-1], widths[-1], "relu"), layers, tuple(map(str, range(widths[-1]))))


class PeerEngine:
    """A peer by name, as an engine."""

    def __init__(self, name: str) -> None:
        self.name = name

    def unavailable(self, model: Model, setting: Setting) -> str | None:
        """Why it cannot run here, or None."""
        del model, setting  # it takes every model of the bench
        return PEERS[self.name].absent()

    def load(self, model: Model, setting: Setting) -> "Peer":
        """The model in the peer's own form."""
        return Peer(PEERS[self.name].make(model, setting.threads), model, setting)


class Peer:
    """A peer's function over blocks of rows; see `vecml.engines.base.Loaded`."""

    def __init__(self, label: Label, model: Model, setting: Setting) -> None:
        self._label = label
        self._model = model
        self._block = setting.block_rows
        self._columns = setting.layout == "columns"

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        """Rows x (N, F), or columns (F, N), to labels, block by block; all at once where there is no block size."""
        rows = len(out_N)
        size = self._block or max(1, rows)
        for start in range(0, rows, size):
            part = slice(start, start + size)
            out_N[part] = self._label(x[:, part] if self._columns else x[part])

    def logits(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """The model's own in float64: a peer is held to its labels alone."""
        return reference_logits(self._model, x if self._columns else x.T).logits_NC

    def synchronize(self) -> None:
        """A call returns when its labels are there."""

    def close(self) -> None:
        """Nothing is held."""


class CountedWork(EngineWork):
    """An arm of the bench, vecml's or a peer's: it counts the page faults of each block beside the timing."""

    def __init__(self, payload: Mapping[str, Any], engine: Engine | None = None) -> None:
        super().__init__(payload, engine)
        self._faults = PageFaults()

    def answer(self) -> int:
        """The labels' checksum, after each block; the counts are read outside of the timed calls."""
        self._faults.block_ended()
        return super().answer()

    def finish(self) -> dict[str, Any]:
        counted = {"page_faults": self._faults.by_block, **huge_page_facts()}  # before the checks, which need memory
        return {**super().finish(), **counted}


class PeerWork(CountedWork):
    """A peer's arm; the notebook's function is handed the float64 rows that it was written for."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        name = payload["setting"]["engine"]
        super().__init__(payload, PeerEngine(name))  # type: ignore[arg-type]
        if name == "notebook":
            self._x = self._x.astype(np.float64)


def open_peer(payload: Mapping[str, Any]) -> PeerWork:
    """The opener of a peer's arm."""
    return PeerWork(payload)


def open_ours(payload: Mapping[str, Any]) -> CountedWork:
    """The opener of vecml's arm: its engine from the registry, counted like a peer."""
    return CountedWork(payload)


def wrong_labels(model: Model, x_FN: NDArray[np.float32], label_N: NDArray[np.int64]) -> int:
    """Count label_N (int64) of the columns x_FN that differ from float64's by more than float32's rounding explains."""
    wrong, allowed = 0, tolerance(model.architecture, "float32")
    for start in range(0, len(label_N), ROWS_AT_ONCE):
        x, given_N = x_FN[:, start : start + ROWS_AT_ONCE], label_N[start : start + ROWS_AT_ONCE]
        flip_N = np.flatnonzero(given_N != reference_labels(model, x))
        given_N = given_N[flip_N]
        valid_N = (given_N >= 0) & (given_N < model.architecture.n_classes)
        wrong += int((~valid_N).sum())
        found = reference_logits(model, np.ascontiguousarray(x[:, flip_N[valid_N]]))
        index_N, given_N = np.arange(int(valid_N.sum())), given_N[valid_N]
        top_N = found.logits_NC.argmax(axis=1)
        margin_N = found.logits_NC[index_N, top_N] - found.logits_NC[index_N, given_N]
        band_N = allowed * (found.scale_NC[index_N, top_N] + found.scale_NC[index_N, given_N])
        wrong += int((margin_N > band_N).sum())
    return wrong


def fastest_block(name: str, widths: tuple[int, ...], n_rows: int, threads: int) -> tuple[int | None, float]:
    """The block size at which the peer is fastest, None being the whole array at once; and its rows a second.

    Raises RuntimeError where it cannot run here, or gives wrong labels at one of the sizes: none of them is timed then.
    """
    known, model = PEERS[name], make_model(widths)
    reason = known.absent()
    if reason is not None:
        raise RuntimeError(reason)
    x_FN = np.random.default_rng(1).standard_normal((widths[0], n_rows), dtype=np.float32)
    x = x_FN if known.layout == "columns" else np.ascontiguousarray(x_FN.T)
    out_N = np.empty(n_rows, np.int64)
    engine = PeerEngine(name)
    arms = {
        size: engine.load(model, Setting(name, layout=known.layout, threads=threads, block_rows=size))
        for size in known.blocks
        if size is None or size < n_rows
    }
    for size, peer in arms.items():
        out_N.fill(-1)
        peer.labels(x, out_N)
        wrong = wrong_labels(model, x_FN, out_N)
        if wrong:
            raise RuntimeError(f"{wrong:,} of {n_rows:,} labels are wrong, in blocks of {size or n_rows:,}")
    seconds: dict[int | None, list[float]] = {size: [] for size in arms}
    for _ in range(SEARCH_ROUNDS):
        for size, peer in arms.items():
            begun = time.perf_counter()
            peer.labels(x, out_N)
            seconds[size].append(time.perf_counter() - begun)
    best = min(seconds, key=lambda size: statistics.median(seconds[size]))
    return best, n_rows / statistics.median(seconds[best])


if __name__ == "__main__":
    asked, shape, count, cpus = sys.argv[1:]
    try:
        print(*fastest_block(asked, tuple(map(int, shape.split("-"))), int(count), int(cpus)))
    except RuntimeError as error:
        print(f"absent: {error}")
