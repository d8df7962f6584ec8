"""An ONNX model whose examples lie along another axis than the first, with transpositions so that they come first. Child side."""

import os
import shutil
from collections.abc import Callable

import onnx
from onnx import helper

from strop_child import onnx_file
from strop_child.refusal import ModelError


def rewrite(path: str, out_dir: str, axes: dict[str, int]) -> str:
    """Writes the model with a Transpose at every input and output named in `axes` (name → the axis that holds the examples).

    Outputs that are not named follow: an axis of the same name as the inputs' examples is theirs. Returns the file's name.
    """
    model = onnx_file.load(path)
    graph = model.graph
    for name in onnx_file.external_files(model, path):
        os.makedirs(os.path.dirname(os.path.join(out_dir, name)), exist_ok=True)
        shutil.copyfile(os.path.join(os.path.dirname(os.path.abspath(path)), name), os.path.join(out_dir, name))
    weights = {i.name for i in graph.initializer}
    inputs = {i.name: i for i in graph.input if i.name not in weights}
    outputs = {o.name: o for o in graph.output}
    for name, axis in axes.items():
        value = inputs.get(name) or outputs.get(name)
        if value is None:
            raise ModelError(f"--batch-axis {name}={axis}: the model has no {name!r}", f"it has {', '.join([*inputs, *outputs])}")
        rank = len(value.type.tensor_type.shape.dim)
        if not 0 <= axis < rank:
            raise ModelError(f"--batch-axis {name}={axis}: {name!r} has axes 0 to {rank - 1}", "name one of them")
    moved = {name: axis for name, axis in axes.items() if axis}
    for name in moved.keys() & inputs.keys():
        if name in outputs:
            raise ModelError(f"--batch-axis {name}: it is an input and an output", "put a Transpose before it yourself")
    named = {_dims(inputs[n])[axis] for n, axis in axes.items() if n in inputs} - {""}
    for name, output in outputs.items():
        at = next((k for k, dim in enumerate(_dims(output)) if dim in named), 0)
        if name not in axes and at:
            moved[name] = at
    for name, axis in moved.items():
        _move(graph, (inputs.get(name) or outputs[name]), axis, name in inputs)
    file = os.path.basename(path)
    onnx.save(model, os.path.join(out_dir, file))
    return file


def _dims(value: onnx.ValueInfoProto) -> list[str]:
    """The names of its axes, empty where one has none."""
    return [dim.dim_param for dim in value.type.tensor_type.shape.dim]


def _move(graph: onnx.GraphProto, value: onnx.ValueInfoProto, axis: int, is_input: bool) -> None:
    """One Transpose; inside, the value goes by another name."""
    name, shape = value.name, value.type.tensor_type.shape
    inner = f"{name}_as_given"
    taken = {n for node in onnx_file.nodes(graph) for n in (*node.input, *node.output)}
    while inner in taken:
        inner += "_"
    _rename(graph, lambda used: inner if used == name else used)
    dims = [onnx.TensorShapeProto.Dimension.FromString(d.SerializeToString()) for d in shape.dim]
    del shape.dim[:]
    shape.dim.extend([dims[axis], *dims[:axis], *dims[axis + 1 :]])
    others = [k for k in range(len(dims)) if k != axis]
    if is_input:
        order = [0 if k == axis else 1 + others.index(k) for k in range(len(dims))]
        graph.node.insert(0, helper.make_node("Transpose", [name], [inner], name=f"{inner}/transpose", perm=order))
    else:
        graph.node.append(helper.make_node("Transpose", [inner], [name], name=f"{inner}/transpose", perm=[axis, *others]))


def _rename(graph: onnx.GraphProto, rename: Callable[[str], str]) -> None:
    """A value's new name wherever nodes use or make it, those of nested graphs too."""
    for node in onnx_file.nodes(graph):
        for names in (node.input, node.output):
            names[:] = [rename(name) for name in names]
        for attribute in node.attribute:
            for nested in (attribute.g, *attribute.graphs):
                for output in nested.output:
                    output.name = rename(output.name)
    for info in graph.value_info:
        info.name = rename(info.name)
