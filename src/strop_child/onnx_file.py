"""Reading an ONNX file: what it is, whether it is whole, safe and supported. Child side."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from strop_child.class_labels import class_labels
from strop_child.ranges import declared
from strop_child.refusal import ModelError

WEIGHTED = {"Conv", "ConvTranspose", "MatMul", "Gemm", "Gather"}
PASSING = {"Identity", "Cast", "Squeeze", "QuantizeLinear", "DequantizeLinear"}
"""Operators behind which an output still is what it was."""
CONTRIBUTED = {"com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "ai.onnx.training", "com.ms.internal.nhwc"}


def describe(path: str) -> dict[str, Any]:
    """Everything the parent needs to know, as plain values."""
    from strop_child import onnx_faults  # which reads files with what stands here, as the inspector does
    from strop_child.inspector.onnx_weights import Weights, tensors_of

    model = load(path)
    graph = model.graph
    names = {i.name for i in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    files = [os.path.basename(path), *external_files(model, path)]
    check_operators(model)
    inputs = [_spec(v, True) for v in graph.input if v.name not in names]
    if not inputs:
        raise ModelError(f"{path}: the model has no inputs", "give a model that takes at least one tensor")
    if not graph.output:
        raise ModelError(f"{path}: the model has no outputs", "give a model that returns at least one tensor")
    shapes = {i.name: tuple(i.dims) for i in graph.initializer} | _constants(graph)
    listed = len(graph.input) - len(inputs)
    chosen = onnx_faults.default_inputs(model)
    kinds = {TensorProto.DataType.Name(i.data_type) for i in graph.initializer if len(i.dims) > 1}
    return {
        "files": files,
        "inputs": inputs,
        "outputs": [_spec(v, False) for v in graph.output],
        "parameters": Weights([n for body in (graph, *model.functions) for n in nodes(body)], tensors_of(graph)).parameters,
        "opset": next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0),
        "operators": _count(node.op_type for node in graph.node),
        "weights": _count(n.op_type for n in graph.node if n.op_type in WEIGHTED and _weight(n, shapes)),
        "depthwise": sum(_is_depthwise(n, shapes) for n in graph.node),
        "bounds": declared(graph, shapes),
        "ends": ends(graph),
        "precision": _precision(graph, kinds),
        "traits": {
            "ir_version": model.ir_version,
            "listed_initializers": listed,
            "folds": _reshaped_weights(graph, shapes),
            "default_inputs": chosen,
            **({"classes": classes} if (classes := class_labels(graph)) else {}),
        },
        "faults": onnx_faults.faults(model),
        "notes": [f"{listed} weights are listed as inputs (an old-style file)"] if listed > len(chosen) else [],
    }


def load(path: str) -> onnx.ModelProto:
    """Parse without touching external data; then check that data before anything follows its paths."""
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        with open(path, "rb") as f:
            start = f.read(2)
        if start[:1] == b"\x08":
            raise ModelError(f"{path}: damaged or truncated ONNX ({type(error).__name__})", "export or copy it again") from None
        raise ModelError(f"{path}: not an ONNX model", "give an .onnx file") from None
    if not model.graph.node and not model.graph.output:
        raise ModelError(f"{path}: not an ONNX model (no graph in it)", "give an .onnx file")
    if not model.opset_import:
        raise ModelError(f"{path}: damaged or truncated: it names no opset", "export or copy it again")
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL and not _is_whole(tensor):
            raise ModelError(f"{path}: damaged or truncated: weight {tensor.name!r} is short", "export or copy it again")
    check_external(model, path)
    return model


def _is_whole(tensor: TensorProto) -> bool:
    try:
        return bool(numpy_helper.to_array(tensor).size == _size(tensor.dims))
    except Exception:
        return False


def nodes(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those of nested graphs (the branches of an If, the body of a Loop) too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for nested in (attribute.g, *attribute.graphs):
                yield from nodes(nested)


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """The graph, those nested in it, and the bodies of local functions."""
    yield from (model.graph, *model.functions)
    for body in (model.graph, *model.functions):
        for node in nodes(body):
            for attribute in node.attribute:
                yield from (attribute.g, *attribute.graphs)


def _tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor that may name a file."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)


def _external(model: onnx.ModelProto) -> Iterator[tuple[TensorProto, dict[str, str]]]:
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            yield tensor, {e.key: e.value for e in tensor.external_data}


def check_external(model: onnx.ModelProto, path: str) -> None:
    """External data must be regular files inside the model's own folder, and long enough.

    Where the model itself is a link, as in a snapshot of the Hugging Face cache, its data may be links into the real folder of
    the model's file, and nowhere else.
    """
    real = os.path.dirname(os.path.realpath(path)) if os.path.islink(path) else None
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    for tensor, entry in _external(model):
        where = entry.get("location", "")
        full = os.path.realpath(os.path.join(folder, where))
        inside = os.path.commonpath([folder, full]) == folder
        linked = os.path.islink(os.path.join(folder, where))
        cached = linked and os.path.dirname(full) == real
        inside = (inside and not linked) or cached
        if not where or os.path.isabs(where) or ".." in where.replace("\\", "/").split("/") or not inside:
            raise ModelError(
                f"{path}: external data of {tensor.name!r} at {where!r} leaves the model's folder",
                "keep weights as plain files beside the model",
            )
        if not os.path.isfile(full):
            raise ModelError(f"{path}: external data file {where!r} is missing", "copy it beside the model")
        if _end(tensor, entry, path) > os.path.getsize(full):
            raise ModelError(f"{path}: external data file {where!r} is truncated", "export or copy it again")


def _end(tensor: TensorProto, entry: dict[str, str], path: str) -> int:
    """Where the values end in their file; as long as their shape asks for, whatever length is given."""
    try:
        offset, length = int(entry.get("offset") or 0), int(entry.get("length") or 0)
        need = _bytes(tensor)
    except (ValueError, KeyError, TypeError):
        offset, length, need = -1, 0, 0
    if offset < 0 or length < 0 or any(d < 0 for d in tensor.dims):
        raise ModelError(f"{path}: damaged: external data of {tensor.name!r} has no place or type", "export or copy it again")
    return offset + max(length, need)


def _bytes(tensor: TensorProto) -> int:
    """Size of a tensor whose length is not given; several values may share a byte."""
    bits = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4}.get(TensorProto.DataType.Name(tensor.data_type))
    width = bits or helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
    return -(-_size(tensor.dims) * width // 8)


def external_files(model: onnx.ModelProto, path: str) -> list[str]:
    """Names of the external data files, relative to the model's folder."""
    return sorted({os.path.normpath(entry["location"]) for _, entry in _external(model)})


