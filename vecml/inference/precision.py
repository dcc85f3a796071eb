"""What precision an engine really computes in: a model whose logits show it, run through the engine itself."""

import numpy as np

from vecml.config import Setting
from vecml.device import PROBE_CLASSES, PROBE_FEATURES, precision_of, probe_weights
from vecml.engines.registry import load_engine
from vecml.model.network import Architecture, Layer, Model


def used_precision(setting: Setting) -> str:
    """The precision that the setting's engine computes in under `setting`; see `vecml.device.precision_of`.

    Raises EngineUnavailableError when the engine cannot run here.
    """
    model = Model(
        Architecture(PROBE_FEATURES, (), PROBE_CLASSES, "relu"),
        (Layer(probe_weights(), np.zeros(PROBE_CLASSES, np.float32)),),
        tuple(map(str, range(PROBE_CLASSES))),
    )
    loaded = load_engine(model, setting)
    try:
        return precision_of(
            # float64 on purpose: an engine takes it, and how it rounds is part of the question
            lambda x_NF: loaded.logits(x_NF if setting.layout == "rows" else np.ascontiguousarray(x_NF.T))  # type: ignore[arg-type]
        )
    finally:
        loaded.close()
