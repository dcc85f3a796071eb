"""The model under torch: matrix products over blocks of rows, in memory that is allocated once, from table to label.

On a CPU each block belongs to one thread and stays in its cache; torch's own threads would hand every layer from core
to core. On a GPU two threads drive a stream each, so that one block is copied while another is computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.utils.dlpack
from numpy.typing import NDArray

from vecml.config import Activation, Layout, Setting
from vecml.device import usable_cpus
from vecml.engines.base import Loaded
from vecml.engines.blocks import Blocks, choose_block_rows
from vecml.engines.checks import check_labels, count_rows
from vecml.engines.gpu_memory import halving
from vecml.engines.torch_threads import one_torch_thread
from vecml.engines.weights import Linear, label_layers, logit_layers
from vecml.model.network import AnyModel, Model

# On a GPU the table's way there is the limit: one thread copies 7 GB/s into pinned memory, and the bus of an H200 takes
# 55. So several threads copy, each into its own stream, in blocks (bytes of their widest two layers) that are long
# against a launch and short enough for all of them to have some. Measured on it with 16 CPUs (docs/log.md).
GPU_BLOCK_BYTES = 64 << 20
GPU_LANES = 12

Weights = list[tuple[torch.Tensor, torch.Tensor]]
"""weight_OI and bias_O1 of every layer, on the device, in the dtype that is computed in."""


class OnDevice(Loaded):
    """A model on a device; until it is closed, CUDA computes in its precision. For chains of layers and for modules."""

    def __init__(self, model: AnyModel, setting: Setting) -> None:
        self._device = torch.device(f"cuda:{setting.device_index}" if setting.device == "cuda" else setting.device)
        self._dtype = getattr(torch, "float32" if setting.precision == "tf32" else setting.precision)
        self._wide = torch.float64 if self._dtype == torch.float64 else torch.float32
        self._n_features, self._n_classes = model.architecture.n_features, model.architecture.n_classes
        self._layout = setting.layout
        places: tuple[Any, ...] = ()
        if setting.device == "cuda":
            places = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
        self._before = [(place, place.fp32_precision) for place in places]
        for place, _ in self._before:
            place.fp32_precision = "tf32" if setting.precision == "tf32" else "ieee"

    def _restore_precision(self) -> None:
        """Restore the former precision of CUDA's products and convolutions, only once; free the device's memory."""
        if self._before:
            for place, value in self._before:
                place.fp32_precision = value
            self._before = []  # another model may have set its own since
            torch.cuda.empty_cache()


class TorchLoaded(OnDevice):
    """A model on a device; see `vecml.engines.base.Loaded`.

    The MPS path follows torch's documentation; it has not been run on such a device yet.
    """

    def __init__(self, model: Model, setting: Setting) -> None:
        super().__init__(model, setting)
        self._label_layers = self._on_device(label_layers(model))
        self._logit_layers = self._on_device(logit_layers(model))
        self._blocks = Blocks(*division(model, setting, self._dtype.itemsize))
        self._widths, self._activation = model.architecture.widths, model.architecture.activation
        self._lanes = self._new_lanes()

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._n_features, self._layout)
        check_labels(out_N, n_rows)
        features, label_N = _view(x), torch.from_numpy(out_N)

        def work(thread: int, rows: slice) -> None:
            self._lanes[thread].label(self._label_layers, features, rows, label_N)

        self._run(n_rows, work)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC: float64 where that is computed in, else float32."""
        n_rows = count_rows(x, self._n_features, self._layout)
        features, z_NC = _view(x), torch.empty((n_rows, self._n_classes), dtype=self._wide)

        def work(thread: int, rows: slice) -> None:
            self._lanes[thread].copy_logits(self._logit_layers, features, rows, z_NC)

        self._run(n_rows, work)
        array: NDArray[np.floating] = z_NC.numpy()
        return array

    def close(self) -> None:
        """End the threads, free the device's memory, restore torch's matrix-product setting; twice does no harm."""
        self._blocks.close()
        self._lanes.clear()
        self._label_layers.clear()
        self._logit_layers.clear()
        self._restore_precision()

    def _run(self, n_rows: int, work: Callable[[int, slice], None]) -> None:
        """The block loop, with torch's own threads out of the way meanwhile; in smaller blocks when memory runs out."""

        def attempt() -> None:
            # Inside torch the count belongs to a thread, so each thread of the loop sets its own.
            self._blocks.run(n_rows, work, begin=lambda: torch.set_num_threads(1))

        def restart() -> None:
            self._lanes = self._new_lanes()

        with one_torch_thread():
            halving(self._blocks, self._device, attempt, restart)

    def _new_lanes(self) -> list["Lane"]:
        return [
            Lane(self._widths, self._activation, self._dtype, self._layout, self._device)
            for _ in range(self._blocks.threads)
        ]

    def _on_device(self, layers: list[Linear]) -> Weights:
        return [
            (
                torch.from_numpy(weight_OI).to(self._dtype).to(self._device),
                torch.from_numpy(bias_O[:, None]).to(self._dtype).to(self._device),
            )
            for weight_OI, bias_O in layers
        ]