def check_operators(model: onnx.ModelProto) -> None:
    """Refuse opsets and operators that the installed ONNX does not know."""
    newest = onnx.defs.onnx_opset_version()
    domains = {o.domain: o.version for o in model.opset_import}
    version = domains.get("", domains.get("ai.onnx", 0))
    if version > newest:
        raise ModelError(f"unknown opset {version}: the newest supported is {newest}", "export with an older opset")
    local = {(f.domain, f.name) for f in model.functions}
    for node in nodes(model.graph):
        known = node.domain in CONTRIBUTED or (node.domain, node.op_type) in local
        if not known and not onnx.defs.has(node.op_type, node.domain):
            where = f"{node.domain}:{node.op_type}" if node.domain else node.op_type
            raise ModelError(f"unknown operator {where!r} (node {node.name!r})", "export with standard operators")


def _spec(value: onnx.ValueInfoProto, is_input: bool) -> dict[str, Any]:
    kind, what = value.type.tensor_type, "input" if is_input else "output"
    if not value.type.HasField("tensor_type"):
        held = type_name(value.type)
        way = ZIPMAP if "map(" in held else f"export the model with tensors in place of that {held.partition('(')[0]}"
        raise ModelError(f"{what} {value.name!r} is a {held}, not a tensor", way)
    name = dtype_name(kind.elem_type)
    if name == "string" and is_input:
        way = "split the model behind the operators that turn text into numbers, and give the part that takes numbers"
        raise ModelError(f"input {value.name!r} takes text (a string tensor): only numbers are fed", way)
    if name not in NUMPY and name != "string":
        raise ModelError(
            f"{what} {value.name!r} is of type {name}, which no array holds",
            "export the model with float32 or float16 there (a Cast inside it); its weights may stay as they are",
        )
    if is_input and not kind.HasField("shape"):
        raise ModelError(f"input {value.name!r} declares no number of axes", "export it with a shape, its open axes by name")
    return {"name": value.name, "dtype": name, "shape": [dim(d) for d in kind.shape.dim]}


