"""An OpenVINO IR: the graph of its .xml, and constants in its .bin, of which sizes are checked and values not read."""

import os
from collections.abc import Collection
from typing import NamedTuple

from strop_child.inspector import ir_costs
from strop_child.inspector.answer import Answer, Layer, Port, Shape, counted, modality_of, product
from strop_child.inspector.ir_tables import BITS, Body, Node, constant, read
from strop_child.inspector.members import size_of
from strop_child.refusal import ModelError

SEQUENCE = 128
NAMES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "boolean": "bool"}
DEEP = 20
"""Nodes between a layer and its weight, at most: a longer chain is no sound graph."""
THROUGH = {"Convert", "Multiply", "Subtract", "Reshape", "FakeQuantize", "Transpose", "Squeeze", "Unsqueeze", "FakeConvert"}
"""Layers behind which a constant is still the same weight: conversion, decompression, layout."""


class Constant(NamedTuple):
    node: Node
    dtype: str
    shape: Shape
    bytes: int


class Graph:
    """A body with its constants, followed through what keeps them the same weight."""

    def __init__(self, body: Body, room: int, path: str) -> None:
        self.body = body
        self.constants = {n.id: Constant(n, *constant(n, room, path)) for n in body.nodes.values() if n.kind == "Const"}

    def source(self, node: Node, place: int) -> Node | None:
        """What comes in at an input."""
        if len(node.inputs) <= place:
            return None
        found = self.body.edges.get((node.id, node.inputs[place]))
        return self.body.nodes.get(found[0]) if found else None

    def weight(self, node: Node, place: int) -> Constant | None:
        """The constant behind an input, or None."""
        at = self.behind(node, place, THROUGH)
        return self.constants.get(at.id) if at is not None else None

    def behind(self, node: Node, place: int, kinds: Collection[str]) -> Node | None:
        """The node that an input comes from, seen through nodes of these kinds; None where they never end."""
        at = self.source(node, place)
        for _ in range(DEEP):
            if at is None or at.id in self.constants or at.kind not in kinds:
                return at
            at = self.source(at, 0)
        return None

    def aside(self) -> set[str]:
        """Constants that only help: scales and zero points of decompression, limits of quantization and clamping."""
        found: set[str] = set()
        for node in self.body.nodes.values():
            places: range | tuple[int, ...] = ()
            if node.kind == "FakeQuantize":
                places = range(1, len(node.inputs))
            elif node.kind in ("Multiply", "Subtract") and self._decompresses(node):
                places = (1,)
            for place in places:
                at = self.behind(node, place, ("Convert", "Reshape"))
                if at is not None and at.id in self.constants:
                    found.add(at.id)
        return found

    def _decompresses(self, node: Node) -> bool:
        """Its first input is a constant of few bits, converted."""
        found = self.weight(node, 0)
        return found is not None and BITS.get(found.dtype, 32) <= 8


def inspect(path: str) -> Answer:
    """What the .xml and the .bin beside it hold.

    Raises:
        ModelError: damaged, or the .bin is missing.
    """
    name, bodies = read(path)
    beside = os.path.splitext(path)[0] + ".bin"
    if os.path.islink(beside) and os.path.dirname(os.path.realpath(beside)) != os.path.dirname(os.path.realpath(path)):
        raise ModelError(f"{beside}: a link out of the model's folder", "copy the file itself")
    if not os.path.isfile(beside):
        raise ModelError(f"{path}: its weights {os.path.basename(beside)!r} are missing", "copy them beside it")
    room = size_of(beside)
    graphs = [Graph(body, room, path) for body in bodies]
    answer = Answer(format="openvino-ir", architecture=name)
    answer.files = {os.path.basename(path): size_of(path), os.path.basename(beside): room}
    _describe(answer, graphs)
    return answer


