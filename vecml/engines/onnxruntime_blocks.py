"""The model under ONNX Runtime: one session for all threads, each with a binding to its own memory."""

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.engines.graph_blocks import GraphLoaded
from vecml.engines.onnx_graph import chain_bytes, exported_bytes
from vecml.engines.weights import label_layers, logit_layers
from vecml.errors import EngineUnavailableError, one_line
from vecml.model.network import AnyModel

QUIET = 4  # fatal alone: errors are raised, and what it would print about this machine is no news


def load_onnxruntime(model: AnyModel, setting: Setting) -> GraphLoaded:
    """Make one session for labels and logits, or two for two classes; raises EngineUnavailableError if it cannot."""
    dtype = np.dtype(setting.precision)
    chain = model.chain
    if chain is None:
        session = _session(exported_bytes(model, "onnxruntime"), model)
        return GraphLoaded(model, setting, dtype, lambda: SessionRunner(session, dtype), None)
    activation = chain.architecture.activation
    session = _session(chain_bytes(label_layers(chain), activation, setting.layout, dtype), model)
    if model.architecture.n_classes > 2:
        return GraphLoaded(model, setting, dtype, lambda: SessionRunner(session, dtype), None)
    whole = _session(chain_bytes(logit_layers(chain), activation, setting.layout, dtype), model)
    return GraphLoaded(
        model, setting, dtype, lambda: SessionRunner(session, dtype), lambda: SessionRunner(whole, dtype)
    )


class SessionRunner:
    """One thread's binding to a session."""

    def __init__(self, session: onnxruntime.InferenceSession, dtype: np.dtype[Any]) -> None:
        self._session = session
        self._dtype = dtype
        self._binding = session.io_binding()

    def run(self, x: NDArray[Any], z: NDArray[Any]) -> None:
        """Compute z (C, B) from x, (F, B) or (B, F), in place; both contiguous, of the graph's dtype."""
        self._binding.bind_input("x", "cpu", 0, self._dtype, x.shape, x.ctypes.data)
        self._binding.bind_output("z", "cpu", 0, self._dtype, z.shape, z.ctypes.data)
        self._session.run_with_iobinding(self._binding)


def _session(graph: bytes, model: AnyModel) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = QUIET
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own are named after status codes, and a missing kernel is one of them
        said = one_line(error, whole=True, limit=None)
        raise EngineUnavailableError(f"engine onnxruntime cannot run {model.architecture}: {said}") from error
