"""What people would use instead, each as its own documentation says: float32 rows (N, F) in, labels out."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.model.network import Model

Label = Callable[[NDArray[Any]], NDArray[np.integer]]


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


PLAIN: dict[str, Callable[[Model, int], Label]] = {
    "notebook": _notebook,
    "scikit-learn": _sklearn,
    "plain torch": _torch,
    "plain torch.compile": _torch_compile,
    "plain ONNX Runtime": _onnxruntime,
    "plain OpenVINO": _openvino,
    "plain JAX": _jax,
}
