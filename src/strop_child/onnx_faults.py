"""What an ONNX export does badly, read from the file alone. Child side; nothing is computed and no external data are read.

The step `clean` of the ONNX Runtime backend takes these faults out, by the same rules.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from strop_child import onnx_file

CONSTANT_IR = 4
"""From this IR version on a weight that is listed as an input may be replaced in a call, so that no runtime can take it for a
constant. Before it the format asked for the listing, and ONNX Runtime treats such weights as constants."""
QUANTIZERS = 13
"""The opset from which on QuantizeLinear has a scale for each channel."""
LEAST_ELEMENTS = 256
"""Smaller tensors that are equal are shapes, axes and limits, which cost nothing."""
LINEAR = ("Conv", "ConvTranspose", "Gemm", "MatMul")
VARYING = {
    "Constant", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "RandomNormal", "RandomUniform", "If", "Loop",
    "Scan", "Bernoulli", "Multinomial",
}  # fmt: skip
"""Operators that no constant folding removes: constants themselves, what marks a quantized weight, chance, nested graphs."""
TRAINED = ("BatchNormalization", "Dropout")
"""Operators that compute something else in training mode."""
FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)
INTEGERS = (
    TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.UINT32,
    TensorProto.INT64, TensorProto.UINT64,
)  # fmt: skip
WIDER: dict[int, tuple[int, ...]] = {
    TensorProto.FLOAT16: (TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.BFLOAT16: (TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.FLOAT: (TensorProto.DOUBLE,),
    TensorProto.INT8: (TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, *FLOATS),
    TensorProto.UINT8: (TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32, TensorProto.INT64, *FLOATS),
    TensorProto.INT16: (TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT, TensorProto.DOUBLE),
    TensorProto.INT32: (TensorProto.INT64, TensorProto.DOUBLE),
    TensorProto.BOOL: (*INTEGERS, *FLOATS),
}
"""Type → the types that hold each of its values exactly."""


def faults(model: onnx.ModelProto) -> list[dict[str, Any]]:
    """Each fault that is there: `name`, `count` of `total`, an `example`, and `bytes` that it wastes.

    The names are those of `strop/plan/export.toml`.
    """
    return [{"total": 0, "example": "", "bytes": 0, **found} for found in _found(model) if found["count"]]


def _found(model: onnx.ModelProto) -> Iterator[dict[str, Any]]:
    graph = model.graph
    weights = list(graph.initializer)
    taken = listed_weights(model)
    name = "weights-as-inputs" if model.ir_version >= CONSTANT_IR else "old-ir"
    yield {"name": name, "count": len(taken), "total": len(weights), "example": next(iter(taken), "")}
    axes = _axes(graph, {w.name for w in weights})
    inner = [(name, place) for name, place, dim in axes if place and not isinstance(dim, int)]
    yield {"name": "dynamic-axes", "count": len(inner), "total": len(axes), "example": _axis(inner)}
    unnamed = [(name, place) for name, place, dim in axes if dim is None]
    yield {"name": "unnamed-axes", "count": len(unnamed), "total": len(axes), "example": _axis(unnamed)}
    twins = duplicates(model)
    wasted = sum(_size(weight) for group in twins for weight in group[1:])
    yield {"name": "duplicated-weights", "count": sum(len(group) - 1 for group in twins), "total": len(weights),
           "example": twins[0][1].name if twins else "", "bytes": wasted}  # fmt: skip
    unused = unused_weights(model)
    yield {"name": "unused-weights", "count": len(unused), "total": len(weights),
           "example": unused[0].name if unused else "", "bytes": sum(map(_size, unused))}  # fmt: skip
    trained = [n for n in onnx_file.nodes(graph) if n.op_type in TRAINED]
    training = in_training(model)
    yield {"name": "training-mode", "count": len(training), "total": len(trained), "example": _named(training)}
    norms = [n for n in graph.node if n.op_type == "BatchNormalization"]
    loose = foldable_norms(graph)
    yield {"name": "batch-norm", "count": len(loose), "total": len(norms), "example": _named(loose)}
    yield _float64(model)
    chains = cast_chains(graph)
    casts = sum(n.op_type == "Cast" for n in graph.node)
    yield {"name": "cast-chains", "count": len(chains), "total": casts, "example": _named(chains)}
    turned = [second for _, second in cancelling_transposes(graph)]
    transposes = sum(n.op_type == "Transpose" for n in graph.node)
    yield {"name": "cancelling-transposes", "count": len(turned), "total": transposes, "example": _named(turned)}
    constant = computed_constants(graph)
    yield {"name": "unfolded-constants", "count": len(constant), "total": len(graph.node), "example": _named(constant)}
    version = opset_of(model)
    yield {"name": "old-opset", "count": version if version < QUANTIZERS else 0, "total": QUANTIZERS, "example": ""}


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the standard operators; 0 where the file names none."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def listed_weights(model: onnx.ModelProto) -> list[str]:
    """Initializers that are also listed as inputs, and meant as constants; see `default_inputs` for the others."""
    chosen = set(default_inputs(model))
    return [name for name in _listed(model) if name not in chosen]


def default_inputs(model: onnx.ModelProto) -> list[str]:
    """Inputs with a default that a caller may override, such as a threshold.

    A file cannot tell them from weights that an old exporter listed. Exporters list all weights or none; so where fewer than half
    are listed, somebody chose these.
    """
    found = _listed(model)
    chosen = model.ir_version >= CONSTANT_IR and 2 * len(found) < len(model.graph.initializer)
    return found if chosen else []


def _listed(model: onnx.ModelProto) -> list[str]:
    weights = {w.name for w in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name in weights]


def _axes(graph: onnx.GraphProto, weights: set[str]) -> list[tuple[str, int, int | str | None]]:
    """Name, place and size of every axis of every real input."""
    shapes = [(v.name, v.type.tensor_type.shape.dim) for v in graph.input if v.name not in weights]
    return [(name, place, onnx_file.dim(dim)) for name, dims in shapes for place, dim in enumerate(dims)]


def _axis(found: list[tuple[str, int]]) -> str:
    return f"axis {found[0][1]} of {found[0][0]}" if found else ""


def _named(nodes: list[onnx.NodeProto]) -> str:
    return (nodes[0].name or next(iter(nodes[0].output), "")) if nodes else ""


def _elements(tensor: TensorProto) -> int:
    return math.prod(tensor.dims)


def _size(tensor: TensorProto) -> int:
    """Bytes of its values; several may share a byte, which counts as one each."""
    try:
        return _elements(tensor) * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, TypeError):
        return 0


def uses(graph: onnx.GraphProto) -> dict[str, list[tuple[str, int]]]:
    """Value → operator and place of each use, those in nested graphs too."""
    found: dict[str, list[tuple[str, int]]] = {}
    for node in onnx_file.nodes(graph):
        for place, name in enumerate(node.input):
            found.setdefault(name, []).append((node.op_type, place))
    return found


def nested(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graphs within it: branches of an If, bodies of a Loop."""
    for node in onnx_file.nodes(graph):
        for attribute in node.attribute:
            yield from (g for g in (attribute.g, *attribute.graphs) if g.node or g.output)


