"""Reading an ONNX file: what it is, whether it is whole, safe and supported. Child side."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from strop_child.ranges import declared
from strop_child.refusal import ModelError

WEIGHTED = {"Conv", "ConvTranspose", "MatMul", "Gemm", "Gather"}
PASSING = {"Identity", "Cast", "Squeeze", "QuantizeLinear", "DequantizeLinear"}
"""Operators behind which an output still is what it was."""
CONTRIBUTED = {"com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "ai.onnx.training", "com.ms.internal.nhwc"}


def describe(path: str) -> dict[str, Any]:
    """Everything the parent needs to know, as plain values."""
    from strop_child import onnx_faults  # which reads files with what stands here

    model = load(path)
    graph = model.graph
    names = {i.name for i in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    files = [os.path.basename(path), *external_files(model, path)]
    check_operators(model)
    inputs = [_spec(v) for v in graph.input if v.name not in names]
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
        "outputs": [_spec(v) for v in graph.output],
        "parameters": sum(_size(i.dims) for i in graph.initializer),
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
    """External data must be regular files inside the model's own folder, and long enough."""
    folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
    for tensor, entry in _external(model):
        where = entry.get("location", "")
        full = os.path.realpath(os.path.join(folder, where))
        inside = os.path.commonpath([folder, full]) == folder
        linked = os.path.islink(os.path.join(folder, where))
        if not where or os.path.isabs(where) or ".." in where.replace("\\", "/").split("/") or not inside or linked:
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


def _spec(value: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"{value.name!r} is no tensor", "sequences, maps and optionals are not supported")
    dims = [dim(d) for d in kind.shape.dim]
    return {"name": value.name, "dtype": str(helper.tensor_dtype_to_np_dtype(kind.elem_type)), "shape": dims}


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
