"""Makes an ONNX export worse on purpose, in six ways that change no answer. Imports onnx and numpy only."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OLD_OPSETS, OLD_IR = (9, 10, 11, 12), 6
"""All are older than what per-channel quantization needs, 13."""
IN_DOUBLE = ("Relu", "Add", "Sigmoid", "Clip", "Softmax")
"""Operators that run in double precision, too."""


def weights_as_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every weight is listed as an input, too, so that nothing that depends on it can be folded."""
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    return model


def unfolded_batch_norm(model: onnx.ModelProto) -> onnx.ModelProto:
    """A batch norm behind every convolution, whose statistics the convolution's weights undo."""
    graph, random = model.graph, np.random.default_rng(0)
    weights = {w.name: w for w in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(graph.node):
        nodes.append(node)
        if node.op_type != "Conv" or not all(name in weights for name in node.input[1:]):
            continue
        kernels = numpy_helper.to_array(weights[node.input[1]])
        count = len(kernels)
        bias = numpy_helper.to_array(weights[node.input[2]]) if len(node.input) > 2 else np.zeros(count, np.float32)
        gain, variance = random.uniform(0.5, 2, (2, count))
        shift, mean = random.normal(0, 1, (2, count))
        undone = np.sqrt(variance + 1e-5) / gain
        arrays = {"weight": kernels * undone.reshape(-1, *[1] * (kernels.ndim - 1)), "bias": (bias - shift) * undone + mean,
                  "gain": gain, "shift": shift, "mean": mean, "variance": variance}  # fmt: skip
        for part, values in arrays.items():
            graph.initializer.append(named(values, f"spoiled{place}.{part}"))
        after, inner = node.output[0], f"spoiled{place}.out"
        del node.input[1:]
        node.input.extend(f"spoiled{place}.{part}" for part in ("weight", "bias"))
        node.output[0] = inner
        parts = [f"spoiled{place}.{part}" for part in ("gain", "shift", "mean", "variance")]
        nodes.append(helper.make_node("BatchNormalization", [inner, *parts], [after], name=f"spoiled{place}.norm", epsilon=1e-5))
    replace(graph, nodes)
    return without_unused(model)


def dynamic_axes(model: onnx.ModelProto) -> onnx.ModelProto:
    """No axis of an input, and none of an output, has a size."""
    for value in [*model.graph.input, *model.graph.output]:
        for place, size in enumerate(value.type.tensor_type.shape.dim):
            size.dim_param = size.dim_param or ("batch" if place == 0 else f"{value.name}_{place}")
    del model.graph.value_info[:]
    return model


def float64_islands(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every second operator of those that can is computed in double precision, between two casts."""
    found, nodes, changed = 0, [], list(model.graph.node)
    weights = {w.name for w in model.graph.initializer}
    for place, node in enumerate(changed):
        found += node.op_type in IN_DOUBLE
        if node.op_type not in IN_DOUBLE or found % 2 == 0 or weights & {*node.input}:
            nodes.append(node)
            continue
        wide = {name: f"wide{place}.{number}" for number, name in enumerate(dict.fromkeys(n for n in node.input if n))}
        nodes += [helper.make_node("Cast", [name], [cast], to=TensorProto.DOUBLE) for name, cast in wide.items()]
        after = node.output[0]
        for number, name in enumerate(node.input):
            node.input[number] = wide.get(name, name)
        node.output[0] = f"wide{place}.out"
        nodes += [node, helper.make_node("Cast", [f"wide{place}.out"], [after], to=TensorProto.FLOAT)]
    replace(model.graph, nodes)
    del model.graph.value_info[:]
    return model


def duplicated_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Where a convolution's output goes to several operators, each gets a convolution with weights of its own; where none does,
    every weight is stored twice."""
    graph = model.graph
    weights, makers = {w.name: w for w in graph.initializer}, {o: n for n in graph.node for o in n.output}
    uses = Counter(name for node in graph.node for name in node.input)
    outputs, copies = {o.name for o in graph.output}, 0
    nodes: list[onnx.NodeProto] = []

    def copied(value: str) -> tuple[str, list[onnx.NodeProto]]:
        """The value from a convolution of its own, through an activation if there is one; nothing to copy: itself."""
        maker, tag = makers.get(value), f"copy{copies}"
        if maker is None or maker.op_type not in ("Conv", "Relu") or not all(name in weights for name in maker.input[1:]):
            return value, []
        before: list[onnx.NodeProto] = []
        first = maker.input[0]
        if maker.op_type == "Relu":
            first, before = copied(first)
            if not before:
                return value, []
        twin = onnx.NodeProto()
        twin.CopyFrom(maker)
        twin.name, twin.input[0], twin.output[0] = f"{tag}.{maker.op_type}", first, f"{tag}.{value}"
        for number, name in enumerate(maker.input[1:], 1):
            graph.initializer.append(named(numpy_helper.to_array(weights[name]), f"{tag}.{name}"))
            twin.input[number] = f"{tag}.{name}"
        return twin.output[0], [*before, twin]

    seen: set[str] = set()
    for node in graph.node:
        for number, name in enumerate(node.input):
            if uses[name] > 1 and name in seen and name not in outputs:
                node.input[number], before = copied(name)
                copies, nodes = copies + bool(before), nodes + before
            seen.add(name)
        nodes.append(node)
    replace(graph, nodes)
    if not copies:
        graph.initializer.extend([named(numpy_helper.to_array(w), f"twin.{w.name}") for w in weights.values()])
    return model


def old_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """The oldest of `OLD_OPSETS` whose definitions the model's operators meet as they are, in a file format as old. (ONNX's own
    converter goes back for few operators.) Whether they still mean the same, the answers must show.

    Raises:
        ValueError: they meet none of them.
    """
    model.ir_version = OLD_IR
    declared = next(o for o in model.opset_import if o.domain == "")
    for opset in OLD_OPSETS:
        declared.version = opset
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError:
            continue
        return model
    raise ValueError(f"the model's operators are of none of the opsets {', '.join(map(str, OLD_OPSETS))}")


def named(values: NDArray[np.generic], name: str) -> onnx.TensorProto:
    single = values.astype(np.float32) if values.dtype == np.float64 else values
    return numpy_helper.from_array(np.ascontiguousarray(single), name)


def replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    used = {name for node in model.graph.node for name in node.input}
    kept = [w for w in model.graph.initializer if w.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


WAYS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "weights-as-inputs": weights_as_inputs, "unfolded-batch-norm": unfolded_batch_norm, "dynamic-axes": dynamic_axes,
    "float64-islands": float64_islands, "duplicated-weights": duplicated_weights, "old-opset": old_opset,
}  # fmt: skip
"""Each changes the model that it is given, and returns it or another."""
