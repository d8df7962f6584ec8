"""What a graph says of the values that its inputs take: tables they index, first operators that clip, quantize or normalize."""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

EMBEDDINGS = {"Gather", "GatherElements"}
INTEGER_RANGE = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
WHOLE = (TensorProto.INT64, TensorProto.INT32)
PIXELS, UNIT = (0.0, 255.0), (0.0, 1.0)
Range = tuple[float, float]


def declared(graph: onnx.GraphProto, shapes: dict[str, tuple[int, ...]]) -> dict[str, list[float]]:
    """Inclusive limits by input: of integers that index a constant table or are compared with a constant, and of floats whose
    first operator tells."""
    return {k: list(v) for k, v in {**_compared(graph), **_floats(graph), **_indices(graph, shapes)}.items()}


def _compared(graph: onnx.GraphProto) -> dict[str, Range]:
    """Of whole numbers that are compared with one constant, such as a sampling rate that decides an If: that constant."""
    given = {i.name for i in graph.input} - {i.name for i in graph.initializer}
    held = {i.name: i for i in graph.initializer}
    held |= {n.output[0]: a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"}
    found: dict[str, set[int]] = {}
    for node in graph.node:
        if node.op_type == "Equal" and len(node.input) == 2:
            for name, other in (tuple(node.input), tuple(reversed(node.input))):
                tensor = held.get(other)
                if name in given and tensor is not None and tensor.data_type in WHOLE and int(np.prod(tensor.dims)) == 1:
                    found.setdefault(name, set()).add(int(numpy_helper.to_array(tensor).ravel()[0]))
    return {name: (max(values), max(values)) for name, values in found.items()}


def _indices(graph: onnx.GraphProto, shapes: dict[str, tuple[int, ...]]) -> dict[str, Range]:
    source = {n.output[0]: n.input[0] for n in graph.node if n.op_type in {"Cast", "Identity"}}
    names = {i.name for i in graph.input}
    found: dict[str, Range] = {}
    for node in graph.node:
        if node.op_type not in EMBEDDINGS or node.input[0] not in shapes:
            continue
        index = node.input[1]
        while index in source:
            index = source[index]
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if index in names:
            high = shapes[node.input[0]][axis] - 1
            found[index] = (0, min(high, found.get(index, (0, high))[1]))
    return found


def _floats(graph: onnx.GraphProto) -> dict[str, Range]:
    small = {
        i.name: numpy_helper.to_array(i)
        for i in graph.initializer
        if i.data_location != TensorProto.EXTERNAL and int(np.prod(i.dims)) <= 4096
    }
    small |= {
        n.output[0]: numpy_helper.to_array(a.t)
        for n in graph.node
        if n.op_type == "Constant"
        for a in n.attribute
        if a.name == "value" and a.t.data_location != TensorProto.EXTERNAL and int(np.prod(a.t.dims)) <= 4096
    }
    names = {i.name for i in graph.input} - {i.name for i in graph.initializer}
    found: dict[str, Range] = {}
    for node in graph.node:
        tell = FIRST.get(node.op_type)
        if tell is None or not node.input or node.input[0] not in names:
            continue
        known = tell(node, [small.get(name) for name in node.input[1:]])
        if known is not None and np.isfinite(known).all() and known[0] < known[1]:
            found[node.input[0]] = known
    return found


Constants = list[NDArray[np.generic] | None]


def _clip(node: onnx.NodeProto, constants: Constants) -> Range | None:
    ends = {a.name: a.f for a in node.attribute}
    for name, value in zip(("min", "max"), constants, strict=False):
        if value is not None:
            ends[name] = float(value)
    return (ends["min"], ends["max"]) if {"min", "max"} <= ends.keys() else None


def _quantize(node: onnx.NodeProto, constants: Constants) -> Range | None:
    if not constants or constants[0] is None or constants[0].size != 1:
        return None
    zero = constants[1] if len(constants) > 1 and constants[1] is not None else np.zeros((), np.uint8)
    low, high = INTEGER_RANGE.get(str(zero.dtype), (0, 0))
    scale, offset = float(constants[0].ravel()[0]), float(zero.ravel()[0])
    return (low - offset) * scale, (high - offset) * scale


def _subtract(node: onnx.NodeProto, constants: Constants) -> Range | None:
    """Means above one are of pixels from 0 to 255; small positive ones of pixels from 0 to 1."""
    if not constants or constants[0] is None or not constants[0].size or float(constants[0].min()) <= 0:
        return None
    return PIXELS if float(constants[0].max()) > 1 else UNIT


def _divide(node: onnx.NodeProto, constants: Constants) -> Range | None:
    return PIXELS if constants and constants[0] is not None and np.isin(constants[0], (127.5, 128, 255, 256)).all() else None


def _multiply(node: onnx.NodeProto, constants: Constants) -> Range | None:
    if not constants or constants[0] is None or constants[0].dtype.kind != "f":
        return None
    return PIXELS if np.isclose(np.asarray(constants[0], np.float64), 1 / 255, rtol=0.01).all() else None


def _normalize(node: onnx.NodeProto, constants: Constants) -> Range | None:
    """Batch normalization of the input itself: the mean and variance that it saw in training."""
    if len(constants) < 4 or constants[2] is None or constants[3] is None:
        return None
    mean, deviation = np.asarray(constants[2], np.float64), np.sqrt(np.asarray(constants[3], np.float64))
    return float((mean - 2 * deviation).min()), float((mean + 2 * deviation).max())


FIRST: dict[str, Callable[[onnx.NodeProto, Constants], Range | None]] = {
    "Clip": _clip, "QuantizeLinear": _quantize, "Sub": _subtract, "Div": _divide, "Mul": _multiply,
    "BatchNormalization": _normalize,
}  # fmt: skip
