"""What the layers of an OpenVINO IR cost, by the dimensions that their ports have."""

from typing import Any

from strop_child.inspector import costs
from strop_child.inspector.answer import Answer, product
from strop_child.inspector.ir_tables import BITS, Body, Node

VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Result"}
WEIGHTED = {
    "Convolution": "conv", "GroupConvolution": "conv", "ConvolutionBackpropData": "conv",
    "GroupConvolutionBackpropData": "conv", "MatMul": "linear", "Gather": "embedding", "LSTMSequence": "recurrent",
    "GRUSequence": "recurrent", "RNNSequence": "recurrent", "LSTMCell": "recurrent", "GRUCell": "recurrent",
}  # fmt: skip


def count(answer: Answer, bodies: list[Body]) -> None:
    """MACs of all bodies once; memory of the main one."""
    total = missing = many = 0
    for body in bodies:
        for node in body.nodes.values():
            if node.kind in WEIGHTED and node.kind != "Gather":
                found = _macs(node)
                total, missing, many = total + (found or 0), missing + (found is None), many + 1
    answer.macs = None if many and missing == many else total
    if missing:
        answer.notes.append(f"macs leave out {missing} of {many} nodes")
    _memory(answer, bodies[0])


def _memory(answer: Answer, body: Body) -> None:
    """Layers run in the order in which they stand, which is a topological one."""
    root: dict[tuple[str, str], tuple[str, str]] = {}
    order, sizes = [], {}
    for node in body.nodes.values():
        given = [root.get(g, g) for p in node.inputs if (g := body.edges.get((node.id, p))) is not None]
        made = [(node.id, p) for p in node.outputs]
        if node.kind in VIEWS and given and made:
            root[made[0]] = given[0]
            continue
        if node.kind not in ("Const",):
            sizes.update({_key(m): _bytes(node, m[1]) for m in made})
            order.append(([_key(g) for g in given], [_key(m) for m in made]))
    inputs = [_key((n.id, n.outputs[0])) for n in body.nodes.values() if n.kind == "Parameter" and n.outputs]
    ends = [body.edges.get((n.id, n.inputs[0])) for n in body.nodes.values() if n.kind == "Result" and n.inputs]
    answer.activation_bytes = costs.peak(order, sizes, inputs, [_key(root.get(e, e)) for e in ends if e])


def _key(place: tuple[str, str]) -> str:
    return f"{place[0]}:{place[1]}"


def _bytes(node: Node, port: str) -> int:
    bits: int = product(node.ports[port]) * BITS.get(node.precisions.get(port, ""), 32)
    return -(-bits // 8)


def _macs(node: Node) -> int | None:
    """As `costs`; a group convolution's weight is [groups, out / groups, in / groups, …], a recurrent layer has two."""
    inputs: list[Any] = [node.ports[p] for p in node.inputs]
    out = node.ports[node.outputs[0]] if node.outputs else None
    if out is None or len(inputs) < 2:
        return None
    if node.kind == "MatMul":
        first = inputs[0]
        if not first:
            return None
        flipped = node.attributes.get("transpose_a", "false").lower() in ("true", "1")
        return int(product(out) * first[-2 if flipped and len(first) > 1 else -1])
    if "Convolution" in node.kind:
        kernel = inputs[1][2:] if node.kind.startswith("Group") else inputs[1][1:]
        return int(product(inputs[0] if node.kind.endswith("BackpropData") else out) * product(kernel))
    sequence = "Sequence" in node.kind
    first = 4 if node.kind.startswith("LSTM") and sequence else 3 if sequence or node.kind.startswith("LSTM") else 2
    if len(inputs) <= first + 1 or not inputs[0]:
        return None
    steps = product(inputs[0][:-1])
    return int(steps * (product(inputs[first]) + product(inputs[first + 1])))
