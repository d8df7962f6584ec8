"""Layers and edges of an OpenVINO IR's XML, read event by event: no tree is built, entities and DTDs are refused."""

from dataclasses import dataclass, field
from typing import Any
from xml.sax.handler import ContentHandler

from strop_child.inspector.answer import Shape, product
from strop_child.inspector.members import size_of
from strop_child.refusal import ModelError

AGAIN = "convert or copy it again"
MOST_BYTES = 100 << 20
MOST_LAYERS, MOST_DEPTH, MOST_EVENTS = 100_000, 64, 1_000_000
BITS = {"f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "u64": 64, "i32": 32, "u32": 32, "i16": 16, "u16": 16, "i8": 8,
        "u8": 8, "boolean": 8, "i4": 4, "u4": 4, "nf4": 4, "u1": 1, "u2": 2, "u3": 3, "u6": 6, "f8e4m3": 8, "f8e5m2": 8,
        "f8e8m0": 8, "f4e2m1": 4}  # fmt: skip
WORDS = {"FP32": "f32", "FP16": "f16", "BF16": "bf16", "FP64": "f64", "BOOL": "boolean"}
"""Precisions of ports that are written otherwise than a constant's element type."""


@dataclass
class Node:
    """A layer. ports: dimensions of inputs and outputs by number, -1 where one is dynamic; depth: how deep it is nested."""

    id: str
    kind: str
    name: str
    depth: int
    attributes: dict[str, str] = field(default_factory=dict)
    ports: dict[str, list[int]] = field(default_factory=dict)
    precisions: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


