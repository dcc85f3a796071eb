"""Which settings are compared: the product of what the user lists, their names, and those that cannot run here.

A name is the engine, and beside it only what differs between the settings: `torch`, `torch threads=2 layout=rows`. The
precision of an engine that has no other one is not named.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.config import ComparisonConfig
from vecml.config import Setting
from vecml.device import check_threads, usable_cpus
from vecml.engines.registry import ENGINES, check
from vecml.errors import SettingError
from vecml.inference.block_size import tuned
from vecml.inference.infer import in_layout
from vecml.inference.setting import is_only_precision, resolve_precision
from vecml.model.network import AnyModel

BASELINE = "torch"
TUNING_ROWS = 1_000_000  # of a table by row, which is a copy
FIELDS = tuple(field.name for field in dataclasses.fields(Setting))


@dataclass(frozen=True)
class Chosen:
    """The settings of a comparison.

    Attributes:
        settings: by name; of one size of request the first is the baseline.
        skipped: names of what does not run, each with the reason.
    """

    settings: Mapping[str, Setting]
    skipped: Mapping[str, str]


def product(**choices: Sequence[object]) -> list[Setting]:
    """Make every combination of the values given for Setting's fields, without duplicates; the last varies fastest."""
    names = list(choices)
    combinations = itertools.product(*choices.values())
    made = [Setting(**dict(zip(names, values, strict=True))) for values in combinations]  # type: ignore[arg-type]
    return list(dict.fromkeys(made))


def names_of(settings: Sequence[Setting]) -> list[str]:
    """A name for each setting: its engine, and `field=value` for every other field in which some differ.

    That one engine computes in float64 alone gives neither it nor the others a precision in their names.
    """
    without = [is_only_precision(setting.engine, setting.precision) for setting in settings]
    several = {
        field: len({getattr(setting, field) for setting in settings}) > 1 for field in FIELDS if field != "engine"
    }
    several["precision"] = len({one.precision for one, only in zip(settings, without, strict=True) if not only}) > 1
    return [
        " ".join(
            [
                setting.engine,
                *(
                    f"{field}={_text(getattr(setting, field))}"
                    for field, differs in several.items()
                    if differs and not (only and field == "precision")
                ),
            ]
        )
        for setting, only in zip(settings, without, strict=True)
    ]


def settings_of(config: ComparisonConfig) -> list[Setting]:
    """Make every combination of the values in `config`; raises SettingError for a value that no setting can have."""
    for count in config.threads:
        check_threads(count)
    engines = list(dict.fromkeys(config.engines))
    if "all" in engines:  # what people would run without asking comes first, and is the baseline
        engines = list(dict.fromkeys((BASELINE, *ENGINES)))  # type: ignore[arg-type]
    wanted: list[Setting] = []
    for engine in engines:
        wanted += product(
            engine=[engine],
            layout=config.layout,
            isa=config.isa,
            threads=config.threads or [usable_cpus()],
            block_rows=[rows or None for rows in config.block_rows] or [None],
            request_rows=[rows or None for rows in config.request_rows] or [None],
            precision=[resolve_precision(engine, one) for one in config.precision],
            device=config.device,
        )
    return wanted


def chosen_of(config: ComparisonConfig, model: AnyModel, x_FN: NDArray[np.floating]) -> Chosen:
    """The settings that can run `model` here, the baseline first, each with the block size that suits `x_FN` (F, N).

    Raises SettingError when fewer than two settings can run, or when the baseline is not among them.
    """
    return choose_runnable(settings_of(config), config.baseline, model, x_FN)


def choose_runnable(
    settings: Sequence[Setting], baseline: str | None, model: AnyModel, x_FN: NDArray[np.floating]
) -> Chosen:
    """Choose the settings that can run `model` here, `baseline` first, with block sizes tuned on x_FN (F, N)."""
    return tune(choose(settings, baseline, lambda setting: check(model, setting)), model, x_FN)


def choose(settings: Sequence[Setting], baseline: str | None, check: Callable[[Setting], None]) -> Chosen:
    """Name the settings, put the baseline first, and leave out what cannot run.

    Args:
        settings: at least one.
        baseline: a setting's name, or an engine's: then its first setting; None: the first setting that can run.
        check: raises SettingError for a setting that cannot run here.

    Raises SettingError when the baseline is not among them or cannot run, or nothing else can.
    """
    named = dict(zip(names_of(settings), settings, strict=True))
    first = _baseline(named, baseline)
    skipped: dict[str, str] = {}
    for name, setting in named.items():
        try:
            check(setting)
        except SettingError as error:
            skipped[name] = error.message
        if name in skipped and name == first and baseline is not None:
            raise SettingError(f"the baseline {name} cannot run: {skipped[name]}", "choose another with --baseline")
    kept = {name: setting for name, setting in named.items() if name not in skipped}
    if first not in kept and kept:
        first = next(iter(kept))
    sizes = Counter(setting.request_rows for setting in kept.values())
    if min(sizes.values(), default=0) < 2:
        reason = f": {next(iter(skipped.values()))}" if skipped else ""
        hint = (
            "vecml doctor shows what this machine has"
            if skipped
            else "name two settings or more: --engines numpy,torch"
        )
        raise SettingError(f"nothing to compare {first} with{reason}", hint)
    # Within a size of request, the setting that is the baseline but for that size comes first.
    like = dataclasses.replace(kept[first], request_rows=None)
    ordered = sorted(kept, key=lambda name: dataclasses.replace(kept[name], request_rows=None) != like)
    settings = [kept[name] for name in ordered]
    return Chosen(dict(zip(names_of(settings), settings, strict=True)), skipped)  # what is left out tells none apart


def tune(chosen: Chosen, model: AnyModel, x_FN: NDArray[np.floating]) -> Chosen:
    """Choose the block size that suits `model` for each setting that leaves it open; the names stay.

    Args:
        chosen: from `choose`.
        model: what is run.
        x_FN: features (F, N) that it will be run on; see `vecml.inference.block_size.tuned`.
    """
    settings = {}
    by_layout: dict[str, NDArray[np.floating]] = {"columns": x_FN}
    for name, setting in chosen.settings.items():
        if setting.layout not in by_layout:
            by_layout[setting.layout] = in_layout(x_FN[:, :TUNING_ROWS], setting.layout)
        settings[name] = tuned(model, setting, by_layout[setting.layout])
    return dataclasses.replace(chosen, settings=settings)


def _baseline(named: Mapping[str, Setting], baseline: str | None) -> str:
    if baseline is None:
        return next(iter(named))
    if baseline in named:
        return baseline
    for name, setting in named.items():
        if setting.engine == baseline:
            return name
    raise SettingError(f"--baseline {baseline}: it is none of the settings", f"choose from {', '.join(named)}")


def _text(value: object) -> str:
    return "auto" if value is None else str(value)
