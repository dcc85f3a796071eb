"""The engines there are, by name. No discovery: an engine is one file and one line here."""

import numpy as np

from vecml.config import Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import other_model, unsupported
from vecml.engines.halide import HalideEngine
from vecml.engines.numpy import NumpyEngine
from vecml.engines.onnxruntime import OnnxruntimeEngine
from vecml.engines.openvino import OpenvinoEngine
from vecml.engines.row_loop import RowLoopEngine
from vecml.engines.torch import TorchEngine
from vecml.engines.torch_compile import TorchCompileEngine
from vecml.errors import EngineUnavailableError, SettingError, one_line
from vecml.model.network import AnyModel, Architecture, Layer, Model

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        RowLoopEngine(),
        NumpyEngine(),
        TorchEngine(),
        TorchCompileEngine(),
        OnnxruntimeEngine(),
        OpenvinoEngine(),
        HalideEngine(),
    )
}


def get_engine(name: str) -> Engine:
    """The engine called `name`; raises SettingError with the names that there are."""
    if name not in ENGINES:
        raise SettingError(f"--engine {name}: there is no such engine", f"choose from {', '.join(ENGINES)}")
    return ENGINES[name]


def check_setting(setting: Setting) -> None:
    """Raise EngineUnavailableError when no machine could run the setting's engine in its layout, device and precision.

    Needs no model and imports no library, so that it can be asked before anything is computed; what this machine lacks
    is found by `check`. Raises SettingError when there is no such engine.
    """
    _refuse(setting, unsupported(get_engine(setting.engine), setting))


def check(model: AnyModel, setting: Setting) -> None:
    """Raise EngineUnavailableError, with the reason, when the setting's engine cannot run `model` under it here.

    Raises SettingError when there is no such engine.
    """
    engine = get_engine(setting.engine)
    _refuse(setting, other_model(engine, model) or engine.unavailable(model, setting))


def load_engine(model: AnyModel, setting: Setting) -> Loaded:
    """`model` ready to run under `setting`; close it when done.

    Raises as `check` does, and EngineUnavailableError where a library can be imported but has not what it should have.
    """
    check(model, setting)
    try:
        return get_engine(setting.engine).load(model, setting)
    except (ImportError, AttributeError) as error:
        raise EngineUnavailableError(
            f"engine {setting.engine} cannot be loaded: its library is broken: {one_line(error)}",
            "install it anew; vecml doctor shows the versions",
        ) from error


def availability(name: str) -> str | None:
    """Why the engine called `name` cannot be used on this machine's CPU at all, or None when it can."""
    engine = get_engine(name)
    model = Model(
        Architecture(1, (), 2, "relu"), (Layer(np.zeros((2, 1), np.float32), np.zeros(2, np.float32)),), ("0", "1")
    )
    return engine.unavailable(model, Setting(engine=name, precision=engine.precisions[0], layout=engine.layouts[0]))


def _refuse(setting: Setting, reason: str | None) -> None:
    if reason is not None:
        raise EngineUnavailableError(
            f"engine {setting.engine} cannot run this model here: {reason}", "vecml doctor shows what this machine has"
        )
