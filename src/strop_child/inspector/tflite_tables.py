"""Tables of a TFLite file, read with the classes that TensorFlow's schema generates (package tflite), and checked.

Whatever a flatbuffer says of its own lengths is checked before it is gone through: its parts may be shared, so that a
small file describes an endless one.
"""

import mmap
from collections.abc import Iterator
from typing import Any, NamedTuple

from strop_child.checked_json import shown
from strop_child.inspector.answer import Shape, product
from strop_child.inspector.members import size_of
from strop_child.refusal import ModelError

AGAIN = "download or convert it again"
MOST = 100_000
"""Tensors, operators, and uses of tensors by operators, of all subgraphs together."""
MOST_AXES, LONGEST_NAME = 16, 2_000
BITS = {"float32": 32, "float16": 16, "int32": 32, "uint8": 8, "int64": 64, "bool": 8, "int16": 16, "complex64": 64, "int8": 8,
        "float64": 64, "complex128": 128, "uint64": 64, "uint32": 32, "uint16": 16, "int4": 4, "bfloat16": 16}  # fmt: skip

TYPES = dict(enumerate((
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64", "complex128",
    "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
)))  # fmt: skip
"""`TensorType` of the schema by number."""


class Tensor(NamedTuple):
    """size: bytes of its constant values, 0 where it has none."""

    name: str
    dtype: str
    shape: Shape
    size: int
    quantized: bool
    signature: list[int]


class Operator(NamedTuple):
    kind: str
    inputs: list[int]
    outputs: list[int]


class Graph(NamedTuple):
    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


def read(path: str) -> list[Graph]:
    """Subgraphs; the first is the model's.

    Raises:
        ModelError: no TFLite, or damaged.
    """
    size = size_of(path)
    if size < 8:
        raise ModelError(f"{path}: no TFLite file: {size} bytes", "give a .tflite file")
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] != b"TFL3":
            raise ModelError(f"{path}: no TFLite file: it lacks the identifier TFL3", "give a .tflite file")
        try:
            graphs = list(_graphs(data, path))
        except (ModelError, MemoryError):
            raise
        except Exception as error:  # tables that point beyond the file fail in any way
            raise ModelError(f"{path}: damaged or truncated ({type(error).__name__})", AGAIN) from None
    if not graphs:
        raise ModelError(f"{path}: no subgraph in it", AGAIN)
    return graphs


def _graphs(data: Any, path: str) -> Iterator[Graph]:
    """Every length is checked against what the file could hold before it is gone through."""
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    codes = [_code(tflite, model.OperatorCodes(i)) for i in range(_few(model.OperatorCodesLength(), data, path))]
    many = _few(model.BuffersLength(), data, path)
    sizes = [_buffer(model.Buffers(i), data, path) for i in range(many)]
    left = MOST
    for g in range(_few(model.SubgraphsLength(), data, path)):
        graph = model.Subgraphs(g)
        count = _few(graph.TensorsLength(), data, path), _few(graph.OperatorsLength(), data, path)
        left -= sum(count) + 1 + graph.InputsLength() + graph.OutputsLength()
        if left < 0:
            raise ModelError(f"{path}: more than {MOST} tensors and operators", "no graph of that many is read")
        tensors = [_tensor(graph.Tensors(i), sizes, path) for i in range(count[0])]
        operators = []
        for i in range(count[1]):
            operator = graph.Operators(i)
            left -= operator.InputsLength() + operator.OutputsLength()
            if left < 0:
                raise ModelError(f"{path}: damaged: operators use more than {MOST} tensors", AGAIN)
            operators.append(_operator(operator, codes, len(tensors), path))
        inputs = _indices(graph, "Inputs", len(tensors), path)
        yield Graph(tensors, operators, inputs, _indices(graph, "Outputs", len(tensors), path))


def _few(count: int, data: Any, path: str) -> int:
    """A vector's length; each element takes at least four bytes."""
    if count > MOST or count * 4 > len(data):
        raise ModelError(f"{path}: damaged: a list of {count} entries in {len(data)} bytes", AGAIN)
    return count


def _text(table: Any, slot: int) -> str:
    """A text by its place in the table, not copied where it is too long to be a name."""
    at = table._tab.Offset(slot)
    length = table._tab.VectorLen(at) if at else 0
    if not 0 < length <= LONGEST_NAME:
        return ""
    begin = table._tab.Vector(at)
    return bytes(table._tab.Bytes[begin : begin + length]).decode("utf-8", "replace")


def _code(tflite: Any, code: Any) -> str:
    """Old files write the operator in a byte, new ones in an integer."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM:{_text(code, 6)[:80]}"
    return str(tflite.opcode2name(number))


def _buffer(buffer: Any, data: Any, path: str) -> int:
    """Bytes of a buffer, which lies in the flatbuffer or, in files of more than 2 GB, behind it."""
    length, offset = buffer.DataLength(), buffer.Offset()
    if offset > 1:
        length = buffer.Size()
        if offset + length > len(data):
            raise ModelError(f"{path}: damaged or truncated: weights at {offset} go beyond the file", AGAIN)
    elif length:
        begin = buffer._tab.Vector(buffer._tab.Offset(4))
        if begin + length > len(data):
            raise ModelError(f"{path}: damaged or truncated: weights at {begin} go beyond the file", AGAIN)
    return int(length)


def _tensor(tensor: Any, sizes: list[int], path: str) -> Tensor:
    name = _text(tensor, 10)[:200]
    dtype = TYPES.get(tensor.Type(), "unknown")
    axes = tensor.ShapeLength()
    if axes > MOST_AXES or tensor.ShapeSignatureLength() > MOST_AXES or tensor.Buffer() >= max(1, len(sizes)):
        raise ModelError(f"{path}: damaged: tensor {shown(name)!r} has {axes} axes or no buffer", AGAIN)
    shape = tuple(tensor.Shape(i) for i in range(axes))
    size = sizes[tensor.Buffer()] if sizes else 0
    if any(s < 0 for s in shape):
        raise ModelError(f"{path}: damaged: tensor {shown(name)!r} of shape {list(shape)}", AGAIN)
    if size and dtype in BITS and tensor.Sparsity() is None and size != -(-product(shape) * BITS[dtype] // 8):
        raise ModelError(f"{path}: damaged: {dtype} tensor {shown(name)!r} of shape {list(shape)} has {size} bytes", AGAIN)
    quantization = tensor.Quantization()
    quantized = quantization is not None and quantization.ScaleLength() > 0
    signature = [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
    return Tensor(name, dtype, shape, size, quantized, signature)


def _operator(operator: Any, codes: list[str], tensors: int, path: str) -> Operator:
    if operator.OpcodeIndex() >= len(codes):
        raise ModelError(f"{path}: damaged: an operator of number {operator.OpcodeIndex()}", AGAIN)
    inputs, outputs = _indices(operator, "Inputs", tensors, path), _indices(operator, "Outputs", tensors, path)
    return Operator(codes[operator.OpcodeIndex()], inputs, outputs)


def _indices(table: Any, what: str, tensors: int, path: str) -> list[int]:
    """Numbers of tensors; -1 stands for an input that is left out."""
    many = getattr(table, f"{what}Length")()
    if many > MOST:
        raise ModelError(f"{path}: damaged: {many} {what.lower()}", AGAIN)
    numbers = [int(getattr(table, what)(i)) for i in range(many)]
    if any(not -1 <= n < tensors for n in numbers):
        raise ModelError(f"{path}: damaged: an operator uses a tensor that is not there", AGAIN)
    return numbers
