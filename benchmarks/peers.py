"""What people would use instead, each as its own documentation says: rows in, labels out, at its best block size.

A peer is opened as an arm of a comparison like an engine (`open_peer`), so that the same gate holds its labels.
`python -m benchmarks.peers NAME WIDTHS ROWS THREADS` prints the block size at which it is fastest, and its rate.
"""

import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.work import EngineWork
from vecml.config import Setting
from vecml.model.network import Architecture, Layer, Model

BLOCKS = (None, 1_024, 4_096, 16_384, 65_536)
SEARCH_ROUNDS = 5
Label = Callable[[NDArray[Any]], NDArray[np.integer]]


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

    def unavailable(self, model: Model, setting: Setting) -> None:
        """It runs here, or the benchmark ends."""

    def load(self, model: Model, setting: Setting) -> "Peer":
        """The model in the peer's own form."""
        return Peer(PEERS[self.name](model, setting.threads), model, setting)


class Peer:
    """A peer's function over blocks of rows; see `vecml.engines.base.Loaded`."""

    def __init__(self, label: Label, model: Model, setting: Setting) -> None:
        self._label = label
        self._model = model
        self._block = setting.block_rows

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        """Rows x (N, F) to labels, block by block; the whole array at once where there is no block size."""
        size = self._block or len(x)
        for start in range(0, len(x), size):
            out_N[start : start + size] = self._label(x[start : start + size])

    def logits(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """The model's own in float64: a peer is held to its labels alone."""
        value = x.astype(np.float64)
        for index, layer in enumerate(self._model.layers):
            value = value @ layer.weight_OI.T.astype(np.float64) + layer.bias_O
            if index + 1 < len(self._model.layers):
                value = np.maximum(value, 0)
        return value

    def synchronize(self) -> None:
        """A call returns when its labels are there."""

    def close(self) -> None:
        """Nothing is held."""


class PeerWork(EngineWork):
    """A peer's arm; the notebook's function is handed the float64 rows that it was written for."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        name = payload["setting"]["engine"]
        super().__init__(payload, PeerEngine(name))
        if name == "notebook":
            self._x = self._x.astype(np.float64)


def open_peer(payload: Mapping[str, Any]) -> PeerWork:
    """The opener of a peer's arm."""
    return PeerWork(payload)


def _module(model: Model) -> Any:
    from vecml.model.module import module_of

    return module_of(model)


def _notebook(model: Model, threads: int) -> Label:
    import torch

    from benchmarks import notebook

    torch.set_num_threads(threads)
    network = notebook.SimpleNetwork()
    network.model = _module(model)
    return lambda x: notebook.vectorized_inference(network, x)


def _torch(model: Model, threads: int) -> Label:
    import torch

    torch.set_num_threads(threads)
    module = _module(model)

    def label(x: NDArray[Any]) -> NDArray[np.int64]:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).argmax(1).numpy()

    return label


def _torch_compile(model: Model, threads: int) -> Label:
    import torch

    torch.set_num_threads(threads)
    module = _module(model)
    compiled = torch.compile(lambda x: module(x).argmax(1))

    def label(x: NDArray[Any]) -> NDArray[np.int64]:
        with torch.inference_mode():
            return compiled(torch.from_numpy(x)).numpy()

    return label


def _sklearn(model: Model, threads: int) -> Label:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    classes = model.architecture.n_classes
    classifier = MLPClassifier(model.architecture.hidden, max_iter=1)
    few = np.random.default_rng(0).standard_normal((4 * classes, model.architecture.n_features)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(few, np.arange(len(few)) % classes)
    layers = [(layer.weight_OI, layer.bias_O) for layer in model.layers]
    if classes == 2:  # its own form of two classes is one logistic output
        weight, bias = layers[-1]
        layers[-1] = (weight[1:] - weight[:1], bias[1:] - bias[:1])
    classifier.coefs_ = [np.ascontiguousarray(weight.T) for weight, _ in layers]
    classifier.intercepts_ = [bias.copy() for _, bias in layers]
    threadpool_limits(threads)
    return classifier.predict


def _onnx(model: Model) -> bytes:
    import torch

    module = _module(model)

    class Labels(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return module(x).argmax(1)

    made = torch.onnx.export(
        Labels().eval(),
        (torch.zeros(2, model.architecture.n_features),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("rows")},),
        input_names=["x"],
        output_names=["label"],
        verbose=False,
    )
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


def _onnxruntime(model: Model, threads: int) -> Label:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(_onnx(model), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def _openvino(model: Model, threads: int) -> Label:
    from vecml.engines.openvino import missing_openvino

    missing_openvino("openvino")  # imports it with its telemetry out of the way
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(_onnx(model)),
        "CPU",
        {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"},
    )
    return lambda x: compiled(x)[0]


def _jax(model: Model, threads: int) -> Label:  # noqa: ARG001 -- XLA takes every CPU that it may use
    import jax
    import jax.numpy as jnp

    layers = [(jnp.asarray(layer.weight_OI.T), jnp.asarray(layer.bias_O)) for layer in model.layers]

    @jax.jit
    def label(x: Any) -> Any:
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = layers[-1]
        return jnp.argmax(x @ weight + bias, axis=1)

    return lambda x: np.asarray(label(x))


PEERS: dict[str, Callable[[Model, int], Label]] = {
    "notebook": _notebook,
    "scikit-learn": _sklearn,
    "plain torch": _torch,
    "plain torch.compile": _torch_compile,
    "plain ONNX Runtime": _onnxruntime,
    "plain OpenVINO": _openvino,
    "plain JAX": _jax,
}


def fastest_block(name: str, widths: tuple[int, ...], n_rows: int, threads: int) -> tuple[int | None, float]:
    """The size of `BLOCKS` at which the peer is fastest, None being the whole array at once; and its rows a second."""
    model = make_model(widths)
    x = np.random.default_rng(1).standard_normal((n_rows, widths[0]), dtype=np.float32)
    out_N = np.empty(n_rows, np.int64)
    engine = PeerEngine(name)
    arms = {
        size: engine.load(model, Setting(name, layout="rows", threads=threads, block_rows=size))
        for size in BLOCKS
        if size is None or size < n_rows
    }
    seconds: dict[int | None, list[float]] = {size: [] for size in arms}
    for number in range(SEARCH_ROUNDS + 1):
        for size, peer in arms.items():
            begun = time.perf_counter()
            peer.labels(x, out_N)
            if number:
                seconds[size].append(time.perf_counter() - begun)
    best = min(seconds, key=lambda size: statistics.median(seconds[size]))
    return best, n_rows / statistics.median(seconds[best])


if __name__ == "__main__":
    asked, shape, count, cpus = sys.argv[1:]
    print(*fastest_block(asked, tuple(map(int, shape.split("-"))), int(count), int(cpus)))