@dataclass
class Body:
    """The network, or one nested in a layer. edges: (layer, port) that takes → (layer, port) that gives."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


class _Handler(ContentHandler):
    """Keeps layers, ports and edges; everything else passes by."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path, self.depth, self.events, self.name = path, 0, 0, ""
        self.bodies: list[Body] = []
        self.open: list[Body] = []
        self.nodes: list[Node] = []
        self.port, self.side, self.text, self.count = "", "", "", 0
        self.in_dim = False

    def refuse(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: damaged: {what}", AGAIN)

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - the name is SAX's
        self.depth += 1
        self.events += 1
        if self.depth > MOST_DEPTH or self.events > MOST_EVENTS:
            raise self.refuse("nested too deep" if self.depth > MOST_DEPTH else "too many elements")
        if self.depth == 1 and name != "net":
            raise ModelError(f"{self.path}: no OpenVINO IR: its root is <{name[:40]}>, <net> is expected", "give an IR's .xml")
        if name in ("net", "body", "then_body", "else_body") and (name != "net" or self.depth == 1):
            self.name = self.name or attrs.get("name", "")[:200]
            self.open.append(Body())
            self.bodies.append(self.open[-1])
        elif name == "layer":
            self._layer(attrs)
        elif name == "data" and self.nodes:
            self.nodes[-1].attributes.update((k[:60], v[:2000]) for k, v in attrs.items())
        elif name in ("input", "output"):
            self.side = name
        elif name == "port" and self.nodes and self.side:
            self._port(attrs)
        elif name == "dim":
            self.in_dim, self.text = True, ""
        elif name == "edge" and self.open:
            keys = (
                (attrs.get("to-layer", ""), attrs.get("to-port", "")),
                (attrs.get("from-layer", ""), attrs.get("from-port", "")),
            )
            self.open[-1].edges[keys[0]] = keys[1]

    def _layer(self, attrs: Any) -> None:
        if not self.open or "id" not in attrs or "type" not in attrs:
            raise self.refuse("a layer without id or type")
        self.count += 1
        node = Node(attrs.get("id", ""), attrs["type"][:80], attrs.get("name", "")[:200], len(self.open))
        if self.count > MOST_LAYERS or node.id in self.open[-1].nodes:
            raise self.refuse(f"more than {MOST_LAYERS} layers" if self.count > MOST_LAYERS else f"layer {node.id[:20]!r} twice")
        self.open[-1].nodes[node.id] = node
        self.nodes.append(node)

    def _port(self, attrs: Any) -> None:
        node, self.port = self.nodes[-1], attrs.get("id", "")
        node.ports[self.port] = []
        told = attrs.get("precision", "")
        node.precisions[self.port] = WORDS.get(told, told.lower()[:20])
        node.names[self.port] = attrs.get("names", "").split(",")[0][:200]
        (node.inputs if self.side == "input" else node.outputs).append(self.port)

    def characters(self, content: str) -> None:
        if self.in_dim:
            self.text += content[:40]
            if len(self.text) > 40:
                raise self.refuse("a dimension that is no number")

    def endElement(self, name: str) -> None:  # noqa: N802 - the name is SAX's
        self.depth -= 1
        if name == "dim":
            self.in_dim = False
            self._dimension()
        elif name in ("body", "then_body", "else_body") and len(self.open) > 1:
            self.open.pop()
        elif name == "layer" and self.nodes:
            self.nodes.pop()
            self.side = ""
        elif name in ("input", "output"):
            self.side = ""

    def _dimension(self) -> None:
        text = self.text.strip()
        if not text.lstrip("-").isdigit() or not -1 <= int(text) <= 1 << 40:
            raise self.refuse(f"a dimension {text!r}")
        if self.nodes and self.port in self.nodes[-1].ports:
            axes = self.nodes[-1].ports[self.port]
            axes.append(int(text))
            if len(axes) > 32:
                raise self.refuse("a port of more than 32 axes")


def read(path: str) -> tuple[str, list[Body]]:
    """Name and bodies of the network; the first is its own.

    Raises:
        ModelError: no IR, damaged, or with a DTD or entities.
    """
    from xml.sax import SAXException

    from defusedxml.common import DefusedXmlException
    from defusedxml.expatreader import DefusedExpatParser

    size = size_of(path)
    if size > MOST_BYTES:
        raise ModelError(f"{path}: {size / 1e6:.0f} MB of XML, at most {MOST_BYTES / 1e6:.0f} MB are read", AGAIN)
    handler = _Handler(path)
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setContentHandler(handler)
    try:
        with open(path, "rb") as f:
            while chunk := f.read(1 << 16):
                parser.feed(chunk)
            parser.close()
    except DefusedXmlException as error:
        raise ModelError(f"{path}: refused: a DTD or entities ({type(error).__name__})", "an IR needs none; " + AGAIN) from None
    except (SAXException, ValueError) as error:
        raise ModelError(f"{path}: damaged or truncated XML: {str(error).splitlines()[0][:120]}", AGAIN) from None
    if not handler.bodies or not handler.bodies[0].nodes:
        raise ModelError(f"{path}: no OpenVINO IR: no layers in it", "give an IR's .xml")
    return handler.name, handler.bodies


def constant(node: Node, room: int, path: str) -> tuple[str, Shape, int]:
    """Type, shape and bytes of a Const layer, held against the bytes of the .bin.

    Raises:
        ModelError: it goes beyond the file, or its shape does not take the bytes it is given.
    """
    told = node.attributes
    where = f"{path}: constant {node.name[:80]!r}"
    try:
        offset, size = int(told.get("offset", "")), int(told.get("size", ""))
        shape = tuple(int(s) for s in told.get("shape", "").split(",") if s.strip())
    except ValueError:
        raise ModelError(f"{where}: damaged: its offset, size or shape is no number", AGAIN) from None
    dtype = told.get("element_type", "")
    if offset < 0 or size < 0 or offset + size > room:
        raise ModelError(f"{where}: damaged or truncated: {size} bytes at {offset} go beyond the {room} of the .bin", AGAIN)
    if dtype == "string":
        return dtype, shape, size
    if dtype not in BITS or any(not 0 <= s < 1 << 40 for s in shape) or -(-product(shape) * BITS[dtype] // 8) != size:
        raise ModelError(f"{where}: damaged: {dtype[:20]} of shape {list(shape)[:8]} does not take {size} bytes", AGAIN)
    return dtype, shape, size
