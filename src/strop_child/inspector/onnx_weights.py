"""Constants of an ONNX graph: which are parameters, how they are stored, and which operator each belongs to."""

from collections.abc import Iterator
from typing import NamedTuple

import onnx
from onnx import TensorProto, numpy_helper

from strop_child.inspector.answer import Answer, Layer, Shape, product
from strop_child.onnx_file import dtype_name, nodes

BITS = {"float64": 64, "int64": 64, "uint64": 64, "complex64": 64, "complex128": 128, "float32": 32, "int32": 32, "uint32": 32,
        "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16, "int4": 4, "uint4": 4, "float4_e2m1": 4, "int2": 2,
        "uint2": 2}  # fmt: skip
NO_WEIGHTS = {
    "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2), "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7), "QLinearMul": (1, 2, 4, 5, 6, 7), "QLinearConcat": (0, 1), "QLinearSigmoid": (1, 2, 3, 4),
    "QLinearGlobalAveragePool": (1, 2, 3, 4), "QLinearAveragePool": (1, 2, 3, 4), "QLinearLeakyRelu": (1, 2, 3, 4),
    "QLinearSoftmax": (1, 2, 3, 4), "QGemm": (1, 2, 4, 5, 7, 8), "ConvInteger": (2, 3), "MatMulInteger": (2, 3),
    "DynamicQuantizeMatMul": (2, 3), "MatMulIntegerToFloat": (2, 3, 4, 5), "MatMulNBits": (2, 3, 4),
    "GatherBlockQuantized": (2, 3), "QAttention": (3, 4, 6, 7), "Clip": (1, 2), "Resize": (1, 2, 3), "Upsample": (1,),
    "Pad": (1, 2, 3), "Dropout": (1, 2), "Pow": (1,), "Reshape": (1,), "Slice": (1, 2, 3, 4), "OneHot": (1, 2),
}  # fmt: skip
"""Inputs that are no parameters: scales, zero points, limits, shapes."""
BIASES = {"QLinearConv": 8, "DequantizeLinear": 0, "QGemm": 6}
"""Inputs by which 32-bit integers are parameters: quantized biases."""
THROUGH = {"DequantizeLinear", "QuantizeLinear", "Cast", "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze"}
"""Operators behind which a constant is still the same weight."""
PACKED = {"MatMulNBits": 1, "GatherBlockQuantized": 0}
WEIGHT = {
    "Conv": (1, 2), "FusedConv": (1, 2), "ConvTranspose": (1, 2), "ConvInteger": (1, -1), "QLinearConv": (3, 8),
    "MatMul": (1, -1), "MatMulInteger": (1, -1), "DynamicQuantizeMatMul": (1, 4), "MatMulIntegerToFloat": (1, 6),
    "QLinearMatMul": (3, -1), "FusedMatMul": (1, -1), "Gemm": (1, 2), "FusedGemm": (1, 2), "QGemm": (3, 6),
    "MatMulNBits": (1, 5), "Gather": (0, -1), "GatherBlockQuantized": (0, -1), "RNN": (1, 3), "LSTM": (1, 3), "GRU": (1, 3),
    "BatchNormalization": (1, 2), "LayerNormalization": (1, 2), "InstanceNormalization": (1, 2), "GroupNormalization": (1, 2),
    "SkipLayerNormalization": (2, 3), "SimplifiedLayerNormalization": (1, -1), "SkipSimplifiedLayerNormalization": (2, -1),
    "RMSNormalization": (1, -1), "Attention": (1, 2), "QAttention": (1, 2),
}  # fmt: skip
"""Operator → where its weight and its bias go in."""


class Constant(NamedTuple):
    """A weight as its operator sees it; `name` is of the tensor that holds its values."""

    name: str
    dtype: str
    shape: Shape
    elements: int


def tensors_of(graph: onnx.GraphProto) -> list[TensorProto]:
    """Initializers of the graph and of those nested in it: the branches of an If, the body of a Loop."""
    inner = [g for n in nodes(graph) for a in n.attribute for g in (a.g, *a.graphs) if g.node or g.initializer]
    return [tensor for g in (graph, *inner) for tensor in g.initializer]


