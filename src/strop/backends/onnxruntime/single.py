"""Float64 inside of an ONNX model whose inputs and outputs have fewer bits, computed in float32. Child side."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from strop_child import onnx_file
from strop_child.onnx_faults import nested

FLOAT_MAX, FLOAT_TINY = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
TYPED = {"dtype", "output_datatype", "stash_type"}
"""Attributes that name an element type, besides that of a Cast."""


def narrow_float64(model: onnx.ModelProto) -> str:
    """Float64 inside the graph becomes float32; returns why not, where it cannot be done, and then nothing is changed."""
    graphs = [model.graph, *nested(model.graph)]
    named = [a for node, a in _attributes(model.graph) if names_float64(node, a)]
    tensors = [w for g in graphs for w in g.initializer if w.data_type == TensorProto.DOUBLE]
    tensors += [a.t for _, a in _attributes(model.graph) if a.t.data_type == TensorProto.DOUBLE]
    if not (tensors or named):
        return ""
    if why := why_not(model, tensors):
        return why
    for tensor in tensors:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for attribute in named:
        attribute.i = TensorProto.FLOAT
    for info in (v for g in graphs for v in (*g.value_info, *g.input, *g.output)):
        if info.type.tensor_type.elem_type == TensorProto.DOUBLE:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    return ""


def _attributes(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.AttributeProto]]:
    for node in onnx_file.nodes(graph):
        for attribute in node.attribute:
            yield node, attribute


def names_float64(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> bool:
    """Whether it says that the node gives float64."""
    typed = attribute.name in TYPED or (node.op_type, attribute.name) == ("Cast", "to")
    return typed and attribute.i == TensorProto.DOUBLE


def why_not(model: onnx.ModelProto, tensors: list[TensorProto]) -> str:
    """Why float64 has to stay; empty where it does not."""
    if any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in (*model.graph.input, *model.graph.output)):
        return "inputs or outputs have it"
    for node, attribute in _attributes(model.graph):
        held = [t for t in (attribute.t, *attribute.tensors) if t.data_type == TensorProto.DOUBLE]
        if held and (attribute.tensors or node.domain not in ("", "ai.onnx")):
            return f"it is part of {node.op_type}, which is no standard operator"
    if model.functions:
        return "the model has functions of its own"
    if any(t.data_location == TensorProto.EXTERNAL for t in tensors):
        return "its weights are in large files of their own"
    return "" if all(fits_float32(numpy_helper.to_array(t)) for t in tensors) else "float32 does not hold one of its constants"


def fits_float32(values: Any) -> bool:
    """Whether no finite value overflows, and none but 0 vanishes."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    return bool(size.size == 0 or (size.max() <= FLOAT_MAX and size.min() >= FLOAT_TINY))
