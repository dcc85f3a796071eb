"""Modules that wrap another one, or are no plain ones any more: unwrapped where that is certain, else refused.

torch.compile, DataParallel and the like run a module of the user's, which is what a model is made of. What torch.jit,
pruning, quantisation or another precision have made of a module has other code or weights than vecml's engines run.
"""

import torch
from torch import nn

from vecml.errors import SettingError

QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")


def unwrapped(module: nn.Module) -> nn.Module:
    """The module that torch.compile, DataParallel, DistributedDataParallel or an averaged model runs; else itself."""
    while True:
        inner = _inner(module)
        if inner is None:
            return module
        module = inner


def unwrap_parts(module: nn.Module) -> None:
    """Put what they run in the place of all wrappers inside `module`, which is changed; a part may be there twice."""
    todo, seen = [module], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for name, part in list(one._modules.items()):  # named_children leaves out what was there before
            if part is None:
                continue
            plain = unwrapped(part)
            if plain is not part:
                setattr(one, name, plain)
            todo.append(plain)


def refuse_other_kinds(module: nn.Module, what: str, own: str = "module") -> None:
    """Raise SettingError, `what` first, for a module that is scripted, traced, quantised, pruned or not in float32.

    Hints call the module `own`: "self" for one that its class makes, which is mended in its `__init__`.
    """
    place = "" if own == "module" else "at the end of its __init__: "
    for name, part in module.named_modules():
        where = f"its {name}" if name else "it"
        if isinstance(part, torch.jit.ScriptModule):
            raise SettingError(
                f"{what}: {where} was made by torch.jit, which keeps no layers that an engine could read",
                "give the module that it was scripted or traced from",
            )
        if type(part).__module__.startswith(QUANTISED):
            raise SettingError(
                f"{what}: {where} is quantised ({type(part).__name__}), and a model computes in floating point",
                "give the module from before it was quantised",
            )
        if name.rpartition(".")[2] == "_guards_fn":  # of torch.export
            raise SettingError(
                f"{what}: it was made by torch.export, and takes the shapes that it was exported with",
                "give the module that it was exported from",
            )
        if "forward" in vars(part) and _inner(part) is None:  # a copy would run the forward of this one
            raise SettingError(
                f"{what}: its {f'{name}.' if name else ''}forward was set on the object, and not by its class",
                f"{place}del {own}{_path(name)}.forward leaves that of its class",
            )
    if remade := _remade(module):
        steps = [f"torch.nn.utils.{remove}({own}{_path(name)}, {weight!r})" for name, remove, weight in remade]
        name, _, weight = remade[0]
        raise SettingError(
            f"{what}: its {f'{name}.' if name else ''}{weight} is normalised by a hook: it is made anew at every call",
            f"{place or 'make it a weight again: '}{'; '.join(steps)}; or take torch.nn.utils.parametrizations",
        )
    if pruned := _pruned(module):
        steps = [f"prune.remove({own}{_path(name)}, {parameter!r})" for name, parameter in pruned]
        name, parameter = pruned[0]
        raise SettingError(
            f"{what}: its {f'{name}.' if name else ''}{parameter} is pruned: it is made anew at every call",
            f"{place or 'make it a weight again: '}from torch.nn.utils import prune; {'; '.join(steps)}",
        )
    for name, tensor in module.named_parameters():  # a buffer may be of any kind: what comes out is looked at
        if tensor.is_meta:
            raise SettingError(f"{what}: its {name} is on device meta, which has no values", "load its weights first")
        if tensor.is_complex():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise SettingError(f"{what}: its {name} is {kind}, not float32", "give it real weights")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise SettingError(
                f"{what}: its {name} is {str(tensor.dtype).removeprefix('torch.')}, not float32",
                f"{place}self.float()" if place else "copy.deepcopy(module).float() is a copy in float32",
            )


def looks_up(module: nn.Module) -> bool:
    """Whether a part of the module looks rows up by their numbers, as an embedding does."""
    return any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in module.modules())


def gives_probabilities(outputs_NC: torch.Tensor) -> bool:
    """Whether the outputs (N, C) of a module are shares of 1 in every row, as those of a softmax are."""
    sums_N = outputs_NC.double().sum(1)
    return bool((outputs_NC >= 0).all()) and torch.allclose(sums_N, torch.ones_like(sums_N), rtol=0.0, atol=1e-5)


def _inner(module: nn.Module) -> nn.Module | None:
    compiled = getattr(module, "_orig_mod", None)  # of torch.compile
    if isinstance(compiled, nn.Module):
        return compiled
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.optim.swa_utils.AveragedModel)
    inner = getattr(module, "module", None) if isinstance(module, wrappers) else None
    return inner if isinstance(inner, nn.Module) else None


def _pruned(module: nn.Module) -> list[tuple[str, str]]:
    """The name of each part that is pruned, with the name of its parameter."""
    from torch.nn.utils import prune  # noqa: PLC0415 -- few need it

    return [
        (name, hook._tensor_name)
        for name, part in module.named_modules()
        for hook in part._forward_pre_hooks.values()
        if isinstance(hook, prune.BasePruningMethod)
    ]


def _remade(module: nn.Module) -> list[tuple[str, str, str]]:
    """Each part whose tensor a hook normalises: its name, the function that takes the hook away, and the tensor."""
    from torch.nn.utils import spectral_norm, weight_norm  # noqa: PLC0415 -- few need them

    removed = {"WeightNorm": "remove_weight_norm", "SpectralNorm": "remove_spectral_norm"}
    makers = {weight_norm.__module__, spectral_norm.__module__}
    return [
        (name, removed[type(hook).__name__], str(hook.name))
        for name, part in module.named_modules()
        for hook in part._forward_pre_hooks.values()
        if type(hook).__module__ in makers and type(hook).__name__ in removed
    ]


def _path(name: str) -> str:
    """A part's name as Python reads it after the module: `.layers[0]`, `[2]`."""
    return "".join(f"[{one}]" if one.isdecimal() else f".{one}" for one in name.split(".") if one)