NUMPY = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
         "complex64", "complex128"}  # fmt: skip
"""Types that numpy has, and so every runtime's Python interface."""
ZIPMAP = (
    "scikit-learn's ZipMap makes it; export the probabilities as an array: to_onnx(model, X, options={'zipmap': False}) in "
    "skl2onnx, zipmap=False in onnxmltools (convert_lightgbm)"
)


def type_name(kind: onnx.TypeProto) -> str:
    """A value's type as ONNX writes it: `float32`, `sequence(map(int64, float32))`, `optional(int64)`."""
    found = kind.WhichOneof("value")
    if found == "sequence_type":
        return f"sequence({type_name(kind.sequence_type.elem_type)})"
    if found == "optional_type":
        return f"optional({type_name(kind.optional_type.elem_type)})"
    if found == "map_type":
        return f"map({dtype_name(kind.map_type.key_type)}, {type_name(kind.map_type.value_type)})"
    if found == "sparse_tensor_type":
        return f"sparse({dtype_name(kind.sparse_tensor_type.elem_type)})"
    return dtype_name(kind.tensor_type.elem_type)


def dtype_name(kind: int) -> str:
    """An element type by the name that numpy or its extensions have for it."""
    try:
        name = str(TensorProto.DataType.Name(kind))
    except ValueError:
        return "undefined"
    return DTYPES.get(name, name.lower())


DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT8E4M3FN": "float8_e4m3", "FLOAT8E5M2": "float8_e5m2",
          "FLOAT8E8M0": "float8_e8m0", "FLOAT4E2M1": "float4_e2m1"}  # fmt: skip


def dim(axis: onnx.TensorShapeProto.Dimension) -> int | str | None:
    """A size, or a dynamic axis by its name or without one; some exporters write a dynamic axis as size -1."""
    if axis.HasField("dim_value"):
        return axis.dim_value if axis.dim_value >= 0 else None
    return axis.dim_param or None


def _size(dims: Iterable[int]) -> int:
    total = 1
    for d in dims:
        total *= d
    return total


def _count(items: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


def _constants(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    found = {}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = tuple(attribute.t.dims)
    return found


def _weight(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Shape of the constant weight of a node, or None. A weight behind a Reshape counts once that is folded."""
    place = 0 if node.op_type == "Gather" else 1
    dims = shapes.get(node.input[place]) if len(node.input) > place else None
    return dims if dims is not None and len(dims) >= 2 else None


def _reshaped_weights(graph: onnx.GraphProto, shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(n.op_type in {"Reshape", "Transpose"} and n.input[0] in shapes for n in graph.node)


def _is_depthwise(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> bool:
    weight = _weight(node, shapes) if node.op_type == "Conv" else None
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return weight is not None and groups > 1 and groups == weight[0]


def ends(graph: onnx.GraphProto) -> dict[str, str]:
    """Output → the operator that makes its values, behind what only casts, names or quantizes them."""
    makers = {name: node for node in graph.node for name in node.output}
    found = {}
    for output in graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type in PASSING and node.input:
            node = makers.get(node.input[0])
        if node is not None:
            found[output.name] = str(node.op_type)
    return found


def _precision(graph: onnx.GraphProto, kinds: set[str]) -> str:
    ops = {n.op_type for n in graph.node}
    if ops & {
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "ConvInteger",
        "QLinearConv",
    }:
        return "int8"
    if "MatMulNBits" in ops:
        return "int4"
    return "fp16" if kinds and kinds <= {"FLOAT16"} else "fp32"
