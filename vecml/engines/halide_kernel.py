"""The fused kernel of the engine `halide`: the whole network for a few rows at a time, nothing of it in main memory.

One vector lane is one row, and weights are broadcast: so a narrow network is no small matrix product but a formula over
rows, its input is read once and contiguously, and classes are compared lane by lane. `algorithm` says what is computed,
`schedule` how. Halide's own threads share a call's rows.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import halide as hl
import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation, Isa, Layout
from vecml.device import usable_cpus
from vecml.engines.halide_functions import (
    activation_of,
    finite,
    infinity_bits,
    magnitude_bits,
    not_a_number,
    signed_bits,
)
from vecml.engines.weights import Linear
from vecml.engines.writeable import as_writeable

Output = Literal["labels", "logits"]

os.environ.setdefault("HL_NUM_THREADS", str(usable_cpus()))  # before the pool starts; see `pool_threads`

VECTORS_PER_TILE = 2
COMPARED_CLASSES = 8  # up to so many, a row's logits stay in registers and the comparisons are written out
UNROLLED_INPUTS = 16
TRANSPOSED = 4
MOST_TILE_ROWS = 64  # of every tile: four vectors of 16 lanes
STREAMED_INPUTS = 16  # more columns than that, far apart in memory, are first copied: a core follows so many streams
_X86: dict[str, tuple[str, ...]] = {
    "scalar": (),
    "sse41": ("SSE41",),
    "avx2": ("SSE41", "AVX", "F16C", "FMA", "AVX2"),
    "avx512": ("SSE41", "AVX", "F16C", "FMA", "AVX2", "AVX512", "AVX512_Skylake"),
}


@dataclass(frozen=True)
class Shape:
    """Everything that a kernel is compiled for, apart from the weights.

    Attributes:
        widths: input, hidden and output widths; two classes as one logit where labels are asked for.
        activation: between the layers.
        input_type: of the features, `float32` or `float64`.
        compute_type: what is computed in.
        layout: how the features lie.
        output: what is written.
        isa: the instruction set.
        large: whether a buffer may span 2^31 elements or more, for which every address takes 64 bits.
    """

    widths: tuple[int, ...]
    activation: Activation
    input_type: str
    compute_type: str
    layout: Layout
    output: Output
    isa: Isa
    large: bool = False


@dataclass(frozen=True)
class Tile:
    """The schedule's numbers.

    Attributes:
        lanes: values of a vector.
        rows: rows of a tile, whole vectors; also the fewest that a call can take.
        units: neurons of a tile.
    """

    lanes: int
    rows: int
    units: int


class Kernel:
    """A compiled kernel; its weights are handed to it with every call, so that it serves every model of its shape."""

    def __init__(self, shape: Shape) -> None:
        target = target_of(shape.isa)
        if shape.large:
            target.set_feature(hl.TargetFeature.LargeBuffers)
        self.tile = choose_tile(target, shape)
        made = algorithm(shape, self.tile)
        schedule(made, shape, self.tile)
        self._call = made.output.compile_to_callable([made.tiles_per_task, made.x, *made.weights], target)

    def __call__(self, rows_per_task: int, x: NDArray[Any], weights: Sequence[Any], out: NDArray[Any]) -> None:
        """Write the labels (int64, N) or logits (C, N) of the rows of `x` into `out`; at least `tile.rows` rows.

        Args:
            rows_per_task: rows that a thread works on before it takes others.
            x: (F, N) or (N, F) as the shape's layout says; the last axis contiguous.
            weights: of `pack`.
            out: contiguous along its rows.
        """
        self._call(max(1, rows_per_task // self.tile.rows), hl.Buffer(as_writeable(x)), *weights, hl.Buffer(out))


@lru_cache(maxsize=32)
def compiled(shape: Shape) -> Kernel:
    """The kernel for this shape, compiled once in a process: half a second to two."""
    return Kernel(shape)


@dataclass(frozen=True)
class _Algorithm:
    """The stages by name, for the schedule.

    Attributes:
        tiles_per_task, x, weights: the parameters, in the order of the call.
        line: the input by row, in the type that is computed in.
        feature: the input as rows in lanes, in the type that is computed in.
        sums: by layer, weights times inputs and bias.
        inputs: by layer, the reduction over its inputs.
        hidden: by hidden layer, its activation.
        top: highest logit, its class, and what its NaN are found by; None where that is written out.
        output: labels or logits.
    """

    tiles_per_task: Any
    x: Any
    weights: list[Any]
    line: Any
    feature: Any
    sums: list[Any]
    inputs: list[Any]
    hidden: list[Any]
    top: Any
    output: Any


def algorithm(shape: Shape, tile: Tile) -> _Algorithm:
    """Define what is computed: for each row r and unit j the sum over k of weight[j, k] * input[r, k], and so on."""
    r, j, k = hl.Var("r"), hl.Var("j"), hl.Var("k")
    compute_type = _type(shape.compute_type)
    x = hl.ImageParam(_type(shape.input_type), 2, "x")  # Halide names the innermost dimension first
    feature = hl.Func("feature")
    line = hl.Func("line")
    if shape.layout == "columns":
        feature[r, k] = hl.cast(compute_type, x[r, k])
    else:
        line[k, r] = hl.cast(compute_type, x[k, r])
        feature[r, k] = line[k, r]
    activate = activation_of(shape.activation, shape.compute_type)
    weights, sums, inputs, hidden = [], [], [], []
    value = feature
    last = len(shape.widths) - 2
    for index, width in enumerate(shape.widths[:-1]):
        weight = hl.ImageParam(compute_type, 3, f"weight_{index}")
        bias = hl.ImageParam(compute_type, 1, f"bias_{index}")
        weight.dim(0).set_bounds(0, tile.units).set_stride(1)
        weight.dim(1).set_bounds(0, width).set_stride(tile.units)
        weight.dim(2).set_min(0).set_stride(tile.units * width)
        bias.dim(0).set_min(0)
        over = hl.RDom([(0, width)], f"k_{index}")
        total = hl.Func(f"sum_{index}")
        total[r, j] = bias[j]
        total[r, j] += weight[j % tile.units, over, j // tile.units] * value[r, over]
        weights += [weight, bias]
        sums.append(total)
        inputs.append(over)
        if index < last or _is_stored(shape):
            stored = hl.Func(f"hidden_{index}")
            stored[r, j] = activate(hl.Expr(total[r, j])) if index < last else total[r, j]
            hidden.append(stored)
            value = stored
        else:
            value = total
    output, top = hl.Func("output"), None
    if shape.output == "logits":
        output[r, j] = value[r, j]
    elif shape.widths[-1] == 1:
        z = hl.Expr(value[r, 0])
        output[r] = hl.cast(hl.Int(64), hl.select((z > 0) & finite(z), 1, 0))
    elif _is_stored(shape):
        output[r], top = _label_by_reduction(value, r, shape.widths[-1])
    else:
        output[r] = _label(value, r, shape.widths[-1])
    return _Algorithm(
        hl.Param(hl.Int(32), "tiles_per_task"), x, weights, line, feature, sums, inputs, hidden, top, output
    )


def schedule(made: _Algorithm, shape: Shape, tile: Tile) -> None:
    """Set the Halide schedule: compute tile by tile of rows, and in a layer keep one tile of sums in registers.

    The outputs of a layer stay in the level-1 cache, where the next layer reads them. To fuse two layers in registers
    (to add each tile to the sums of the next layer at once) was a sixth slower.
    """
    r, j, k = hl.Var("r"), hl.Var("j"), hl.Var("k")
    row_tile = hl.Var("row_tile")
    # Tails are computed by the last tile moved back over rows that are done: no second copy of the code.
    made.output.split(r, row_tile, r, tile.rows, hl.TailStrategy.ShiftInwards).vectorize(r, tile.lanes).unroll(r)
    task = hl.Var("task")
    made.output.split(row_tile, task, row_tile, made.tiles_per_task, hl.TailStrategy.GuardWithIf).parallel(task)
    if shape.output == "logits":
        made.output.bound(j, 0, shape.widths[-1]).reorder(r, j, row_tile, task)
    for index, stored in enumerate(made.hidden):
        total, over = made.sums[index], made.inputs[index]
        unit_tile = hl.Var(f"unit_tile_{index}")
        stored.compute_at(made.output, row_tile)
        stored.split(j, unit_tile, j, tile.units, hl.TailStrategy.RoundUp).reorder(r, j, unit_tile)
        stored.vectorize(r, tile.lanes).unroll(r).unroll(j)
        _sum_in_registers(total, over, shape.widths[index], tile).compute_at(stored, unit_tile)
    if len(made.hidden) < len(made.sums):
        total, over = made.sums[-1], made.inputs[-1]
        _sum_in_registers(total, over, shape.widths[-2], tile).compute_at(made.output, row_tile)
    if made.top is not None:
        made.top.store_in(hl.MemoryType.Register).compute_at(made.output, row_tile)
        made.top.vectorize(r, tile.lanes).unroll(r)
        made.top.update().vectorize(r, tile.lanes).unroll(r)
    if shape.layout == "columns":
        made.x.dim(0).set_stride(1)
        if shape.widths[0] > STREAMED_INPUTS or shape.input_type != shape.compute_type:
            made.feature.compute_at(made.output, row_tile).vectorize(r, tile.lanes).unroll(r)
    else:
        made.x.dim(0).set_bounds(0, shape.widths[0]).set_stride(1)
        _transpose(made, r, k, row_tile, wide=shape.widths[0] >= TRANSPOSED and tile.lanes > 1)


def choose_tile(target: Any, shape: Shape) -> Tile:
    """The schedule's numbers by rule, from the vector width and the number of registers.

    Two vectors of rows times a quarter as many units as there are registers leave half of the registers for sums; with
    16 registers that is 8 sums, as many as two multiply-add pipes of latency 4 need to be busy, and room is left for
    inputs, a weight and what the compiler wants. Measured with AVX2, as shares of a matrix product's rate, 2x4, 2x6,
    3x4, 4x2, 4x3 vectors by units: 10-32-2 .83 .62 .84 .89 .72, 54-64-7 .75 .72 .78 .74 .67, 100-256-10 .99 .98 .89 .90
    .83. With one output alone the vectors of a tile are all that its sums can be told apart by, so there are twice as
    many where the inputs are so few that they need not be read again and again.
    """
    value_bytes = np.dtype(shape.compute_type).itemsize
    features = hl.TargetFeature
    lanes, registers = 1, 16
    if shape.isa != "scalar":
        if target.arch == hl.TargetArch.ARM:
            lanes, registers = 16 // value_bytes, 32
        elif target.has_feature(features.AVX512) or target.has_feature(features.AVX512_Skylake):
            lanes, registers = 64 // value_bytes, 32
        else:
            lanes = (32 if target.has_feature(features.AVX2) else 16) // value_bytes
    if shape.widths[0] <= UNROLLED_INPUTS and shape.widths[-1] == 1:
        return Tile(lanes, 2 * VECTORS_PER_TILE * lanes, registers // 8)
    return Tile(lanes, VECTORS_PER_TILE * lanes, registers // 4)


def target_of(isa: Isa) -> Any:
    """Halide's target for an instruction set on this machine."""
    host = hl.get_host_target()
    if isa in ("native", "neon"):
        return host
    made = hl.Target(host.os, host.arch, host.bits, hl.TargetProcessorTune.TuneGeneric, [])
    for name in _X86[isa]:
        made.set_feature(getattr(hl.TargetFeature, name))
    return made