class Weights:
    """All constants of a graph, its nested graphs and local functions included."""

    def __init__(self, nodes: list[onnx.NodeProto], tensors: list[TensorProto]) -> None:
        self.constants: dict[str, Constant] = {}
        self.sizes: dict[str, int] = {}
        self.scalars: set[str] = set()
        self.numbers: dict[str, list[int]] = {}
        self.initializers = {t.name for t in tensors}
        for tensor in tensors:
            self._add(tensor)
        for node in nodes:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        attribute.t.name = node.output[0]
                        self._add(attribute.t)
        self.own = dict(self.constants)
        self._unpack(nodes)
        self._follow(nodes)
        self.aside, self.biases = self._uses(nodes)

    def _add(self, tensor: TensorProto) -> None:
        dtype = dtype_name(tensor.data_type)
        many = product(tensor.dims)
        self.constants[tensor.name] = Constant(tensor.name, dtype, tuple(tensor.dims), many)
        self.sizes[tensor.name] = -(-many * BITS.get(dtype, 8) // 8)
        if not tensor.dims:
            self.scalars.add(tensor.name)
        if dtype == "int64" and many <= 16 and tensor.data_location != TensorProto.EXTERNAL:
            self.numbers[tensor.name] = [int(v) for v in numpy_helper.to_array(tensor).ravel()]

    def _unpack(self, nodes: list[onnx.NodeProto]) -> None:
        """Weights of MatMulNBits: bytes in blocks of rows that stand for N × K values."""
        for node in nodes:
            place = PACKED.get(node.op_type)
            if place is None or len(node.input) <= place or node.input[place] not in self.own:
                continue
            sizes = {a.name: a.i for a in node.attribute}
            bits = sizes.get("bits", 4)
            found = self.own[node.input[place]]
            shape = (sizes["N"], sizes["K"]) if {"N", "K"} <= sizes.keys() else found.shape
            if found.dtype != "uint8" or bits not in (1, 2, 3, 4, 5, 6, 7, 8) or product(shape) > found.elements * 8 // bits:
                continue
            self.own[found.name] = self.constants[found.name] = Constant(found.name, f"uint{bits}", shape, product(shape))

    def _follow(self, nodes: list[onnx.NodeProto]) -> None:
        """Names behind casts, transpositions and dequantization are the same weight, in its new shape where that is simple."""
        for node in nodes:
            if node.op_type in THROUGH and node.input and node.input[0] in self.constants and node.output:
                source = self.constants[node.input[0]]
                self.constants[node.output[0]] = source._replace(shape=self._reshaped(node, source))

    def _reshaped(self, node: onnx.NodeProto, source: Constant) -> Shape:
        shape = source.shape
        if node.op_type == "Transpose":
            order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(range(len(shape)))[::-1])
            return tuple(shape[i] for i in order) if sorted(order) == list(range(len(shape))) else shape
        if node.op_type == "Reshape" and len(node.input) > 1:
            sizes = self.numbers.get(node.input[1], [])
            sizes = [shape[i] if s == 0 and i < len(shape) else s for i, s in enumerate(sizes)]
            rest = product(s for s in sizes if s > 0)
            sizes = [source.elements // rest if s == -1 else s for s in sizes]
            return tuple(sizes) if sizes and product(sizes) == source.elements else shape
        return shape

    def _uses(self, nodes: list[onnx.NodeProto]) -> tuple[set[str], set[str]]:
        """Tensors that only help (scales, limits), and those that are quantized biases."""
        aside: set[str] = set()
        biases: set[str] = set()
        used: set[str] = set()
        for node in nodes:
            for place, name in enumerate(node.input):
                if name in self.own:
                    (aside if place in NO_WEIGHTS.get(node.op_type, ()) else used).add(name)
                    if BIASES.get(node.op_type) == place:
                        biases.add(name)
        return aside - used, biases

    def is_parameter(self, found: Constant) -> bool:
        """Floats and quantized values that a node computes with; integers are shapes and indices, scalars arithmetic."""
        if found.name in self.aside or found.name in self.scalars:
            return False
        if found.name not in self.initializers and found.elements == 1:
            return False
        if found.dtype in ("int32", "int16", "uint16"):
            return found.name in self.biases
        return found.dtype not in ("int64", "uint64", "uint32", "bool", "string", "complex64", "complex128", "undefined")

    def fill(self, answer: Answer) -> None:
        for found in self.own.values():
            answer.store(found.dtype, found.elements, self.sizes[found.name])
        answer.parameters += self.parameters

    @property
    def parameters(self) -> int:
        """Numbers that nodes compute with."""
        return sum(found.elements for found in self.own.values() if self.is_parameter(found))

    def layers(self, nodes: list[onnx.NodeProto]) -> Iterator[Layer]:
        """One for every node with a constant weight; what is shared has its parameters with the first node that uses it."""
        rows = {self.constants[n.input[0]].shape[0] for n in nodes if self._embeds(n)}
        counted: set[str] = set()
        for node in nodes:
            places = WEIGHT.get(node.op_type)
            found = self._at(node, places[0]) if places else None
            if places is None or found is None or (node.op_type == "Gather" and not self._embeds(node)):
                continue
            bias = self._at(node, places[1]) if places[1] >= 0 else None
            more = self._at(node, 2) if node.op_type in ("RNN", "LSTM", "GRU") else None
            role, inner = _role(node, found.shape, rows)
            own = {part.name: part.elements for part in (found, bias, more) if part is not None and part.name not in counted}
            many = sum(own.values())  # a weight that several nodes share counts with the first of them
            counted |= own.keys()
            yield Layer(role, node.op_type, (node.name or node.output[0])[:200], found.shape, many, inner)

    def _at(self, node: onnx.NodeProto, place: int) -> Constant | None:
        return self.constants.get(node.input[place]) if len(node.input) > place else None

    def _embeds(self, node: onnx.NodeProto) -> bool:
        """A Gather from a table of floats or quantized values."""
        found = self._at(node, 0) if node.op_type in ("Gather", "GatherBlockQuantized") else None
        return found is not None and len(found.shape) == 2 and self.is_parameter(self.own[found.name])


def _role(node: onnx.NodeProto, shape: Shape, rows: set[int]) -> tuple[str, int | None]:
    """Role, and the size of the dimension that is quantized in groups."""
    kind = node.op_type
    attributes = {a.name: a for a in node.attribute}
    if "Conv" in kind:
        group = attributes["group"].i if "group" in attributes else 1
        return ("depthwise" if group > 1 and shape and group == shape[0] else "conv"), None
    if kind.startswith("Gather"):
        return "embedding", shape[-1]
    if kind in ("RNN", "LSTM", "GRU"):
        return "recurrent", shape[-1] if shape else None
    if "Norm" in kind:
        return "norm", None
    if len(shape) < 2:
        return "other", None
    flipped = (
        kind in ("Gemm", "FusedGemm", "QGemm") and "transB" in attributes and attributes["transB"].i
    ) or kind == "MatMulNBits"
    inner, outer = (shape[-1], shape[-2]) if flipped else (shape[-2], shape[-1])
    return ("head" if outer in rows and outer > 1 and "Gemm" not in kind else "linear"), inner
