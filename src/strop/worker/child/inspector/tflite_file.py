"""A TFLite model: its flatbuffer's tables, read with the classes that TensorFlow's schema generates (package tflite)."""

import mmap
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import costs
from answer import Answer, Layer, Port, Shape, counted, modality_of, product
from checked_json import shown
from members import size_of
from refusal import ModelError

AGAIN = "download or convert it again"
MOST = 250_000
"""Tensors and operators of all subgraphs together, and uses of tensors by operators."""
MOST_AXES = 16
BITS = {"float32": 32, "float16": 16, "int32": 32, "uint8": 8, "int64": 64, "bool": 8, "int16": 16, "complex64": 64, "int8": 8,
        "float64": 64, "complex128": 128, "uint64": 64, "uint32": 32, "uint16": 16, "int4": 4, "bfloat16": 16}  # fmt: skip
NO_WEIGHT = {"int64", "uint64", "bool", "string", "resource", "variant", "uint32", "uint16", "int16"}
WEIGHT = {
    "CONV_2D": ("conv", 1, 2), "CONV_3D": ("conv", 1, 2), "DEPTHWISE_CONV_2D": ("depthwise", 1, 2),
    "TRANSPOSE_CONV": ("conv", 1, 3), "FULLY_CONNECTED": ("linear", 1, 2), "BATCH_MATMUL": ("linear", 1, -1),
    "EMBEDDING_LOOKUP": ("embedding", 1, -1), "GATHER": ("embedding", 0, -1), "SVDF": ("recurrent", 1, 3),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("recurrent", 2, -1), "LSTM": ("recurrent", 2, -1),
}  # fmt: skip
"""Operator → role, and where its weight and its bias go in."""
MULTIPLY = {"SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "RNN", "CONV_3D", "CUSTOM",
            "BIDIRECTIONAL_SEQUENCE_LSTM", "CONV_3D_TRANSPOSE"}  # fmt: skip
"""Operators with multiply-accumulates that no formula here counts."""
VIEWS = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}


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


def inspect(path: str) -> Answer:
    """What the file holds.

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
    answer = Answer(format="tflite", files={os.path.basename(path): size})
    _describe(answer, graphs)
    return answer


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
        left -= sum(count) + 1
        if left < 0:
            raise ModelError(f"{path}: more than {MOST} tensors and operators", "no graph of that many is read")
        tensors = [_tensor(tflite, graph.Tensors(i), sizes, path) for i in range(count[0])]
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


def _code(tflite: Any, code: Any) -> str:
    """Old files write the operator in a byte, new ones in an integer."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == tflite.BuiltinOperator.CUSTOM:
        return f"CUSTOM:{(code.CustomCode() or b'').decode('utf-8', 'replace')[:80]}"
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


def _tensor(tflite: Any, tensor: Any, sizes: list[int], path: str) -> Tensor:
    name = (tensor.Name() or b"").decode("utf-8", "replace")[:200]
    dtype = next((k.lower() for k, v in vars(tflite.TensorType).items() if v == tensor.Type() and k.isupper()), "unknown")
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


def _describe(answer: Answer, graphs: list[Graph]) -> None:
    main = graphs[0]
    answer.operators = counted(o.kind for g in graphs for o in g.operators)
    answer.inputs = [_port(main.tensors[i]) for i in main.inputs if i >= 0]
    answer.outputs = [_port(main.tensors[i]) for i in main.outputs if i >= 0]
    answer.modality = modality_of(answer.inputs)
    for graph in graphs:
        biases = {o.inputs[p] for o in graph.operators for p in _biases(o) if len(o.inputs) > p >= 0}
        for number, tensor in enumerate(graph.tensors):
            if tensor.size:
                answer.store(tensor.dtype, product(tensor.shape), tensor.size)
                plain = tensor.dtype in NO_WEIGHT or (tensor.dtype == "int32" and number not in biases) or not tensor.shape
                answer.parameters += 0 if plain else product(tensor.shape)
        answer.layers += list(_layers(graph))
    weights = [t for t in main.tensors if t.size and t.quantized and t.dtype in ("int8", "uint8", "int4", "int16")]
    if weights:
        inner = any(t.quantized and not t.size for t in main.tensors)
        width = min((t.dtype for t in weights), key=lambda d: (BITS[d], d))
        answer.quantized = f"{width} ({'full' if inner else 'weights only'})"
    dynamic = {f"{main.tensors[i].name}:{axis}": main.tensors[i].shape[axis] for i in main.inputs if i >= 0
               for axis, size in enumerate(main.tensors[i].signature) if size < 0 and axis < len(main.tensors[i].shape)}  # fmt: skip
    answer.assumed = dynamic
    _costs(answer, graphs, main)