def pool_threads() -> int:
    """Threads of Halide's pool in this process: every CPU that it may use, unless HL_NUM_THREADS said another number.

    Halide reads that variable when its pool starts; without it, it would take every CPU of the machine, those of others
    included.
    """
    given = os.environ.get("HL_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else usable_cpus()


def pack(layers: list[Linear], tile: Tile, compute_type: str) -> list[Any]:
    """The weights as the kernel reads them: tiles of units, within those input by input; missing units are zeros.

    Each weight becomes (units / tile.units, inputs, tile.units), each bias (units,), in `compute_type`.
    """
    packed = []
    for weight_OI, bias_O in layers:
        units, inputs = weight_OI.shape
        tiles = -(-units // tile.units)
        weight = np.zeros((tiles * tile.units, inputs), compute_type)
        bias = np.zeros(tiles * tile.units, compute_type)
        with np.errstate(over="ignore"):
            weight[:units], bias[:units] = weight_OI, bias_O
        ordered = np.ascontiguousarray(weight.reshape(tiles, tile.units, inputs).transpose(0, 2, 1))
        packed += [hl.Buffer(ordered), hl.Buffer(bias)]
    return packed


def _transpose(made: _Algorithm, r: Any, k: Any, row_tile: Any, *, wide: bool) -> None:
    """Rows into lanes, by squares of four rows and four features: loads along a row, the exchange in registers.

    10-32-2 by row, as shares of a matrix product's rate: a value at a time .65, vectors of rows gathered .75,
    squares of eight .68, of four .78; by column it is .85. What is left over is covered by squares moved back.
    """
    made.feature.compute_at(made.output, row_tile)
    if not wide:
        made.feature.reorder(k, r)
        return
    row_square, feature_square, row, column = (
        hl.Var(name) for name in ("row_square", "feature_square", "row", "column")
    )
    made.feature.tile(
        r, k, row_square, feature_square, row, column, TRANSPOSED, TRANSPOSED, hl.TailStrategy.ShiftInwards
    )
    made.feature.vectorize(row).unroll(column)
    made.line.compute_at(made.feature, row_square).store_in(hl.MemoryType.Register).vectorize(k).unroll(r)


def _sum_in_registers(total: Any, over: Any, inputs: int, tile: Tile) -> Any:
    """The stage `total` for one tile: its sums in registers, inputs outermost."""
    r, j = hl.Var("r"), hl.Var("j")
    total.store_in(hl.MemoryType.Register).vectorize(r, tile.lanes).unroll(r).unroll(j)
    update = total.update().reorder(r, j, over.x).vectorize(r, tile.lanes).unroll(r).unroll(j)
    if inputs <= UNROLLED_INPUTS:
        update.unroll(over.x)
    else:
        update.unroll(over.x, 4)
    return total


def _is_stored(shape: Shape) -> bool:
    """Whether the last layer's outputs are more than registers hold."""
    return shape.widths[-1] > COMPARED_CLASSES


def _label(z: Any, r: Any, classes: int) -> Any:
    """The class of the highest logit, comparisons written out; 0 where that is not finite or a logit is NaN."""
    highest = hl.Expr(z[r, 0])
    found = _Highest(highest, hl.i32(0), magnitude_bits(highest), signed_bits(highest))
    for number in range(1, classes):
        found = found.against(hl.Expr(z[r, number]), hl.i32(number))
    return found.label()


def _label_by_reduction(z: Any, r: Any, classes: int) -> tuple[Any, Any]:
    """Make the same expression as `_label`, but with a loop over the classes; return also the stage of the loop."""
    top, over = hl.Func("top"), hl.RDom([(1, classes - 1)], "c")
    highest = hl.Expr(z[r, 0])
    top[r] = (highest, hl.i32(0), magnitude_bits(highest), signed_bits(highest))
    before = _Highest(*(hl.Expr(top[r][part]) for part in range(4)))
    after = before.against(hl.Expr(z[r, over]), hl.i32(over))
    top[r] = (after.value, after.index, after.magnitude, after.signed)
    return _Highest(*(hl.Expr(top[r][part]) for part in range(4))).label(), top


@dataclass(frozen=True)
class _Highest:
    """The highest logit so far, as expressions.

    Attributes:
        value, index: the logit and its class.
        magnitude: the greatest of all magnitudes' bits: it shows a NaN.
        signed: the greatest of all bits, as signed integers: a highest logit of plus infinity shows among them, while
            of the floats' maximum the compiler assumes that it is finite. Where minus infinity is highest, all are
            equal and the class is 0 as it is.
    """

    value: Any
    index: Any
    magnitude: Any
    signed: Any

    def against(self, here: Any, number: Any) -> "_Highest":
        """The higher of this one and the logit `here` of class `number`, this one where they are equal."""
        return _Highest(
            hl.max(self.value, here),
            hl.select(here > self.value, number, self.index),
            hl.max(self.magnitude, magnitude_bits(here)),
            hl.max(self.signed, signed_bits(here)),
        )

    def label(self) -> Any:
        """The class, int64; 0 where there is no answer."""
        infinite = infinity_bits(self.signed.type().bits())
        answered = (self.signed < infinite) & ~not_a_number(self.magnitude)
        return hl.cast(hl.Int(64), hl.select(answered, self.index, 0))


def _type(name: str) -> Any:
    return hl.Float(8 * np.dtype(name).itemsize)
