"""What makes a model's answers from its last features, and stays in floating point. Child side.

Eight bits are enough for features and too few for answers: a softmax rounded to steps of 1/255 gives most classes the probability
0, and logits of one range share 256 values. Neither changes which class comes first, so that an accuracy does not see it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import onnx
from onnx import GraphProto, NodeProto

PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
FLOAT_RESULTS = ("MatMul", "Gemm")
"""Products of which ONNX Runtime has kernels with quantized operands and a result in floating point."""
AVERAGES = ("GlobalAveragePool", "AveragePool", "ReduceMean")
ENDS_WALK = ("LSTM", "GRU", "RNN", "If", "Loop", "Scan")
HEAVY = 0.25
"""Convolutions that make answers and hold more than this share of the weights are quantized all the same."""


class Ending(NamedTuple):
    """left: names of nodes left in floating point. results: of products whose operands are quantized and whose result is not."""

    left: tuple[str, ...]
    results: tuple[str, ...]


def ending(graph: GraphProto) -> Ending:
    """The nodes from what makes the answers' values up to the outputs: a product, an average, or a sum of two branches.

    Found by the graph alone, with or without a softmax behind. Every node must have a name.

    Example:
        >>> ending(graph)  # Conv, Relu, GlobalAveragePool, Flatten, Softmax
        Ending(left=('prob', 'pool10.flat', 'pool10'), results=())
    """
    makers = {name: node for node in graph.node for name in node.output}
    weights = _constants(graph)
    waiting, seen = [o.name for o in graph.output], set[str]()
    left, results, convolutions = list[str](), list[str](), list[NodeProto]()
    while waiting:
        node = makers.get(waiting.pop(0))
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        variable = [name for name in node.input if name and name not in weights]
        if node.op_type in FLOAT_RESULTS and len(variable) == 1:
            results.append(node.name)
        elif node.op_type in ("Conv", "ConvTranspose"):
            convolutions.append(node)
        else:
            left.append(node.name)
            if not _makes_values(node, variable):
                waiting += variable
    whole = sum(_size(n, weights) for n in graph.node)
    light = sum(_size(n, weights) for n in convolutions) <= HEAVY * whole
    return Ending((*left, *(n.name for n in convolutions if light)), tuple(results))


def _makes_values(node: NodeProto, variable: list[str]) -> bool:
    """Whether a node makes new values of features, rather than choosing, scaling or normalizing those that are there."""
    branches = node.op_type == "Add" and len(variable) > 1
    return node.op_type in (*PRODUCTS, *AVERAGES, *ENDS_WALK) or node.domain not in ("", "ai.onnx") or branches


def _constants(graph: GraphProto) -> dict[str, int]:
    """Names of values that no input reaches, and how many numbers the stored ones hold."""
    found = {i.name: math.prod(i.dims) for i in graph.initializer}
    for node in graph.node:
        if all(not name or name in found for name in node.input):
            found |= dict.fromkeys(node.output, 0)
    return found


def _size(node: NodeProto, weights: dict[str, int]) -> int:
    """Numbers in a product's weights."""
    return sum(weights.get(name, 0) for name in node.input[1:2]) if node.op_type in PRODUCTS else 0


def float_results(path: str, names: tuple[str, ...]) -> None:
    """Takes the pair of QuantizeLinear and DequantizeLinear behind these nodes out of the quantized model at `path`."""
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    outputs = {o.name for o in graph.output}
    for node in [n for n in graph.node if n.name in names]:
        for pair in list(_rounding(graph, node.output[0])):
            before, after = node.output[0], pair[1].output[0]
            kept, gone = (after, before) if after in outputs else (before, after)
            for one in pair:
                graph.node.remove(one)
            for other in graph.node:
                _rename(other, gone, kept)
    onnx.save(model, path)


def _rounding(graph: GraphProto, value: str) -> Iterator[tuple[NodeProto, NodeProto]]:
    """The pair that rounds a value, where nothing else reads the rounded one."""
    for quantize in [n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == value]:
        readers = [n for n in graph.node if quantize.output[0] in n.input]
        if len(readers) == 1 and readers[0].op_type == "DequantizeLinear":
            yield quantize, readers[0]


def _rename(node: NodeProto, old: str, new: str) -> None:
    for names in (node.input, node.output):
        for place, name in enumerate(names):
            if name == old:
                names[place] = new
