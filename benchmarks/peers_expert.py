"""What a specialist would write for this network, each with the columns (F, N) of float32 that suit it.

Each says why it is absent where its compiler or its package is missing (`absent`).
"""

import ctypes
import hashlib
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.model.network import Model

Label = Callable[[NDArray[Any]], NDArray[np.integer]]

FOLDER = Path(__file__).parent.parent / ".bench" / "peers"  # git ignores it
SOURCE = Path(__file__).parent / "peer.cpp"
COMPILERS = ("g++", "clang++")
# What -ffast-math allows, but for one thing: linked with that, a library makes the whole process that loads it round
# subnormal numbers to zero.
FAST = (
    "-fassociative-math",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-freciprocal-math",
    "-fno-math-errno",
    "-ffinite-math-only",
)
FLAGS = ("-O3", "-march=native", *FAST, "-fopenmp", "-std=c++17", "-shared", "-fPIC")
LITERT = ("ai-edge-litert==2.3.0", "flatbuffers", "backports.strenum")
LANES = 64  # rows that the Numba kernel computes side by side


def _parameters(model: Model) -> NDArray[np.float32]:
    """All weights (out, in) and biases, layer after layer."""
    return np.concatenate([part.ravel() for layer in model.layers for part in (layer.weight_OI, layer.bias_O)])


def _numba_dense() -> Any:
    """Compile one layer over lanes, four outputs at a time."""
    import numba

    @numba.njit(fastmath=True, error_model="numpy")
    def dense(weight_OI: Any, bias_O: Any, in_IL: Any, out_OL: Any, relu: bool) -> None:
        outputs, inputs = weight_OI.shape
        whole = outputs - outputs % 4
        for o in range(0, whole, 4):
            for lane in range(LANES):
                out_OL[o, lane] = bias_O[o]
                out_OL[o + 1, lane] = bias_O[o + 1]
                out_OL[o + 2, lane] = bias_O[o + 2]
                out_OL[o + 3, lane] = bias_O[o + 3]
            for i in range(inputs):
                first, second, third, fourth = (
                    weight_OI[o, i],
                    weight_OI[o + 1, i],
                    weight_OI[o + 2, i],
                    weight_OI[o + 3, i],
                )
                for lane in range(LANES):
                    value = in_IL[i, lane]
                    out_OL[o, lane] += first * value
                    out_OL[o + 1, lane] += second * value
                    out_OL[o + 2, lane] += third * value
                    out_OL[o + 3, lane] += fourth * value
        for o in range(whole, outputs):
            for lane in range(LANES):
                out_OL[o, lane] = bias_O[o]
            for i in range(inputs):
                for lane in range(LANES):
                    out_OL[o, lane] += weight_OI[o, i] * in_IL[i, lane]
        if relu:
            for o in range(outputs):
                for lane in range(LANES):
                    out_OL[o, lane] = max(out_OL[o, lane], np.float32(0))

    return dense


