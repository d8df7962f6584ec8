"""Which models are of a family, and which devices of a kind, so that one's figures say something about another's. Pure."""

from collections.abc import Mapping, Sequence

from strop.core.target import instruction_sets

DECIDING = (
    "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "dotprod", "i8mm", "sve", "sve2",
)  # fmt: skip
"""Instruction sets that decide which precision is fast."""


def family_of(architecture: str, operators: Mapping[str, int]) -> str:
    """A Hugging Face architecture by its name; other graphs by what they are made of."""
    if architecture:
        return architecture
    if any(operators.get(op) for op in ("LSTM", "GRU", "RNN")):
        return "recurrent"
    if operators.get("Softmax", 0) and operators.get("MatMul", 0) >= 8:
        return "transformer"
    return "convolutional" if operators.get("Conv") else "other"


def kind_of(instructions: Sequence[str]) -> frozenset[str]:
    """Devices are of a kind where these are the same, and known."""
    return frozenset(instructions) & frozenset(DECIDING)


def kind_of_flags(cpu_flags: Sequence[str]) -> frozenset[str]:
    """The kind of a machine by the flags its kernel reports."""
    return kind_of(instruction_sets(tuple(cpu_flags)))
