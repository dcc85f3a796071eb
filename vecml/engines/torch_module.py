"""Models under torch as modules, called as they are or compiled: every model of `torch_compile`, and modules of the
user's own under `torch`.

A block is one thread's from input to label, and its label is part of the module, so that a compiler fuses it with what
comes before. A graph is compiled for one length, the block's, and a shorter block is filled up: graphs for any length
were compiled anew at calls long after loading, because of lengths and strides that they had not met yet.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.utils.dlpack
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from vecml.config import Activation, Layout, Setting
from vecml.engines.blocks import Blocks
from vecml.engines.checks import check_labels, count_rows
from vecml.engines.gpu_memory import halving, ran_out
from vecml.engines.onnx_graph import operator_of
from vecml.engines.torch_blocks import OnDevice, division
from vecml.engines.torch_threads import one_torch_thread
from vecml.engines.weights import Linear, label_layers, logit_layers
from vecml.errors import DataError, EngineUnavailableError, VecmlError, one_line
from vecml.model.network import AnyModel

UNROLLED = 16  # classes up to which comparing them one after the other compiles quickly

_ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


class ModuleLoaded(OnDevice):
    """A model as modules on a device; see `vecml.engines.base.Loaded`."""

    def __init__(self, model: AnyModel, setting: Setting, *, compiled: bool) -> None:
        """Copy the model to the device and, where it is to be compiled, do that with a block of zeros.

        Raises EngineUnavailableError with the operator that cannot be compiled.
        """
        super().__init__(model, setting)
        self._name = str(model.architecture)
        self._is_chain = model.chain is not None
        # what the modules take: a module of the user's own rows, a chain what it is handed
        self._takes: Layout = "rows" if model.chain is None else setting.layout
        self._logits_module, labels_module = _modules(model, setting.layout, self._dtype, self._device)
        rows, threads = division(model, setting, self._dtype.itemsize)
        self._blocks = Blocks(min(rows, setting.request_rows or rows), threads)
        self._lanes = self._new_lanes()
        self._compiled = compiled
        self._label = _Call(labels_module)
        self._logit = _Call(self._logits_module)
        if compiled:
            try:
                halving(self._blocks, self._device, lambda: self._compile(self._label), self._restart)
            except EngineUnavailableError:
                self.close()
                raise

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._n_features, self._layout)
        check_labels(out_N, n_rows)
        label_N = torch.from_numpy(out_N)

        def work(thread: int, rows: slice) -> None:
            lane = self._lanes[thread]
            with lane.scope():
                found = self._label(self._features(lane, x, rows))
                label_N[rows].copy_(found[: rows.stop - rows.start])  # waits for the device

        self._run(n_rows, work, self._label)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC: float64 where that is computed in, else float32; the first call compiles."""
        n_rows = count_rows(x, self._n_features, self._layout)
        z_NC = torch.empty((n_rows, self._n_classes), dtype=self._wide)

        def work(thread: int, rows: slice) -> None:
            lane = self._lanes[thread]
            with lane.scope():
                found = self._logit(self._features(lane, x, rows))
                z_NC[rows].copy_(found[:, : rows.stop - rows.start].T)

        self._run(n_rows, work, self._logit)
        array: NDArray[np.floating] = z_NC.numpy()
        return array

    def close(self) -> None:
        """End the threads, free the device's memory, give torch its matrix-product setting back; again: nothing."""
        self._blocks.close()
        self._lanes.clear()
        self._label = self._logit = _Call(nn.Identity())
        self._logits_module = nn.Identity()
        self._restore_precision()

    def _run(self, n_rows: int, work: Callable[[int, slice], None], call: "_Call") -> None:
        """The block loop over what uses `call`, compiled before where that is to be; smaller blocks when memory runs
        out.
        """

        def attempt() -> None:
            if self._compiled and call.compiled is None:
                self._compile(call)
            self._blocks.run(n_rows, work, begin=lambda: torch.set_num_threads(1))

        with one_torch_thread():
            try:
                halving(self._blocks, self._device, attempt, self._restart)
            except (VecmlError, MemoryError):
                raise
            except Exception as error:
                if self._is_chain:
                    raise
                raise DataError(
                    f"module {self._name} fails on these rows: {one_line(error, named=True)}",
                    "it took rows of numbers around 0: what it looks up by a feature's value must be there for all",
                ) from error

    def _restart(self) -> None:
        """Forget what was made for blocks of the former size."""
        self._lanes = self._new_lanes()
        self._label.compiled = self._logit.compiled = None

    def _new_lanes(self) -> list["_Lane"]:
        return [_Lane(self._device) for _ in range(self._blocks.threads)]

    @property
    def _shape(self) -> tuple[int, int]:
        """Return the shape of a full block in the layout that the modules take."""
        rows = self._blocks.block_rows
        return (self._n_features, rows) if self._takes == "columns" else (rows, self._n_features)

    def _features(self, lane: "_Lane", x: NDArray[Any], rows: slice) -> torch.Tensor:
        """The block on the device, in the dtype that is computed in and as the module takes it.

        For a compiled module it is filled up to a whole block, with what lay there before.
        """
        block = x[:, rows] if self._layout == "columns" else x[rows]
        if self._takes != self._layout:
            block = block.T
        # A tensor of its own and no view of the table's: to a compiled graph these would be two kinds of input.
        features: torch.Tensor = torch.utils.dlpack.from_dlpack(block)
        by_line = block.strides[1] == block.itemsize and block.strides[0] >= block.shape[1] * block.itemsize
        as_it_is = by_line if self._takes == "columns" else block.flags.c_contiguous
        if self._compiled:  # one shape and one order in memory: anything else would be compiled anew
            count = rows.stop - rows.start
            as_it_is = count == self._blocks.block_rows and bool(block.flags.c_contiguous)
        if self._device.type == "cpu" and features.dtype == self._dtype and as_it_is:
            return features
        return lane.stage(features, self._dtype, self._shape if self._compiled else tuple(features.shape))

    def _compile(self, call: "_Call") -> None:
        """Compile for whole blocks, and run both kinds: in memory of ours, and in the table's own."""
        lane = self._lanes[0]
        staged = lane.stage(torch.zeros(self._shape, dtype=self._dtype), self._dtype, self._shape)
        blocks = [staged]
        if self._device.type == "cpu":
            blocks.append(torch.utils.dlpack.from_dlpack(torch.zeros(self._shape, dtype=self._dtype)))
        try:
            # The number of threads is part of what a graph is compiled for: with one it is code without OpenMP.
            with one_torch_thread(), warnings.catch_warnings(), lane.scope():
                warnings.simplefilter("ignore")  # the compiler's own imports are deprecated ones
                # Isolated: every model has the same code, and torch would give up at the eighth.
                options: dict[str, Any] = {"fullgraph": True, "dynamic": False, "isolate_recompiles": True}
                call.compiled = torch.compile(call.module, **options)
                for block in (*blocks, *blocks):
                    call.compiled(block)
        except Exception as error:  # dynamo's and inductor's own, a compiler's, whatever the module raises
            if ran_out(error):
                raise
            raise EngineUnavailableError(
                f"engine torch_compile cannot run {self._name}: torch.compile fails at {operator_of(error)}",
                "engine torch runs every module",
            ) from error


