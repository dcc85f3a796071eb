"""How a network is trained: every figure that the configuration leaves open is chosen here, by rule, from the table."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml.config import ClassWeight, TrainingConfig
from vecml.data.remedy import flags
from vecml.errors import TrainingError

NOTEBOOK_HIDDEN = (32,)
NOTEBOOK_EPOCHS = 5
FOLD_ROWS = 5_000  # training rows up to which several parts are held out in turn
FOLDS = 5
WIDER_ROWS = 20_000  # training rows above which the network is wider
RATE = 4e-3
DECAYS = (0.1, 3.0)  # up to FOLD_ROWS both are tried; a later one is kept where its held-out loss is as good
SMALLER_RATES = (RATE / 10,)  # tried where nothing better than the majority's answer is found at RATE
OWN_RATE = 1e-3  # a class of the user's own may have any depth: Adam's usual step size


LAST_STEP = "its last step left weights that are not finite"


@dataclass(frozen=True)
class Recipe:
    """This is what a training is made of, with nothing left open.

    Attributes:
        hidden: widths of the hidden layers (a class of the user's own has its own).
        epochs: passes over the training rows; None: held-out rows say when it is enough.
        batch_size: rows per step; where fewer are trained on, all of them.
        learning_rate: Adam's step size.
        weight_decay: share of the weights that a step of size 1 takes away; biases keep theirs.
        decays: the values of `weight_decay` that are tried, and held-out rows choose one; empty: nothing is open.
        rates: values of `learning_rate` that are tried where held-out rows find no step better than the majority's
            answer; empty: the rate is given.
        class_weight: `balanced`: a row counts in inverse proportion to its class's share.
        folds: parts of the training rows that are held out in turn, each from a network of its own that goes through
            the same steps, while the network that is kept learns all rows. 1: a single part is held out, of
            `vecml.model.held_out.HELD_OUT_SHARE`, and no network learns it. 0 where `epochs` is a number.
        max_steps, max_seconds: training ends there at the latest; no matter where `epochs` is a number.
        check_steps: steps after which the held-out loss is computed again.
    """

    hidden: tuple[int, ...]
    epochs: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    decays: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    class_weight: ClassWeight = "none"
    folds: int = 0
    max_steps: int = 0
    max_seconds: float = 0.0
    check_steps: int = 0


@dataclass(frozen=True)
class Tried:
    """A setting that was tried.

    Attributes:
        hidden, learning_rate, weight_decay: the setting, as its flags would give it.
        held_out_loss: the lowest mean cross-entropy of the held-out rows, in nats; inf where it diverged.
        best_step: the step of that loss.
        chosen: whether the network was trained with it.
    """

    hidden: tuple[int, ...]
    learning_rate: float
    weight_decay: float
    held_out_loss: float
    best_step: int
    chosen: bool = False


def known_recipe(config: TrainingConfig) -> Recipe | None:
    """The recipe of generated data, the notebook's figures where the configuration has none; None for a table."""
    if config.data is not None:
        return None
    return Recipe(
        hidden=config.hidden or NOTEBOOK_HIDDEN,
        epochs=config.epochs or NOTEBOOK_EPOCHS,
        batch_size=config.batch_size or 128,
        learning_rate=config.learning_rate or 1e-3,
        weight_decay=config.weight_decay or 0.0,
        class_weight=config.class_weight,
    )


def make_recipe(config: TrainingConfig, n_rows: int) -> Recipe:
    """Choose what `config` leaves open.

    The rules for a table, measured in docs/log.md ("tables and training as people have them"):

    - width: 64 up to 20,000 training rows, then 128;
    - batch: 32 rows up to 2,000 training rows, then the power of two next to a sixtieth of them, 1,024 at most;
    - learning rate 0.004 (a class of the user's own: 0.001); where no step of that is better on held-out rows than the
      majority's answer, 0.0004, kept if its held-out loss is lower by `vecml.model.course.EQUAL_SHARE`;
    - weight decay 0.1, decoupled: a step takes 0.04 % of a weight away (a class of the user's own: 0). Up to 5,000
      training rows a network with 3 is trained as well, and kept unless its held-out loss is higher by more than
      `vecml.model.course.EQUAL_SHARE` of the majority's;
    - steps at most: 2,000, or as many as 40 passes over the rows take if those are more, but no more than 20,000;
    - held out: up to 5,000 training rows, five parts in turn; above that, one part of 15 %.

    Args:
        config: its values win; `epochs`, where given, switches the held-out part off.
        n_rows: training rows N.
    """
    known = known_recipe(config)
    if known is not None:
        return known
    own = config.architecture is not None
    batch_size = config.batch_size or _batch_size(n_rows)
    folds = 1 if own or n_rows > FOLD_ROWS else FOLDS
    passes = -(-40 * n_rows // batch_size)
    usual_steps = min(20_000, max(2_000, passes))
    max_steps = config.max_steps or usual_steps
    default_rate = OWN_RATE if own else RATE
    automatic = config.epochs is None
    is_decay_open = automatic and folds > 1 and config.weight_decay is None and not config.tune
    return Recipe(
        hidden=config.hidden or ((64,) if n_rows <= WIDER_ROWS else (128,)),
        epochs=config.epochs,
        batch_size=batch_size,
        learning_rate=default_rate if config.learning_rate is None else config.learning_rate,
        weight_decay=(0.0 if own else DECAYS[0]) if config.weight_decay is None else config.weight_decay,
        decays=DECAYS if is_decay_open else (),
        rates=SMALLER_RATES if automatic and not own and config.learning_rate is None and not config.tune else (),
        class_weight=config.class_weight,
        folds=folds if automatic else 0,
        max_steps=max_steps if automatic else 0,
        max_seconds=config.max_seconds if automatic else 0.0,
        # Not by max_steps: a bound that is given changes nothing of what comes before it.
        check_steps=min(usual_steps // 50, 200) if automatic else 0,
    )


def class_weights(label_N: NDArray[np.int64], n_classes: int, kind: ClassWeight) -> NDArray[np.float32] | None:
    """The weight of each class's rows in the loss, float32 (C,): N / (C x the class's rows), as in scikit-learn.

    Args:
        label_N: the training rows' classes.
        n_classes: C; a class without a row gets weight 0.
        kind: `none` gives None: every row counts 1.
    """
    if kind == "none":
        return None
    count_C = np.bincount(label_N, minlength=n_classes)
    present = int(np.count_nonzero(count_C))
    weight_C = len(label_N) / (present * np.maximum(count_C, 1)) * (count_C > 0)
    return weight_C.astype(np.float32)


def diverged(of: str, how: str, recipe: Recipe) -> TrainingError:
    """The error of a training whose figures stopped being finite; `of` says of which network, `how` what was seen."""
    smaller = flags({"learning_rate": float(f"{recipe.learning_rate / 10:g}")})
    return TrainingError(f"training{of} diverged: {how}", f"a smaller step size may help: {smaller}")


def _batch_size(n_rows: int) -> int:
    if n_rows <= 2_000:
        return 32
    wanted = n_rows / 60
    return int(min(1_024, 2 ** round(np.log2(wanted))))
