"""Models as ONNX: a plain one built node by node, a module of the user's own by torch's exporter."""

import contextlib
import io
import logging
import re
import warnings

import numpy as np

from vecml.config import Activation, Layout
from vecml.engines.weights import Linear
from vecml.errors import EngineUnavailableError, one_line
from vecml.model.network import AnyModel

OPSET = 20  # the first with Gelu
IR_VERSION = 9  # that opset's

_ACTIVATIONS: dict[Activation, str] = {"relu": "Relu", "gelu": "Gelu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
# where the exporter's and the compiler's exceptions say which operator they failed at
_OPERATOR = re.compile(r"op='([\w.:]+)'|target=torch\.ops\.([\w.]+?)(?:\.default)?\]|target: ([\w.]+)")


def chain_bytes(layers: list[Linear], activation: Activation, layout: Layout, dtype: np.dtype[np.floating]) -> bytes:
    """A chain of linear layers as a serialised ONNX model: input `x`, output `z` (C, B), B open.

    Args:
        layers: weight_OI and bias_O, first to last; rounded to `dtype`.
        activation: between them.
        layout: of x: `columns` (F, B), `rows` (B, F).
        dtype: float32 or float64, of x, the weights and z.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415

    nodes, weights, value = [], [], "x"
    for index, (weight_OI, bias_O) in enumerate(layers):
        with np.errstate(over="ignore"):
            weights.append(numpy_helper.from_array(weight_OI.astype(dtype), f"weight{index}"))
            weights.append(numpy_helper.from_array(bias_O.astype(dtype)[:, None], f"bias{index}"))
        out = "z" if index + 1 == len(layers) else f"sum{index}"
        transposed = int(index == 0 and layout == "rows")
        inputs = [f"weight{index}", value, f"bias{index}"]
        nodes.append(helper.make_node("Gemm", inputs, [out], transB=transposed))
        if index + 1 < len(layers):
            nodes.append(helper.make_node(_ACTIVATIONS[activation], [out], [f"hidden{index}"]))
            value = f"hidden{index}"
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    n_features = layers[0][0].shape[1]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", kind, [n_features, "B"] if layout == "columns" else ["B", n_features])],
        [helper.make_tensor_value_info("z", kind, [len(layers[-1][0]), "B"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def exported_bytes(model: AnyModel, engine: str) -> bytes:
    """A module of the user's own as a serialised ONNX model, float32: input `x` (B, F), output `z` (B, C), B open.

    Raises EngineUnavailableError, for the engine of that name, with the operator that cannot be exported.
    """
    import torch  # noqa: PLC0415

    x_BF = torch.zeros(3, model.architecture.n_features)
    quiet = logging.getLogger("torch")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        # the exporter prints the graph that it failed at, and warns of libraries that it would know as well
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model.as_module(),
                (x_BF,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("B")},),
                input_names=["x"],
                output_names=["z"],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter's own are private
        raise EngineUnavailableError(
            f"engine {engine} cannot run {model.architecture}: its export to ONNX fails at {operator_of(error)}",
            "engine torch runs every module",
        ) from error
    finally:
        quiet.setLevel(level)
    if program is None:
        raise EngineUnavailableError(f"engine {engine} cannot run {model.architecture}: torch exported nothing")
    return bytes(program.model_proto.SerializeToString())


def operator_of(error: BaseException) -> str:
    """The operator that an exporter or a compiler failed at; the first line of the first cause where none is named."""
    cause: BaseException | None = error
    last = error
    named = None
    while cause is not None:
        if found := _OPERATOR.search(str(cause)):
            named = next(group for group in found.groups() if group)
        last, cause = cause, cause.__cause__
    return named or one_line(last)
