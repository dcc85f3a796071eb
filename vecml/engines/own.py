"""Whether an engine could run a class of the user's own, asked before it is trained."""

from vecml.config import Setting
from vecml.engines.registry import ENGINES
from vecml.errors import EngineUnavailableError


def check_runs(name: str, n_features: int, n_classes: int, setting: Setting) -> None:
    """Raise EngineUnavailableError when the setting's engine runs chains of linear layers only, and this model is none.

    What a class computes does not depend on its weights, so a fresh module tells.

    Args:
        name: of the model's class.
        n_features, n_classes: what the class is called with.
        setting: names the engine.

    Raises:
        SettingError: the module cannot be made or traced.
    """
    engine = ENGINES.get(setting.engine)
    if engine is None or engine.own_models:
        return
    from vecml.model.chain import chain_of  # noqa: PLC0415 -- torch, which a run with a plain network may do without
    from vecml.model.module_checks import build  # noqa: PLC0415

    found = chain_of(build(name, n_features, n_classes), n_features, n_classes)
    if isinstance(found, str):
        others = ", ".join(name for name, other in ENGINES.items() if other.own_models)
        raise EngineUnavailableError(
            f"engine {setting.engine} cannot run this model: it runs chains of linear layers, and {name} has {found}",
            f"engines that run any module: {others}",
        )
