"""Shapes of a graph's values once its dynamic axes have sizes. Changes the model that it is given: weights are let go."""

import re
from collections.abc import Iterable
from typing import Any

import onnx
from onnx import TensorProto, helper, shape_inference

from strop_child.inspector.answer import Shape, product

SEQUENCE, SIDE = 128, 224
"""Sizes for dynamic axes: tokens, and the sides of a picture."""
CHANNELS = 4
"""Of a picture that is given, at most."""
LONG = re.compile(r"seq|len|token|time|frame|step", re.IGNORECASE)
SMALL = 1024
"""Elements of a constant that shape inference may need for its values."""
MOST_NODES = 100_000
LIKE_FIRST = {
    "SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization", "FastGelu", "BiasGelu",
    "QuickGelu", "RotaryEmbedding", "MultiHeadAttention", "GroupQueryAttention", "QLinearSoftmax", "QLinearLeakyRelu",
    "QLinearSigmoid", "QLinearAdd", "QLinearMul", "BiasAdd",
}  # fmt: skip
"""Operators of com.microsoft whose first output has the shape of their first input."""
LIKE_MATMUL = {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}


def assume(graph: onnx.GraphProto, weights: set[str]) -> dict[str, int]:
    """Gives every dynamic axis a size, in place; the sizes by the axes' names, or `input:axis` where they have none."""
    assumed: dict[str, int] = {}
    for value in graph.input:
        if value.name in weights:
            continue
        dims = value.type.tensor_type.shape.dim
        sides = _sides(dims)
        for axis, dim in enumerate(dims):
            if not dim.HasField("dim_value") or dim.dim_value < 0:
                name = dim.dim_param or f"{value.name}:{axis}"
                if name not in assumed:
                    assumed[name] = _size(name, axis in sides, bool(dim.dim_param))
                dim.dim_value = assumed[name]
    for value in (*graph.value_info, *graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in assumed:
                dim.dim_value = assumed[dim.dim_param]
            elif dim.dim_param or dim.dim_value < 0:
                dim.Clear()
    return assumed


def _sides(dims: Any) -> tuple[int, ...]:
    """The axes of a picture's sides: of four axes those beside the channels, which are few, by whatever names."""
    if len(dims) != 4:
        return ()
    few = [0 < dim.dim_value <= CHANNELS for dim in dims]
    return (1, 2) if few[3] and not few[1] else (2, 3)


def _size(name: str, is_side: bool, is_named: bool) -> int:
    if is_named and "batch" in name.lower():
        return 1
    if is_named and LONG.search(name):
        return SEQUENCE
    return SIDE if is_side else 1


def lighten(model: onnx.ModelProto) -> None:
    """Large weights become inputs of the same name and shape: shape inference copies the model several times."""
    graph = model.graph
    listed = {v.name for v in graph.input}
    for tensor in [t for t in graph.initializer if product(t.dims) > SMALL or t.data_location == TensorProto.EXTERNAL]:
        if tensor.name not in listed:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        graph.initializer.remove(tensor)
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        for tensor in (a.t for a in node.attribute if a.name == "value"):
            if product(tensor.dims) > SMALL:
                graph.input.append(helper.make_tensor_value_info(node.output[0], tensor.data_type, list(tensor.dims)))
                graph.node.remove(node)


def flatten(model: onnx.ModelProto) -> onnx.ModelProto:
    """Local functions in place of their calls; none at all where that goes beyond all bounds, as in shape inference it would."""
    if not model.functions:
        return model
    if _expanded(model) > MOST_NODES:
        del model.functions[:]
        return model
    from onnx import inliner

    return inliner.inline_local_functions(model)


def _expanded(model: onnx.ModelProto) -> int:
    """Nodes once all local functions are in place; beyond all bounds where they call one another in a circle."""
    bodies = {(f.domain, f.name): [(n.domain, n.op_type) for n in f.node] for f in model.functions}
    known: dict[tuple[str, str], int] = {}

    def size(name: tuple[str, str], depth: int) -> int:
        if name not in bodies:
            return 1
        if depth > 50:
            return MOST_NODES + 1
        if name not in known:
            known[name] = min(MOST_NODES + 1, sum(size(inner, depth + 1) for inner in bodies[name]))
        return known[name]

    return sum(size((n.domain, n.op_type), 0) for n in model.graph.node)


def stand_ins(graph: onnx.GraphProto) -> None:
    """Operators that ONNX has no shapes for become ones that give the same; the shapes are all that is wanted here."""
    replaced: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.domain == "com.microsoft" or node.op_type == "SimplifiedLayerNormalization":
            replaced += _stand_in(graph, node)
        else:
            replaced.append(node)
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in replaced]
    del graph.node[:]
    graph.node.extend(copies)


def _stand_in(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    attributes = {a.name: a for a in node.attribute}
    given, made = list(node.input), list(node.output)
    if node.op_type in LIKE_FIRST and given and made:
        more = made[1:] if node.op_type.startswith("Skip") else []  # the sum that a later layer goes on with
        return [helper.make_node("Identity", given[:1], [name]) for name in (made[0], *more) if name]
    if node.op_type in LIKE_MATMUL and len(given) > 1 and made:
        return [helper.make_node("MatMul", given[:2], made[:1])]
    if node.op_type == "FusedConv" and made:
        kept = {k: helper.get_attribute_value(a) for k, a in attributes.items() if not k.startswith("activation")}
        return [helper.make_node("Conv", given[:3], made[:1], **kept)]
    if node.op_type == "MatMulNBits" and {"K", "N"} <= attributes.keys() and given and made:
        name, sizes = f"{made[0]}/weight", [attributes["K"].i, attributes["N"].i]
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes))
        return [helper.make_node("MatMul", [given[0], name], made[:1])]
    return [node]


def infer(model: onnx.ModelProto) -> tuple[dict[str, Shape], dict[str, int]]:
    """Shapes by name, and the element type of each."""
    try:
        done = shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)
    except Exception:  # the library stumbles over graphs that a runtime may still take: what is declared is left
        done = model
    shapes: dict[str, Shape] = {}
    kinds: dict[str, int] = {}
    for value in (*done.graph.input, *done.graph.value_info, *done.graph.output):
        sizes = _sizes(value.type)
        if sizes is not None:
            shapes[value.name] = sizes
        kinds[value.name] = value.type.tensor_type.elem_type
    for tensor in done.graph.initializer:
        shapes[tensor.name], kinds[tensor.name] = tuple(tensor.dims), tensor.data_type
    return shapes, kinds


def _sizes(kind: Any) -> Shape | None:
    dims: Iterable[Any] = kind.tensor_type.shape.dim
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    sizes = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in dims)
    return None if any(s < 0 for s in sizes) else sizes