class Lane:
    """The memory of one thread of the block loop, reused from block to block, and its CUDA stream."""

    def __init__(
        self,
        widths: tuple[int, ...],
        activation: Activation,
        dtype: torch.dtype,
        layout: Layout,
        device: torch.device,
        *,
        staged: bool | None = None,
    ) -> None:
        """Nothing is allocated yet.

        Args:
            widths: input, hidden and output widths.
            activation: between the layers.
            dtype: what is computed in.
            layout: how the features lie.
            device: where it is computed.
            staged: features and labels go through memory of the host that is copied to and from the device; None: on
                every device but the CPU.
        """
        self._widths = widths
        self._activation = activation
        self._dtype = dtype
        self._layout = layout
        self._device = device
        self._staged = device.type != "cpu" if staged is None else staged
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._rows = 0
        self._capacity = 0

    def label(self, layers: Weights, features: torch.Tensor, rows: slice, label_N: torch.Tensor) -> None:
        """Label some rows of `features` with these `layers`, and write the classes into the same `rows` of `label_N`.

        `features` lie on the device or the host, in their layout; `label_N` (N,), int64, lies on the host.
        """
        with self._scope():
            z_CB = self._logits(layers, features, rows)
            out_B = label_N[rows]
            if len(z_CB) == 1 and not self._staged:
                self._highest(z_CB, out_B)
                return
            self._highest(z_CB, self._label_B)
            if self._staged:
                self._host_label_B.copy_(self._label_B, non_blocking=self._stream is not None)
                if self._stream is not None:
                    self._stream.synchronize()
                out_B.copy_(self._host_label_B)
            else:
                out_B.copy_(self._label_B)

    def copy_logits(self, layers: Weights, features: torch.Tensor, rows: slice, z_NC: torch.Tensor) -> None:
        """Write the logits of some `rows` of `features`, computed with these `layers`, into the same rows of `z_NC`.

        `z_NC` (N, C) lies on the host.
        """
        with self._scope():
            z_NC[rows].copy_(self._logits(layers, features, rows).T)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with torch.inference_mode(), torch.cuda.stream(self._stream):  # a stream of None is no stream
            yield

    def _logits(self, layers: Weights, features: torch.Tensor, rows: slice) -> torch.Tensor:
        """z_CB of the rows; it lies in this lane's memory until its next call."""
        value_FB = self._features(features, rows)
        for index, (weight_OI, bias_O1) in enumerate(layers):
            out_OB = self._outputs[index]
            if len(out_OB) != len(weight_OI):
                out_OB = out_OB[: len(weight_OI)]
            torch.addmm(bias_O1, weight_OI, value_FB, out=out_OB)
            if index + 1 < len(layers):
                self._activate(out_OB)
            value_FB = out_OB
        return value_FB

    def _activate(self, value_OB: torch.Tensor) -> None:
        match self._activation:
            case "relu":
                value_OB.relu_()
            case "gelu":
                torch.ops.aten.gelu.out(value_OB, out=value_OB)  # functional.gelu would allocate
            case "tanh":
                value_OB.tanh_()
            case "sigmoid":
                value_OB.sigmoid_()

    def _features(self, features: torch.Tensor, rows: slice) -> torch.Tensor:
        """x_FB of the rows on the device, in the dtype that is computed in; a view of the table where that will do."""
        block = features[:, rows] if self._layout == "columns" else features[rows]
        count = rows.stop - rows.start
        if count != self._rows:
            self._cut(count)
        if self._staged:
            self._host.copy_(block)
            block = self._staging.copy_(self._host, non_blocking=self._stream is not None)
        elif block.dtype != self._dtype:
            block = self._staging.copy_(block)
        return block if self._layout == "columns" else block.T

    def _highest(self, z_CB: torch.Tensor, out_B: torch.Tensor) -> None:
        """The class of every row into out_B: of one logit whether it is above zero, of more which is highest."""
        best_B, won_B = self._best_B, self._won_B
        if len(z_CB) == 1:
            # z - z is 0, or NaN when z is not finite: then nothing is above it
            torch.sub(z_CB[0], z_CB[0], out=best_B)
            torch.gt(z_CB[0], best_B, out=out_B)
            return
        # Whole vectors are compared class by class; torch's argmax over the first axis is ten times slower here. A
        # later winner has the higher number, so that the maximum of the winners' numbers is the label.
        best_B.copy_(z_CB[0])
        out_B.zero_()
        for index in range(1, len(z_CB)):
            torch.gt(z_CB[index], best_B, out=won_B)
            torch.maximum(out_B, won_B.mul_(index), out=out_B)
            torch.maximum(best_B, z_CB[index], out=best_B)
        best_B.sub_(best_B)
        torch.eq(best_B, 0, out=won_B)
        out_B.mul_(won_B)

    def _cut(self, rows: int) -> None:
        """Views for blocks of `rows` rows; contiguous ones, whatever the number."""
        if rows > self._capacity:
            self._allocate(rows)
        self._rows = rows
        staging_FB, *self._outputs = (
            memory[: width * rows].view(width, rows) for width, memory in zip(self._widths, self._memory, strict=True)
        )
        shape = (self._widths[0], rows) if self._layout == "columns" else (rows, self._widths[0])
        self._staging = staging_FB.view(shape)
        self._best_B, self._won_B, self._label_B = self._best[:rows], self._won[:rows], self._label[:rows]
        if self._staged:
            self._host = self._host_features[: self._widths[0] * rows].view(shape)
            self._host_label_B = self._host_label[:rows]

    def _allocate(self, rows: int) -> None:
        number = torch.int16 if self._widths[-1] < 1 << 15 else torch.int32
        self._capacity = rows
        self._memory = [torch.empty(width * rows, dtype=self._dtype, device=self._device) for width in self._widths]
        self._best = torch.empty(rows, dtype=self._dtype, device=self._device)
        self._won = torch.empty(rows, dtype=number, device=self._device)
        self._label = torch.empty(rows, dtype=number, device=self._device)
        if self._staged:
            pinned = self._stream is not None  # a copy from memory that may be paged out cannot overlap
            self._host_features = torch.empty(self._widths[0] * rows, dtype=self._dtype, pin_memory=pinned)
            self._host_label = torch.empty(rows, dtype=number, pin_memory=pinned)


def _view(x: NDArray[np.floating]) -> torch.Tensor:
    """A tensor over the same memory; unlike torch.from_numpy this takes read-only arrays, and nothing is written."""
    view: torch.Tensor = torch.utils.dlpack.from_dlpack(x)
    return view


def division(model: AnyModel, setting: Setting, value_bytes: int) -> tuple[int, int]:
    """Rows of a block, and how many blocks are worked on at the same time."""
    if setting.device == "cpu":
        return setting.block_rows or choose_block_rows(model.architecture, value_bytes), setting.threads
    rows = max(4_096, GPU_BLOCK_BYTES // (model.architecture.values_per_row * value_bytes))
    return setting.block_rows or rows, min(GPU_LANES, usable_cpus()) if setting.device == "cuda" else 1