def untouchable(graph: onnx.GraphProto) -> set[str]:
    """Names that are an output of a graph, or that a nested graph defines itself: values of these names stay as they are."""
    names = {output.name for output in graph.output}
    for inner in nested(graph):
        names |= {v.name for v in (*inner.input, *inner.output, *inner.initializer)}
        names |= {name for node in inner.node for name in node.output}
    return names


def duplicates(model: onnx.ModelProto) -> list[list[TensorProto]]:
    """Groups of weights that are equal bit by bit and have the same uses: by the same operators, at the same places.

    Weights in external files are equal where they are the same bytes of the same file.
    """
    alike: dict[tuple[Any, ...], list[TensorProto]] = {}
    left, used = {*untouchable(model.graph), *default_inputs(model)}, uses(model.graph)
    for weight in model.graph.initializer:
        if weight.name not in left and _elements(weight) >= LEAST_ELEMENTS:
            key = (weight.data_type, tuple(weight.dims), frozenset(used.get(weight.name, [])), weight.data_location)
            alike.setdefault(key, []).append(weight)
    groups: dict[Any, list[TensorProto]] = {}
    for key, weights in alike.items():
        for weight in weights if len(weights) > 1 else []:
            groups.setdefault((key, _content(weight)), []).append(weight)
    return [group for group in groups.values() if len(group) > 1]