class Chain(nn.Module):
    """Linear layers and an activation between them, by column: weight_OI @ value_IB + bias_O1.

    Args:
        layers: weight_OI and bias_O, first to last.
        activation: between them.
        layout: of what it takes: `columns` (F, B), `rows` (B, F). It gives (C, B).
        dtype: what is computed in.
    """

    def __init__(self, layers: list[Linear], activation: Activation, layout: Layout, dtype: torch.dtype) -> None:
        super().__init__()
        self.activation = activation
        self.transposed = layout == "rows"
        self.depth = len(layers)
        for index, (weight_OI, bias_O) in enumerate(layers):
            self.register_buffer(f"weight{index}", torch.from_numpy(weight_OI).to(dtype))
            self.register_buffer(f"bias{index}", torch.from_numpy(bias_O[:, None]).to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits (C, B) of the features x, which are (F, B), or (B, F) when the chain is `transposed`."""
        value = x.T if self.transposed else x
        for index in range(self.depth):
            # a product and a sum, not addmm: so the bias is fused with the activation
            value = getattr(self, f"weight{index}") @ value + getattr(self, f"bias{index}")
            if index + 1 < self.depth:
                value = _ACTIVATIONS[self.activation](value)
        return value


class ByClass(nn.Module):
    """A module of the user's own, (B, F) to (B, C), with its logits by class: (C, B)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x_BF: torch.Tensor) -> torch.Tensor:
        """The logits (C, B) of the features (B, F)."""
        z_CB: torch.Tensor = self.module(x_BF).T
        return z_CB


class Labelled(nn.Module):
    """The classes (B,), int64, of what a module with logits (C, B) takes.

    Args:
        module: with one logit it is logit 1 minus logit 0; with two they are subtracted here.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The label of each row: (B,), int64."""
        z_CB = self.module(x)
        if len(z_CB) <= 2:
            difference_B = z_CB[0] if len(z_CB) == 1 else z_CB[1] - z_CB[0]
            above_B: torch.Tensor = ((difference_B > 0) & torch.isfinite(difference_B)).long()
            return above_B
        if len(z_CB) > UNROLLED:
            best_B = z_CB.amax(0)
            number_C1 = torch.arange(len(z_CB), device=z_CB.device)[:, None]
            label_B = torch.where(z_CB == best_B, number_C1, len(z_CB)).amin(0)
        else:
            best_B = z_CB[0]
            label_B = torch.zeros_like(best_B, dtype=torch.int64)
            for index in range(1, len(z_CB)):
                label_B = torch.where(z_CB[index] > best_B, index, label_B)
                best_B = torch.maximum(best_B, z_CB[index])
        answered_B: torch.Tensor = torch.where(torch.isfinite(best_B), label_B, 0)
        return answered_B


class _Call:
    """A module, compiled or not."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.compiled: Any = None

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = (self.module if self.compiled is None else self.compiled)(features)
        return out


class _Lane:
    """One thread's staging memory and its CUDA stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._memory: torch.Tensor | None = None
        self._host: torch.Tensor | None = None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Let torch compute without gradients and on this lane's CUDA stream during the block."""
        with torch.no_grad(), torch.cuda.stream(self._stream):  # a stream of None is no stream
            yield

    def stage(self, features: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
        """A copy on the device in contiguous memory of this `shape`, which may be longer; until the next call."""
        if self._memory is None or self._memory.shape != shape or self._memory.dtype != dtype:
            self._memory = torch.zeros(shape, dtype=dtype, device=self._device)
            if self._stream is not None:  # a copy from memory that may be paged out cannot overlap
                self._host = torch.zeros(shape, dtype=dtype, pin_memory=True)
        part = tuple(slice(0, length) for length in features.shape)
        if self._host is None:
            self._memory[part].copy_(features)
        else:
            self._host[part].copy_(features)
            self._memory.copy_(self._host, non_blocking=True)
        return self._memory


def _modules(model: AnyModel, layout: Layout, dtype: torch.dtype, device: torch.device) -> tuple[nn.Module, nn.Module]:
    """Make two modules in evaluation mode: one gives the logits (C, B) of a block, the other the labels (B,)."""
    chain = model.chain
    if chain is None:
        logits: nn.Module = ByClass(copy.deepcopy(model.as_module()).to(dtype)).to(device)
        return logits.eval(), Labelled(logits).eval()
    activation = chain.architecture.activation
    logits = Chain(logit_layers(chain), activation, layout, dtype).to(device)
    labels = Labelled(Chain(label_layers(chain), activation, layout, dtype)).to(device)
    return logits.eval(), labels.eval()
