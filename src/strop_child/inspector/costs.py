"""What operators cost: multiply-accumulates by published definitions, and memory of live values. Knows no format."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

Shape = tuple[int, ...]


class Op(NamedTuple):
    """An operator with the shapes of what goes in and out; None where one is unknown or absent."""

    kind: str
    inputs: Sequence[Shape | None]
    outputs: Sequence[Shape | None]
    attributes: Mapping[str, Any] = {}


def convolution(op: Op, weight: int = 1) -> int | None:
    """Every output value is one dot product over the kernel and the channels of its group."""
    kernel, out = _input(op, weight), _output(op)
    return None if kernel is None or out is None else prod(out) * prod(kernel[1:])


def transposed_convolution(op: Op, weight: int = 1) -> int | None:
    """Every input value is spread over the kernel and the output channels of its group: weight is [in, out / group, …]."""
    kernel, given = _input(op, weight), _input(op, 0)
    return None if kernel is None or given is None else prod(given) * prod(kernel[1:])


def matrix(op: Op) -> int | None:
    """Every output value is one dot product over the last axis of the first operand."""
    given, out = _input(op, 0), _output(op)
    return None if not given or out is None else prod(out) * given[-1]


def gemm(op: Op) -> int | None:
    given, out = _input(op, 0), _output(op)
    if given is None or out is None or len(given) != 2:
        return None
    return prod(out) * given[0 if op.attributes.get("transA") else 1]


def blocks(op: Op) -> int | None:
    """Weights packed in blocks: the operator names its inner size K and outputs N."""
    given = _input(op, 0)
    inner, outer = op.attributes.get("K"), op.attributes.get("N")
    return prod(given) * outer if given and inner == given[-1] and isinstance(outer, int) else None


def recurrent(op: Op) -> int | None:
    """Input and recurrent weights of all gates and directions meet every step: [steps, batch, input] in any order."""
    given, w, r = _input(op, 0), _input(op, 1), _input(op, 2)
    if given is None or w is None or r is None or len(given) != 3:
        return None
    return given[0] * given[1] * (prod(w) + prod(r))


def einsum(op: Op) -> int | None:
    """Of two operands: the product of the sizes of all indices."""
    equation = op.attributes.get("equation", b"")
    text = equation.decode() if isinstance(equation, bytes) else str(equation)
    terms = text.replace(" ", "").split("->")[0].split(",")
    if len(terms) != 2 or len(op.inputs) != 2 or "." in text:
        return None
    size: dict[str, int] = {}
    for term, shape in zip(terms, op.inputs, strict=True):
        if shape is None or len(shape) != len(term):
            return None
        size.update(zip(term, shape, strict=True))
    return prod(size.values())


def joint_attention(op: Op) -> int | None:
    """com.microsoft.Attention: one projection to queries, keys and values, then scores and their sums over the values."""
    given, weight = _input(op, 0), _input(op, 1)
    if given is None or weight is None or len(given) != 3 or len(weight) != 2:
        return None
    batch, tokens, _ = given
    return batch * tokens * prod(weight) + 2 * batch * tokens * tokens * (weight[1] // 3)


def attention(op: Op) -> int | None:
    """Scores and their sums over the values, of queries [batch, tokens, width] or [batch, heads, tokens, size]."""
    query, key = _input(op, 0), _input(op, 1)
    if query is None or key is None or len(query) != len(key) or len(query) < 3:
        return None
    return 2 * prod(query) * key[-2]


FORMULAS: dict[str, Callable[[Op], int | None]] = {
    "Conv": convolution,
    "ConvInteger": convolution,
    "FusedConv": convolution,
    "NhwcConv": convolution,
    "QLinearConv": lambda op: convolution(op, weight=3),
    "ConvTranspose": transposed_convolution,
    "MatMul": matrix,
    "MatMulInteger": matrix,
    "QLinearMatMul": matrix,
    "DynamicQuantizeMatMul": matrix,
    "MatMulIntegerToFloat": matrix,
    "FusedMatMul": lambda op: None if op.attributes.get("transA") else matrix(op),
    "Gemm": gemm,
    "FusedGemm": gemm,
    "QGemm": gemm,
    "MatMulNBits": blocks,
    "MatMulBnb4": blocks,
    "RNN": recurrent,
    "LSTM": recurrent,
    "GRU": recurrent,
    "DynamicQuantizeLSTM": lambda op: None,
    "Einsum": einsum,
    "Attention": lambda op: joint_attention(op) if op.attributes.get("num_heads") else attention(op),
    "QAttention": joint_attention,
    "MultiHeadAttention": attention,
    "GroupQueryAttention": attention,
    "DeformConv": convolution,
}
"""Operators that multiply and accumulate, of ONNX and of com.microsoft; all others count nothing."""


def macs(ops: Iterable[Op]) -> tuple[int, int, int]:
    """Multiply-accumulates; how many of the operators that have any could not be counted, and how many there are."""
    total = missing = many = 0
    for op in ops:
        formula = FORMULAS.get(op.kind)
        if formula is not None:
            found = formula(op)
            many += 1
            missing += found is None
            total += found or 0
    return total, missing, many


def peak(
    order: Sequence[tuple[Sequence[str], Sequence[str]]], sizes: Mapping[str, int], given: Iterable[str], kept: Iterable[str]
) -> int:
    """Most bytes alive at one time when operators run in this order, each with its inputs and its outputs.

    order: inputs and outputs of each operator. sizes: bytes by name; what is not there (weights, views) takes none.
    given: alive from the beginning. kept: alive to the end. A value dies behind its last use.
    """
    last = {name: i for i, (uses, makes) in enumerate(order) for name in (*makes, *uses)}
    last.update(dict.fromkeys(kept, len(order)))
    dying: dict[int, list[str]] = {}
    for name, i in last.items():
        dying.setdefault(i, []).append(name)
    alive = {name for name in given if name in sizes}
    now = sum(sizes[name] for name in alive)
    most = now
    for i, (_, makes) in enumerate(order):
        for name in makes:
            if name in sizes and name not in alive:
                alive.add(name)
                now += sizes[name]
        most = max(most, now)
        for name in dying.get(i, ()):
            if name in alive:
                alive.remove(name)
                now -= sizes[name]
    return most


def _input(op: Op, index: int) -> Shape | None:
    return op.inputs[index] if len(op.inputs) > index else None


def _output(op: Op) -> Shape | None:
    return op.outputs[0] if op.outputs else None