def _content(weight: TensorProto) -> Any:
    """What is equal where the values are."""
    if weight.data_location == TensorProto.EXTERNAL:
        return tuple(sorted((e.key, e.value) for e in weight.external_data if e.key != "checksum"))
    return hashlib.sha256(weight.raw_data or numpy_helper.to_array(weight).tobytes()).digest()


def unused_weights(model: onnx.ModelProto) -> list[TensorProto]:
    """Weights that no node reads, that are no output and no scale of a quantized value, and that no caller may override."""
    graph = model.graph
    scales = {entry.value for note in graph.quantization_annotation for entry in note.quant_parameter_tensor_names}
    left = uses(graph).keys() | untouchable(graph) | scales | set(default_inputs(model))
    return [weight for weight in graph.initializer if weight.name not in left]


def in_training(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes that are always in training mode: a Dropout that drops something, a normalization by the batch's own statistics.

    What a caller may set by an input is not among them.
    """
    known, chosen = dict[str, TensorProto](), set(default_inputs(model))
    for graph in (model.graph, *nested(model.graph)):
        known |= {w.name: w for w in graph.initializer if w.name not in chosen}
        known |= {n.output[0]: a.t for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"}

    def value(node: onnx.NodeProto, place: int) -> float | None:
        """Of an input that is one constant number; None where it is absent or something else."""
        tensor = known.get(node.input[place]) if len(node.input) > place else None
        if tensor is None or _elements(tensor) != 1 or tensor.data_location == TensorProto.EXTERNAL:
            return None
        return float(numpy_helper.to_array(tensor).reshape(()))

    def trains(node: onnx.NodeProto) -> bool:
        if node.op_type == "Dropout":
            return bool(value(node, 2)) and value(node, 1) != 0
        return any(a.name == "training_mode" and a.i for a in node.attribute)

    return [node for node in onnx_file.nodes(model.graph) if node.op_type in TRAINED and trains(node)]


def cancelling_transposes(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Pairs of Transposes with at most Identities between them, of which the second undoes the first; no node is in two pairs."""
    made = {n.output[0]: n for n in graph.node if n.op_type == "Transpose"}
    named = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Identity"}
    found, taken = [], set[str]()
    for node in made.values():
        given = node.input[0]
        for _ in named:  # a damaged file may go in a circle
            if given not in named:
                break
            given = named[given]
        before = made.get(given)
        if before is not None and before.output[0] not in taken and _undoes(order_of(before), order_of(node)):
            found.append((before, node))
            taken |= {before.output[0], node.output[0]}
    return found


def order_of(transpose: onnx.NodeProto) -> tuple[int, ...]:
    """Its permutation; empty where it has none, which turns the axes around."""
    return next((tuple(a.ints) for a in transpose.attribute if a.name == "perm"), ())


def _undoes(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    rank = len(first) or len(second)
    turned = tuple(reversed(range(rank)))
    one, other = first or turned, second or turned
    return len(one) == len(other) and all(one[axis] == place for place, axis in enumerate(other))


def constants(graph: onnx.GraphProto) -> set[str]:
    """Values that no input changes, weights that are listed as inputs included; empty names are absent inputs."""
    return {w.name for w in graph.initializer} | {n.output[0] for n in graph.node if n.op_type == "Constant"} | {""}


def computed_constants(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that compute with constants only, in their order."""
    known, found = constants(graph), []
    for node in graph.node:
        if node.input and node.op_type not in VARYING and all(name in known for name in node.input):
            known.update(node.output)
            found.append(node)
    return found


def foldable_norms(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Batch normalizations whose numbers could be part of the weights before them."""
    known, used = constants(graph), Counter(name for node in onnx_file.nodes(graph) for name in node.input)
    outputs = {o.name for o in graph.output}
    linear = {
        n.output[0] for n in graph.node
        if n.op_type in LINEAR and len(n.input) > 1 and n.input[1] in known and used[n.output[0]] == 1
    }  # fmt: skip
    return [
        n for n in graph.node
        if n.op_type == "BatchNormalization" and n.input[0] in linear - outputs and all(name in known for name in n.input[1:])
        and not any(a.name == "training_mode" and a.i for a in n.attribute)
    ]  # fmt: skip


def _float64(model: onnx.ModelProto) -> dict[str, Any]:
    """Values of 64 bits inside a graph whose inputs have fewer; a model that takes or gives float64 was meant that way."""
    graph = model.graph
    weights = {w.name for w in graph.initializer}
    ports = [
        v for v in (*graph.input, *graph.output) if v.type.tensor_type.elem_type == TensorProto.DOUBLE and v.name not in weights
    ]
    graphs = [graph, *nested(graph)]
    names = [w.name for g in graphs for w in g.initializer if w.data_type == TensorProto.DOUBLE]
    for node in onnx_file.nodes(graph):
        wide = any(
            (a.name == "to" and a.i == TensorProto.DOUBLE) or (a.name == "value" and a.t.data_type == TensorProto.DOUBLE)
            for a in node.attribute
        )
        names += [node.name or node.output[0]] if wide and node.op_type in ("Cast", "Constant", "ConstantOfShape") else []
    name = "float64-ports" if ports else "float64"
    example = ports[0].name if ports else next(iter(names), "")
    return {"name": name, "count": len(ports) or len(names), "total": len(ports) + len(names), "example": example}


def types(graph: onnx.GraphProto) -> dict[str, int]:
    """Value → type of its elements, as far as the file says or an operator keeps the type of its first input."""
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    known |= {w.name: w.data_type for w in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast":
            known[node.output[0]] = target_of(node)
        elif node.input and node.output and node.output[0] not in known and _keeps_type(node.op_type, node.domain):
            known[node.output[0]] = known.get(node.input[0], 0)
    return known


@cache
def _keeps_type(operator: str, domain: str) -> bool:
    """Whether its first output has the type of its first input, by its definition."""
    if not onnx.defs.has(operator, domain):
        return False
    schema = onnx.defs.get_schema(operator, domain=domain)
    return bool(schema.inputs and schema.outputs and schema.inputs[0].type_str == schema.outputs[0].type_str)


def target_of(cast: onnx.NodeProto) -> int:
    """The type that a Cast gives."""
    return next((int(a.i) for a in cast.attribute if a.name == "to"), 0)


def collapses(source: int, between: int, target: int) -> bool:
    """Whether a Cast from `source` to `between` and then to `target` gives what a single one to `target` gives."""
    if between not in WIDER.get(source, ()):
        return False
    return target in (source, *FLOATS) or all(kind in INTEGERS for kind in (source, between, target))


def cast_chains(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Casts that change nothing, or whose source is a Cast that loses nothing."""
    known = types(graph)
    made = {n.output[0]: n for n in graph.node if n.op_type == "Cast"}
    found = []
    for node in made.values():
        source, target = known.get(node.input[0], 0), target_of(node)
        before = made.get(node.input[0])
        chained = before is not None and collapses(known.get(before.input[0], 0), source, target)
        if source and (source == target or chained):
            found.append(node)
    return found