def numba_lanes(model: Model, threads: int) -> Label:
    """Hand-written: rows in lanes, four outputs at a time, blocks that stay in the first caches."""
    import numba

    numba.set_num_threads(threads)
    widths = np.array(model.architecture.widths)
    weights = tuple(np.ascontiguousarray(layer.weight_OI) for layer in model.layers)
    biases = tuple(np.ascontiguousarray(layer.bias_O) for layer in model.layers)
    parts, widest, dense = 8 * threads, int(widths.max()), _numba_dense()

    @numba.njit(parallel=True, fastmath=True, error_model="numpy")
    def kernel(x_FN: Any, weights: Any, biases: Any, out_N: Any) -> None:
        features, rows = x_FN.shape
        blocks = (rows + LANES - 1) // LANES
        for part in numba.prange(parts):
            before, after = np.zeros((widest, LANES), np.float32), np.zeros((widest, LANES), np.float32)
            for block in range(part * blocks // parts, (part + 1) * blocks // parts):
                start = block * LANES
                count = min(LANES, rows - start)
                for f in range(features):
                    for lane in range(count):
                        before[f, lane] = x_FN[f, start + lane]
                for index in range(len(weights)):
                    dense(weights[index], biases[index], before, after, index + 1 < len(weights))
                    before, after = after, before
                classes = len(biases[len(biases) - 1])
                for lane in range(count):
                    best = 0
                    for c in range(1, classes):
                        if before[c, lane] > before[best, lane]:
                            best = c
                    out_N[start + lane] = best

    def label(x: NDArray[Any]) -> NDArray[np.int64]:
        out_N = np.empty(x.shape[1], np.int64)
        kernel(x, weights, biases, out_N)
        return out_N

    return label


def torch_columns(model: Model, threads: int) -> Label:
    """W x + b over columns into memory that is kept; of two classes only the difference."""
    import torch

    torch.set_num_threads(threads)
    layers = [(torch.tensor(layer.weight_OI), torch.tensor(layer.bias_O)[:, None]) for layer in model.layers]
    if model.architecture.n_classes == 2:
        weight, bias = layers[-1]
        layers[-1] = (weight[1:] - weight[:1], bias[1:] - bias[:1])
    kept: dict[int, list[torch.Tensor]] = {}

    def label(x: NDArray[Any]) -> NDArray[Any]:
        rows = x.shape[1]
        if rows not in kept:
            kept[rows] = [torch.empty(len(weight), rows) for weight, _ in layers]
        with torch.inference_mode():
            value = torch.from_numpy(x)
            for index, ((weight, bias), out) in enumerate(zip(layers, kept[rows], strict=True)):
                value = torch.addmm(bias, weight, value, out=out)
                if index + 1 < len(layers):
                    value.relu_()
            found: NDArray[Any] = ((value[0] > 0) if len(value) == 1 else value.argmax(0)).numpy()
        return found

    return label


def compiler() -> str | None:
    """The path of a C++ compiler, or None."""
    return next((found for name in COMPILERS if (found := shutil.which(name)) is not None), None)


def built(widths: tuple[int, ...]) -> Path:
    """The shared library of `SOURCE` for these widths, compiled where there is none of this source, compiler and CPU.

    Raises RuntimeError with the compiler's first error.
    """
    command = [compiler() or COMPILERS[0], *FLAGS, f"-DVECML_WIDTHS={','.join(map(str, widths))}"]
    asking = [command[0], "-v", "-march=native", "-E", "-"]  # tells which CPU `native` is
    version = subprocess.run(asking, input="", capture_output=True, text=True, check=False)
    key = hashlib.sha256(f"{SOURCE.read_text()}{command}{version.stderr}".encode()).hexdigest()[:16]
    library = FOLDER / f"peer-{key}.so"
    if not library.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(".part")
        done = subprocess.run([*command, SOURCE, "-o", made], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {next(iter(done.stderr.splitlines()), 'failed')}")
        made.replace(library)
    return library


def cpp(model: Model, threads: int) -> Label:
    """`peer.cpp`, compiled for this CPU and these widths."""
    library = ctypes.CDLL(str(built(model.architecture.widths)))
    function = library.labels
    function.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
    ]
    function.restype = None
    parameters = _parameters(model)

    def label(x: NDArray[Any]) -> NDArray[np.int64]:
        out_N = np.empty(x.shape[1], np.int64)
        stride = x.strides[0] // x.itemsize
        function(x.ctypes.data, stride, x.shape[1], parameters.ctypes.data, out_N.ctypes.data, threads)
        return out_N

    return label


def no_compiler() -> str | None:
    """Why there is no C++, or None."""
    return None if compiler() else f"no C++ compiler: neither {' nor '.join(COMPILERS)} is on the path"


def install_litert() -> None:
    """Put LiteRT into a folder of its own; its failure shows in `absent`."""
    if (FOLDER / "litert" / "ai_edge_litert").is_dir():
        return
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", FOLDER / "litert", *LITERT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        FOLDER.mkdir(parents=True, exist_ok=True)
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        (FOLDER / "litert.txt").write_text(last, encoding="utf-8")


def no_litert() -> str | None:
    """Why there is no LiteRT, or None, and then it can be imported."""
    folder = FOLDER / "litert"
    if not (folder / "ai_edge_litert").is_dir():
        told = FOLDER / "litert.txt"
        return f"{LITERT[0]}: {told.read_text(encoding='utf-8') if told.is_file() else 'not installed'}"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: NumPy is ours
    try:
        importlib.import_module("ai_edge_litert.interpreter")
    except (ImportError, OSError) as error:
        return f"{LITERT[0]}: {error}"
    return None


def litert(model: Model, threads: int) -> Label:
    """LiteRT with XNNPACK: fully connected layers with their ReLU fused, and its own argmax; rows (N, F)."""
    missing = no_litert()
    if missing is not None:
        raise RuntimeError(missing)
    from ai_edge_litert.interpreter import Interpreter

    content = _flatbuffer(model)
    made: dict[int, Any] = {}

    def label(x: NDArray[Any]) -> NDArray[Any]:
        if len(x) not in made:
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], x.shape)
            interpreter.allocate_tensors()
            made[len(x)] = interpreter
        interpreter = made[len(x)]
        np.copyto(interpreter.tensor(interpreter.get_input_details()[0]["index"])(), x)
        interpreter.invoke()
        found: NDArray[Any] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return found

    return label


