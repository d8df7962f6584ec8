"""A TFLite model: what its graph holds and what an inference costs."""

import os
from collections.abc import Iterator

from strop_child.inspector import costs
from strop_child.inspector.answer import Answer, Layer, Port, counted, modality_of, product
from strop_child.inspector.tflite_tables import BITS, Graph, Operator, Tensor, read

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
UNPACKED, MOST_UNPACKED = {"DEQUANTIZE", "DENSIFY"}, 4
"""Operators behind which a constant is still the same weight, and how many of them stand in a row at most."""
VIEWS = {"RESHAPE", "SQUEEZE", "EXPAND_DIMS"}


def inspect(path: str) -> Answer:
    """What the file holds.

    Raises:
        ModelError: no TFLite, or damaged.
    """
    graphs = read(path)
    answer = Answer(format="tflite", files={os.path.basename(path): os.path.getsize(path)})
    _describe(answer, graphs)
    return answer


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
    for tensor in (main.tensors[i] for i in main.inputs if i >= 0):
        sizes = zip(tensor.signature, tensor.shape, strict=False)
        answer.assumed.update({f"{tensor.name}:{axis}": size for axis, (told, size) in enumerate(sizes) if told < 0})
    _costs(answer, graphs, main)


def _biases(operator: Operator) -> list[int]:
    return [WEIGHT[operator.kind][2]] if operator.kind in WEIGHT else []


def _port(tensor: Tensor) -> Port:
    shape: list[int | None] = [None if s < 0 else s for s in tensor.signature] or list(tensor.shape)
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}


def _layers(graph: Graph) -> Iterator[Layer]:
    held = {o.outputs[0]: o.inputs[0] for o in graph.operators if o.kind in UNPACKED and o.inputs and o.outputs}
    for operator in graph.operators:
        if operator.kind not in WEIGHT:
            continue
        role, weight, bias = WEIGHT[operator.kind]
        found, added = (_stored(graph, held, operator, place) for place in (weight, bias))
        if found is None or not found.size or (role == "embedding" and (len(found.shape) != 2 or found.dtype == "int32")):
            continue
        many = product(found.shape) + (product(added.shape) if added is not None and added.size else 0)
        inner = found.shape[-1] if role in ("linear", "embedding", "recurrent") and found.shape else None
        yield Layer(role, operator.kind, found.name, found.shape, many, inner)


def _stored(graph: Graph, held: dict[int, int], operator: Operator, place: int) -> Tensor | None:
    """The tensor of an input as the file stores it: weights in float16 or sparse are unpacked before they are used."""
    number = operator.inputs[place] if 0 <= place < len(operator.inputs) else -1
    for _ in range(MOST_UNPACKED):
        number = held.get(number, number)
    return graph.tensors[number] if number >= 0 else None


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
