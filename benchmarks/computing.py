"""Inference in this process: the notebook's functions against vecml's, on the same job."""

import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks import notebook
from benchmarks.rounds import Figure, Floor, interleave, medians, ratios, wall
from vecml.config import PipelineConfig
from vecml.engines.registry import load_engine
from vecml.inference.setting import resolve_setting
from vecml.model.module import linears
from vecml.model.network import Architecture, Model, layer_from

INFERENCE_ROWS = 1_000_000
THREADS = min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def inference(rounds: int) -> Iterator[Figure]:
    """A million float64 rows the notebook's way against float32 columns in blocks, with as many threads."""
    torch.set_num_threads(THREADS)
    network = notebook.SimpleNetwork()
    layers = tuple(
        layer_from(linear.weight.detach().numpy(), linear.bias.detach().numpy()) for linear in linears(network.model)
    )
    model = Model(Architecture(10, (32,), 2, "relu"), layers, ("0", "1"))
    x_NF = np.random.default_rng(0).standard_normal((INFERENCE_ROWS, 10))
    x_FN = np.ascontiguousarray(x_NF.T, np.float32)
    expected_N = notebook.vectorized_inference(network, x_NF)
    with contextlib.ExitStack() as stack:

        def ours(engine: str) -> Callable[[], float]:
            setting = resolve_setting(PipelineConfig(engine=engine, device="cpu", threads=THREADS))  # type: ignore[arg-type]
            loaded = load_engine(model, setting)
            stack.callback(loaded.close)
            label_N = np.empty(INFERENCE_ROWS, np.int64)

            def call() -> None:
                loaded.labels(x_FN, label_N)
                loaded.synchronize()

            call()
            different = int((label_N != expected_N).sum())
            if different > INFERENCE_ROWS // 100_000:  # rounding may tip a few close calls
                raise SystemExit(f"{engine}: {different} labels differ from the notebook's")
            return wall(call)

        arms = {
            "notebook": wall(lambda: notebook.vectorized_inference(network, x_NF)),
            "torch": ours("torch"),
            "numpy": ours("numpy"),
        }
        seconds = interleave(arms, 3 * rounds)
    for engine, floor in (("torch", Floor(4)), ("numpy", None)):
        yield Figure(
            f"inference, {engine} by column, {THREADS} threads, times faster",
            ratios(seconds["notebook"], seconds[engine]),
            floor,
            detail=medians({name: seconds[name] for name in ("notebook", engine)}),
        )