def _describe(answer: Answer, graphs: list[Graph]) -> None:
    nodes = [n for g in graphs for n in g.body.nodes.values()]
    answer.operators = counted(n.kind for n in nodes if n.kind not in ("Const", "Parameter", "Result"))
    main = graphs[0].body.nodes.values()
    answer.inputs = [_port(n, n.outputs) for n in main if n.kind == "Parameter"]
    answer.outputs = [_port(n, n.inputs) | _given_name(graphs[0], n) for n in main if n.kind == "Result"]
    answer.modality = modality_of(answer.inputs)
    given = {str(p["name"]) for p in answer.inputs}
    stateful = answer.operators.get("ReadValue", 0) and "beam_idx" in given
    answer.family = "llm" if "input_ids" in given and (stateful or any("past" in n for n in given)) else "tensor"
    for graph in graphs:
        aside = graph.aside()
        for found in graph.constants.values():
            many = product(found.shape)
            dtype = dtype_name(found.dtype)
            answer.store(dtype, many, found.bytes)
            counts = (found.dtype.startswith(("f", "bf", "nf")) or BITS.get(found.dtype, 64) <= 8) and found.dtype != "boolean"
            answer.parameters += many if counts and many > 1 and found.node.id not in aside else 0
    answer.layers = [layer for g in graphs for n in g.body.nodes.values() if (layer := _layer(g, n)) is not None]
    answer.quantized = _quantized(answer, graphs)
    _assume(answer, graphs)
    ir_costs.count(answer, [g.body for g in graphs])


def dtype_name(kind: str) -> str:
    """`i8` → int8, `u4` → uint4; others as they are."""
    if kind in NAMES:
        return NAMES[kind]
    return {"i": "int", "u": "uint"}[kind[0]] + kind[1:] if kind[:1] in "iu" and kind[1:].isdigit() else kind


def _port(node: Node, ports: list[str]) -> Port:
    port = ports[0] if ports else ""
    shape = [None if s < 0 else s for s in node.ports.get(port, [])]
    name = (node.names.get(port, "") if node.kind == "Parameter" else "") or node.name
    return {"name": name, "dtype": dtype_name(node.precisions.get(port, "")), "shape": shape}


def _given_name(graph: Graph, node: Node) -> Port:
    """An output's name stands at the port that gives it; a Result has only a number."""
    place = graph.body.edges.get((node.id, node.inputs[0])) if node.inputs else None
    source = graph.body.nodes.get(place[0]) if place else None
    name = source.names.get(place[1], "") if source and place else ""
    return {"name": name} if name else {}


def _layer(graph: Graph, node: Node) -> Layer | None:
    role = ir_costs.WEIGHTED.get(node.kind)
    places = (0,) if role == "embedding" else (1, 0) if node.kind == "MatMul" else (1,)
    if role == "recurrent":
        places = (4, 2) if "Sequence" in node.kind else (3, 2)
    found = next((w for p in places if (w := graph.weight(node, p)) is not None), None) if role else None
    if role is None or found is None or (role == "embedding" and (len(found.shape) < 2 or found.dtype in ("i64", "i32"))):
        return None
    shape, inner = found.shape, None
    if node.kind.startswith("Group") and len(shape) > 2 and shape[1] == 1 and shape[2] == 1 and shape[0] > 1:
        role = "depthwise"
    if role == "embedding":
        inner = shape[-1]
    if role == "linear" and len(shape) >= 2:
        flipped = node.attributes.get("transpose_b", "false").lower() in ("true", "1")
        inner = (product(shape[1:]) if len(shape) > 2 else shape[-1]) if flipped else shape[-2]
    return Layer(role, node.kind, node.name, shape, product(shape), inner)


def _quantized(answer: Answer, graphs: list[Graph]) -> str | None:
    widths = {c.dtype for g in graphs for c in g.constants.values() if BITS.get(c.dtype, 32) <= 8 and product(c.shape) > 64}
    widths -= {"boolean"}
    if answer.operators.get("FakeQuantize"):
        return "int8 (FakeQuantize)"
    smallest = min(widths, key=lambda k: (BITS[k], k), default=None)
    return f"{dtype_name(smallest)} (weights only)" if smallest else None


def _assume(answer: Answer, graphs: list[Graph]) -> None:
    """Sizes for dynamic axes, by their place: the first is the batch, others are a text's tokens."""
    for port in answer.inputs:
        for axis, size in enumerate(port["shape"]):
            if size is None:
                answer.assumed[f"{port['name']}:{axis}"] = _size(axis, answer.modality)
    dynamic = False
    for graph in graphs:
        for node in graph.body.nodes.values():
            for axes in node.ports.values():
                dynamic |= any(s < 0 for s in axes)
                axes[:] = [_size(i, answer.modality) if s < 0 else s for i, s in enumerate(axes)]
    if dynamic:
        answer.notes.append("an IR names no axes: each dynamic one is taken for batch or tokens by its place")


def _size(axis: int, modality: str) -> int:
    return SEQUENCE if axis > 0 and modality == "text" else 1
