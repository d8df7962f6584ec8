"""The classes of an ONNX classifier in the order of its scores, read from the node that names the class. Child side."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto, numpy_helper

ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints", "classes_strings", "cats_strings")
"""Where the operators of ai.onnx.ml keep the classes, in the order of their scores."""
LOOKUPS = ("values_strings", "values_int64s")
"""What a LabelEncoder makes of the position of the highest score."""
PASSING = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
NAMES = (TensorProto.INT64, TensorProto.INT32, TensorProto.STRING)
FEW = 100_000


def class_labels(graph: onnx.GraphProto) -> list[str]:
    """The classes as text, by the output that names the class of an example; empty where no output does, or nothing lists them.

    Exporters of scikit-learn write the class as it stood in the labels, such as 1, 2, 3 or "cat", "dog"; the scores are in the
    order of this list.
    """
    makers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for output in graph.output:
        if output.type.tensor_type.elem_type in NAMES:
            found = next(_listed(makers.get(output.name), makers, weights), None)
            if found:
                return found
    return []


def _listed(
    node: onnx.NodeProto | None, makers: dict[str, onnx.NodeProto], weights: dict[str, TensorProto]
) -> Iterator[list[str]]:
    """What the node that makes a class lists, behind nodes that only reshape or convert it."""
    for _ in range(20):  # an exporter writes two or three of them
        if node is None or node.op_type not in PASSING or not node.input:
            break
        node = makers.get(node.input[0])
    if node is None:
        return
    attributes = {a.name: a for a in node.attribute}
    for name in (*ATTRIBUTES, *(LOOKUPS if node.op_type == "LabelEncoder" else ())):
        held = attributes.get(name)
        if held is not None and (held.strings or held.ints):
            yield [text.decode("utf-8", "replace") for text in held.strings] or [str(number) for number in held.ints]
    tensor = weights.get(node.input[0]) if node.op_type == "ArrayFeatureExtractor" and node.input else None
    if tensor is not None and tensor.data_location != TensorProto.EXTERNAL and len(tensor.dims) < 3:
        values = numpy_helper.to_array(tensor).ravel()[:FEW]
        yield [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist()]