def _flatbuffer(model: Model) -> bytes:
    """The network as a TFLite file: FULLY_CONNECTED with ReLU, ARG_MAX at the end."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    buffers, tensors, operators = [schema.BufferT()], [], []

    def tensor(name: str, shape: tuple[int, ...], kind: int, values: NDArray[Any] | None = None) -> int:
        buffer = 0
        if values is not None:
            held = schema.BufferT()
            held.data = np.frombuffer(values.tobytes(), np.uint8)
            buffer = len(buffers)
            buffers.append(held)
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), kind, buffer
        if name in ("x", "label") or name.startswith("value"):
            made.shapeSignature = [-1, *shape[1:]]
        tensors.append(made)
        return len(tensors) - 1

    def operator(code: int, inputs: list[int], output: int, kind: int, options: Any) -> None:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        operators.append(made)

    floats, integers = schema.TensorType.FLOAT32, schema.TensorType.INT32
    x = value = tensor("x", (1, model.architecture.n_features), floats)
    for index, layer in enumerate(model.layers):
        weight = tensor(f"weight{index}", layer.weight_OI.shape, floats, layer.weight_OI)
        bias = tensor(f"bias{index}", layer.bias_O.shape, floats, layer.bias_O)
        following = tensor(f"value{index}", (1, len(layer.bias_O)), floats)
        options = schema.FullyConnectedOptionsT()
        relu, none = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE
        options.fusedActivationFunction = relu if index + 1 < len(model.layers) else none
        operator(0, [value, weight, bias], following, schema.BuiltinOptions.FullyConnectedOptions, options)
        value = following
    axis = tensor("axis", (1,), integers, np.array([1], np.int32))
    label = tensor("label", (1,), integers)
    choice = schema.ArgMaxOptionsT()
    choice.outputType = integers
    operator(1, [value, axis], label, schema.BuiltinOptions.ArgMaxOptions, choice)

    graph, whole = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [x], [label], operators
    whole.version, whole.buffers, whole.subgraphs, whole.operatorCodes = 3, buffers, [graph], []
    for code in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.ARG_MAX):
        one = schema.OperatorCodeT()
        one.builtinCode, one.deprecatedBuiltinCode, one.version = code, code, 1
        whole.operatorCodes.append(one)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())
