"""The model under OpenVINO: for each thread a compiled model of one stream and one thread, the caller's own.

Two requests of one compiled model do not run at the same time here, each in its caller's thread; of two models they do.
"""

from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from vecml.config import Activation, Layout, Setting
from vecml.engines.graph_blocks import GraphLoaded
from vecml.engines.onnx_graph import exported_bytes
from vecml.engines.weights import Linear, label_layers, logit_layers
from vecml.engines.writeable import as_writeable
from vecml.errors import EngineUnavailableError, one_line
from vecml.model.network import AnyModel

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def load_openvino(model: AnyModel, setting: Setting) -> GraphLoaded:
    """Compile `model` once for each thread; raises EngineUnavailableError if it cannot be exported or read."""
    core = openvino.Core()
    config = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,  # the threads are vecml's, not OpenVINO's to place
        "INFERENCE_PRECISION_HINT": _HINTS[setting.precision],  # else it takes bfloat16 where the CPU has it
    }
    whole: openvino.Model | None = None
    chain = model.chain
    if chain is None:
        onnx = exported_bytes(model, "openvino")
        try:
            graph = core.read_model(onnx)
        except RuntimeError as error:
            raise EngineUnavailableError(
                f"engine openvino cannot run {model.architecture}: {one_line(error)}"
            ) from error
    else:
        activation = chain.architecture.activation
        draw = by_row_graph if setting.precision == "bfloat16" else chain_graph
        graph = draw(label_layers(chain), activation, setting.layout)
        if model.architecture.n_classes == 2:
            whole = draw(logit_layers(chain), activation, setting.layout)

    def runner(of: openvino.Model) -> "RequestRunner":
        kept = keeps_nan(of)
        careful = None if kept is of else core.compile_model(kept, "CPU", config)
        return RequestRunner(core.compile_model(of, "CPU", config), careful)

    return GraphLoaded(
        model,
        setting,
        np.dtype(np.float32),
        lambda: runner(graph),
        None if whole is None else lambda: runner(whole),
    )


class RequestRunner:
    """One thread's compiled model and its only request.

    Args:
        compiled: for blocks that are finite.
        careful: for others; None: the same.
    """

    def __init__(self, compiled: openvino.CompiledModel, careful: openvino.CompiledModel | None) -> None:
        self._request = compiled.create_infer_request()
        self._careful = None if careful is None else careful.create_infer_request()

    def run(self, x: NDArray[Any], z: NDArray[Any]) -> None:
        """Compute z (C, B) from x, (F, B) or (B, F), in place; both contiguous, of the graph's dtype."""
        request = self._request
        if self._careful is not None:
            flat = x.reshape(-1)
            if not np.isfinite(np.dot(flat, flat)):  # or too large to be sure of
                request = self._careful
        request.set_input_tensor(openvino.Tensor(as_writeable(x), shared_memory=True))
        request.set_output_tensor(openvino.Tensor(z, shared_memory=True))
        request.infer()


def keeps_nan(graph: openvino.Model) -> openvino.Model:
    """A copy of `graph` in which relu of NaN is NaN and not 0, as OpenVINO has it; `graph` itself if it has no relu.

    The copy is slower by a fifth and more, so it is for blocks that need it.
    """
    if not any(op.get_type_name() == "Relu" for op in graph.get_ops()):
        return graph
    copied = graph.clone()
    for op in copied.get_ops():
        if op.get_type_name() == "Relu":
            value, zero = op.input_value(0), ops.constant(np.float32(0))
            op.output(0).replace(ops.select(ops.less(value, zero), zero, value).output(0))
    return copied


def chain_graph(layers: list[Linear], activation: Activation, layout: Layout) -> openvino.Model:
    """A chain of linear layers, float32: x, (F, B) in layout `columns` or (B, F) in `rows`, gives z (C, B); B open."""
    n_features = layers[0][0].shape[1]
    x = ops.parameter([n_features, -1] if layout == "columns" else [-1, n_features], np.float32, name="x")
    value = x
    for index, (weight_OI, bias_O) in enumerate(layers):
        with np.errstate(over="ignore"):
            weight, bias = ops.constant(weight_OI.astype(np.float32)), ops.constant(bias_O.astype(np.float32)[:, None])
        value = ops.add(ops.matmul(weight, value, False, index == 0 and layout == "rows"), bias)
        if index + 1 < len(layers):
            value = _activated(value, activation)
    return openvino.Model([value], [x], "classifier")


def by_row_graph(layers: list[Linear], activation: Activation, layout: Layout) -> openvino.Model:
    """Build the function of `chain_graph`, but computed by row: value_BI @ weight_OI.T.

    OpenVINO computes a product in bfloat16 only where the weights are its right operand: a constant left operand stays
    float32, and makes the whole product float32, whatever the precision hint says.
    """
    n_features = layers[0][0].shape[1]
    x = ops.parameter([n_features, -1] if layout == "columns" else [-1, n_features], np.float32, name="x")
    value = ops.transpose(x, [1, 0]) if layout == "columns" else x
    for index, (weight_OI, bias_O) in enumerate(layers):
        with np.errstate(over="ignore"):
            weight, bias = ops.constant(weight_OI.astype(np.float32)), ops.constant(bias_O.astype(np.float32))
        value = ops.add(ops.matmul(value, weight, False, True), bias)
        if index + 1 < len(layers):
            value = _activated(value, activation)
    return openvino.Model([ops.transpose(value, [1, 0])], [x], "classifier")


def _activated(value: Any, activation: Activation) -> Any:
    match activation:
        case "relu":
            return ops.relu(value)
        case "gelu":
            return ops.gelu(value, "erf")
        case "tanh":
            return ops.tanh(value)
        case "sigmoid":
            return ops.sigmoid(value)
