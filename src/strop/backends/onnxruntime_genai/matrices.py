"""How the matrices of an ONNX language model are kept, read back from the graph; its weights are not read."""

from collections import Counter
from dataclasses import dataclass, field

FLOATS = {1: 32, 10: 16, 16: 16}
"""Bits of the floating-point types, by ONNX's numbers."""
MIXED = ("rtn_last", "k_quant_mixed")
"""Algorithms that keep some matrices in 8 bits where 4 are asked for."""


@dataclass
class Matrices:
    """How many matrices have how many bits, in which blocks; what the products' operators say beside it."""

    floats: Counter[int] = field(default_factory=Counter)
    bits: Counter[int] = field(default_factory=Counter)
    blocks: set[int] = field(default_factory=set)
    levels: set[int] = field(default_factory=set)
    zero_points: int = 0
    embedding: int = 0


def read(path: str) -> Matrices:
    """What the graph's products and its embedding say of their weights."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    types, found = {tensor.name: tensor.data_type for tensor in graph.initializer}, Matrices()
    for node in graph.node:
        told = {attribute.name: attribute.i for attribute in node.attribute}
        if node.op_type == "MatMulNBits":
            found.bits[told.get("bits", 4)] += 1
            found.blocks.add(told["block_size"])
            found.levels.add(told.get("accuracy_level", 0))
            found.zero_points += len(node.input) > 3 and node.input[3] != ""
        elif node.op_type == "MatMul" and node.input[1] in types:
            found.floats[FLOATS.get(types[node.input[1]], 0)] += 1
        elif "input_ids" in node.input and node.op_type == "GatherBlockQuantized":
            found.embedding = told.get("bits", 4)
            found.blocks.add(told["block_size"])
        elif "input_ids" in node.input and node.op_type == "Gather":
            found.embedding = FLOATS.get(types.get(node.input[0], 1), 0)
    return found


def claims(found: Matrices) -> dict[str, float]:
    """What is told of it."""
    told: dict[str, float] = {
        f"matrices in {bits} bits": count for bits, count in sorted((found.bits + found.floats).items()) if count
    }
    told |= {name: max(some) for name, some in (("block size", found.blocks), ("accuracy level", found.levels)) if some}
    return told | {"embedding's bits": found.embedding}


def differs(found: Matrices, precision: str, block: int, algorithm: str, level: int) -> str:
    """What is not as it was asked for; empty where all is. Matrices that stay in floating point are told, not refused."""
    wanted = {"fp32": set[int](), "int8": {8}, "int4": {4, 8} if algorithm in MIXED else {4}}[precision]
    if set(found.bits) != wanted:
        return f"{precision} {algorithm}".strip() + f" has matrices in {_list(wanted)} bits, there are {_list(set(found.bits))}"
    if not wanted:
        return "" if set(found.floats) == {32} else f"fp32 has matrices in 32 bits, there are {_list(set(found.floats))}"
    if found.blocks != {block}:
        return f"blocks of {block}, there are blocks of {_list(found.blocks)}"
    if found.levels != {level}:
        return f"accuracy level {level}, there is {_list(found.levels)}"
    if algorithm.startswith("k_quant") != (found.zero_points > 0):
        return f"{algorithm} has {'zero points' if not found.zero_points else 'none'}, {found.zero_points} matrices have them"
    return ""


def _list(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"
