"""Modules of one's own that the tests name by `tests.model.own_modules:...`: good ones, and every kind of bad one."""

import torch
from torch import nn

from examples.own_model import ConvClassifier, Normalised  # noqa: F401 -- found here by name

some_function = torch.relu


class Plain:
    """No module."""


class Named(nn.Module):
    """Takes its numbers by name alone."""

    def __init__(self, *, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.layer(x_NF)


class Residual(nn.Module):
    """No chain, and small: x beside a layer of it; with a buffer of integers and a tied weight."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, n_features)
        self.second = nn.Linear(n_features, n_features)
        self.second.weight = self.first.weight
        self.last = nn.Linear(n_features, n_classes)
        self.register_buffer("order", torch.arange(n_features).flip(0))

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        found = x_NF + torch.tanh(self.second(torch.relu(self.first(x_NF))))
        return self.last(found[:, self.order])


class Fails(nn.Module):
    def __init__(self, n_features: int, n_classes: int) -> None:
        raise RuntimeError("no such thing\nand more")


class FailsForward(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        raise ValueError("cannot")


class OneLogit(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF)[:, :1]


class Integers(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF).long()


class Pair(Residual):
    def forward(self, x_NF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().forward(x_NF), x_NF


class NotFinite(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        with torch.no_grad():
            self.last.bias[0] = float("nan")


class Half(nn.Module):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes).half()

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.layer(x_NF.half()).float()


class Random(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x_NF, 0.5, True))


class Unsaved(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        self.register_buffer("drawn", torch.randn(n_features), persistent=False)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF * self.drawn)


class AcrossRows(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF - x_NF.mean(0))


class Float32Only(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF) + nn.functional.linear(x_NF, torch.ones((1, x_NF.shape[1]), dtype=torch.float32))


class Rounds(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF).float()


class Branches(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        found = super().forward(x_NF)
        return found if bool((found.abs() < 1e9).all()) else -found


class NoParameters(nn.Module):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return x_NF[:, :1].expand(-1, self.n_classes) * 1.0


class ExtraState(Residual):
    def get_extra_state(self) -> object:
        return {"a": 1}

    def set_extra_state(self, state: object) -> None:
        pass


class FailsTraining(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RuntimeError("not while training")
        return super().forward(x_NF)


class ChangesRows(nn.Module):
    """Clips what it is given, in place."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.layer(x_NF.clamp_(-0.5, 0.5))


class Counts(nn.Module):
    """Counts its calls in a buffer, in evaluation mode too."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.layer(x_NF)


class Leaves(nn.Module):
    """Ends the process when it is called."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        raise SystemExit("nope")


class Squeezes(Residual):
    """As many a module does that was written for batches."""

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF).squeeze()


class Normalises(Residual):
    """By the batch that it is given, in evaluation mode too."""

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.batch_norm(super().forward(x_NF), None, None, training=True)


class NormalisesInForward(Residual):
    """As nn.BatchNorm1d does, and has no such layer."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        self.register_buffer("mean_C", torch.zeros(n_classes))
        self.register_buffer("variance_C", torch.ones(n_classes))

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        logits_NC = super().forward(x_NF)
        return torch.nn.functional.batch_norm(logits_NC, self.mean_C, self.variance_C, training=self.training)


class Pruned(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        torch.nn.utils.prune.l1_unstructured(self.last, "weight", amount=0.5)


class ScriptedPart(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        self.last = torch.jit.script(self.last)


class QuantisedPart(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        self.last = torch.ao.nn.quantized.dynamic.Linear(self.last.in_features, n_classes)


class HalfOfIt(Residual):
    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, n_classes)
        self.last.half()


class SharesCompiledParts(nn.Module):
    """One compiled part in two places, and in a part of its own besides."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        part = torch.compile(nn.Linear(n_features, n_features))
        self.one, self.other = part, part
        self.inside = nn.Sequential(part, nn.Tanh(), nn.DataParallel(part))
        self.last = nn.Linear(n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.last(self.inside(torch.relu(self.other(torch.relu(self.one(x_NF))))))


class DividesByDeviation(Residual):
    """A batch of one deviates by nothing: what comes is infinite."""

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        logits_NC = super().forward(x_NF)
        return logits_NC / logits_NC.std(dim=0, correction=0)


class Embeds(nn.Module):
    """Looks its features up, as if they were indices."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.last = nn.Linear(4 * n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.last(self.table(x_NF).flatten(1))


class EmbedsWhole(Embeds):
    """The same, of the features' whole parts."""

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF.long())


class Softmaxed(Residual):
    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NF).softmax(1)


class Shifted(nn.Module):
    """Has a buffer in double precision, and gives logits in float32."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((n_features,), 0.5, dtype=torch.float64))
        self.last = nn.Linear(n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.last((x_NF - self.mean).to(x_NF.dtype))


class CompiledPart(nn.Module):
    """Has a part that torch.compile would compile."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.body = torch.compile(Residual(n_features, n_classes))

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        return self.body(x_NF)
