"""A config resolved for this machine: which device, precision and threads its engine is given.

What engines can do is asked of the engines themselves. torch is imported only where the question needs it: with
`--device cpu`, or an engine that knows no other device, it is not.
"""

from vecml.config import PipelineConfig, Precision, Setting
from vecml.device import ACCELERATORS, available_devices, check_threads, usable_cpus
from vecml.engines.checks import unsupported
from vecml.engines.registry import ENGINES, check_setting, get_engine
from vecml.errors import DeviceUnavailableError, SettingError

REFERENCE_ENGINE = "row_loop"


def resolve_setting(config: PipelineConfig) -> Setting:
    """The way to run inference that `config` asks for, on this machine: no "auto" and no open thread count is left.

    Raises SettingError for more threads than there are CPUs and for a device that the engine does not know,
    DeviceUnavailableError for one that is not here.
    """
    check_threads(config.threads)
    return Setting(
        engine=config.engine,
        device=resolve_device(config.engine, config.device),
        precision=resolve_precision(config.engine, config.precision),
        layout=config.layout,
        isa=config.isa,
        threads=config.threads or usable_cpus(),
        block_rows=config.block_rows,
    )


def requested_setting(config: PipelineConfig) -> Setting | None:
    """The setting of `resolve_setting`, which can run here; None for `--engine auto`, which chooses of `candidates`.

    Raises SettingError, EngineUnavailableError or DeviceUnavailableError where nothing can run as `config` asks.
    """
    if config.engine == "auto":
        candidates(config)
        return None
    setting = resolve_setting(config)
    check_setting(setting)
    return setting


def candidates(config: PipelineConfig) -> list[Setting]:
    """The settings that `--engine auto` chooses from: every engine but the row loop, on every device that is asked for.

    Which of them can run here is asked of the engines (`vecml.engines.registry.check`).

    Raises SettingError where no engine has the device, precision and layout, or there are too few CPUs,
    DeviceUnavailableError for a device that is not here.
    """
    check_threads(config.threads)
    if config.device == "cpu":
        there: tuple[str, ...] = ("cpu",)
    else:
        there = available_devices()
        if config.device != "auto":
            resolve_device(
                next(name for name, engine in ENGINES.items() if config.device in engine.devices), config.device
            )
            there = (config.device,)
    found = [
        Setting(
            engine=name,
            device=device,
            precision=config.precision,
            layout=config.layout,
            isa=config.isa,
            threads=config.threads or usable_cpus(),
            block_rows=config.block_rows,
        )
        for name, engine in ENGINES.items()
        for device in there
        if name != REFERENCE_ENGINE and device in engine.devices
    ]
    possible = [setting for setting in found if unsupported(get_engine(setting.engine), setting) is None]
    if not possible:
        raise SettingError(
            f"--engine auto: no engine computes in {config.precision} on {' or '.join(there)}",
            "vecml doctor shows what this machine has",
        )
    return possible


def training_device(config: PipelineConfig) -> str:
    """The device of the training: the inference's, or with `--engine auto` the one that torch would take."""
    return resolve_device("torch" if config.engine == "auto" else config.engine, config.device)


def resolve_device(engine: str, device: str) -> str:
    """`cpu`, `cuda` or `mps`: "auto" takes an accelerator that is there and that `engine` knows, else the CPU.

    Raises SettingError when `engine` does not run on `device`, DeviceUnavailableError when the machine has none.
    """
    if device == "cpu":
        return device
    known = get_engine(engine).devices
    if device != "auto" and device not in known:
        others = [name for name, other in ENGINES.items() if device in other.devices]
        raise SettingError(f"--device {device}: engine {engine} runs on the {' and '.join(known)}", _choice(others))
    if not set(known) & set(ACCELERATORS):
        return "cpu"
    there = available_devices()
    if device == "auto":
        return next((name for name in ACCELERATORS if name in there and name in known), "cpu")
    if device not in there:
        raise DeviceUnavailableError(
            f"--device {device}: this machine offers {', '.join(there)}", "leave --device out to take what there is"
        )
    return device


def resolve_precision(engine: str, precision: Precision) -> Precision:
    """The precision to ask of `engine`: float64 where float32 is the default and the engine has only float64."""
    return "float64" if precision == "float32" and is_only_precision(engine, "float64") else precision


def is_only_precision(engine: str, precision: str) -> bool:
    """Whether `engine` is one of vecml's own that computes in no other precision than this one, which is float64."""
    return precision == "float64" and engine in ENGINES and get_engine(engine).precisions == ("float64",)


def _choice(engines: list[str]) -> str | None:
    return f"--engine {' or '.join(engines)}" if engines else None