def _biases(operator: Operator) -> list[int]:
    return [WEIGHT[operator.kind][2]] if operator.kind in WEIGHT else []


def _port(tensor: Tensor) -> Port:
    shape: list[int | None] = [None if s < 0 else s for s in tensor.signature] or list(tensor.shape)
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}


def _layers(graph: Graph) -> Iterator[Layer]:
    for operator in graph.operators:
        if operator.kind not in WEIGHT:
            continue
        role, weight, bias = WEIGHT[operator.kind]
        found, added = _at(graph, operator, weight), _at(graph, operator, bias)
        if found is None or not found.size or (role == "embedding" and (len(found.shape) != 2 or found.dtype == "int32")):
            continue
        many = product(found.shape) + (product(added.shape) if added is not None and added.size else 0)
        inner = found.shape[-1] if role in ("linear", "embedding", "recurrent") and found.shape else None
        yield Layer(role, operator.kind, found.name, found.shape, many, inner)


def _at(graph: Graph, operator: Operator, place: int) -> Tensor | None:
    number = operator.inputs[place] if 0 <= place < len(operator.inputs) else -1
    return graph.tensors[number] if number >= 0 else None


def _costs(answer: Answer, graphs: list[Graph], main: Graph) -> None:
    """Of the shapes as converted; subgraphs (the bodies of loops) once, memory of the main one."""
    total = missing = many = 0
    for graph in graphs:
        for operator in graph.operators:
            found = _macs(graph, operator)
            multiplies = found != 0
            total, missing, many = total + (found or 0), missing + (found is None), many + multiplies
    answer.macs = None if many and missing == many else total
    if missing:
        answer.notes.append(f"macs leave out {missing} of {many} operators")
    root: dict[int, int] = {}
    for o in main.operators:
        if o.kind in VIEWS and o.inputs and o.outputs:
            root[o.outputs[0]] = root.get(o.inputs[0], o.inputs[0])
    order = [([str(root.get(n, n)) for n in o.inputs], [str(root.get(n, n)) for n in o.outputs]) for o in main.operators]
    sizes = {str(i): product(t.shape) * BITS.get(t.dtype, 8) // 8 for i, t in enumerate(main.tensors) if not t.size}
    answer.activation_bytes = costs.peak(order, sizes, map(str, main.inputs), [str(root.get(n, n)) for n in main.outputs])


def _macs(graph: Graph, operator: Operator) -> int | None:
    """As `costs`, for TFLite's layouts: [out, height, width, in], depthwise [1, height, width, channels]."""
    weight, given = _at(graph, operator, 1), _at(graph, operator, 0)
    out = graph.tensors[operator.outputs[0]] if operator.outputs and operator.outputs[0] >= 0 else None
    if operator.kind.split(":")[0] in MULTIPLY:
        return None
    if weight is None or given is None or out is None or not weight.shape:
        return 0
    many: int = product(out.shape)
    kernel: int = product(weight.shape[1:])
    if operator.kind == "CONV_2D":
        return many * kernel
    if operator.kind == "DEPTHWISE_CONV_2D":
        return many * product(weight.shape[1:-1]) if len(weight.shape) == 4 else None
    if operator.kind == "FULLY_CONNECTED":
        return many * int(weight.shape[-1])
    if operator.kind == "BATCH_MATMUL":
        return many * int(given.shape[-1]) if given.shape else None
    if operator.kind == "TRANSPOSE_CONV":
        image = _at(graph, operator, 2)
        return product(image.shape) * product(weight.shape[:-1]) if image is not None else None
    return 0
