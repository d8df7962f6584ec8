"""Headers of safetensors files: names, types and shapes; the weights themselves are not read.

Format: https://github.com/huggingface/safetensors (README, "Format"): eight bytes of length, little endian; a JSON
object of that length; the values. Offsets start behind the header, and leave no holes.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from strop_child.checked_json import parsed, read_object, shown
from strop_child.inspector.answer import Shape, product
from strop_child.inspector.members import listed, member, size_of
from strop_child.refusal import ModelError

AGAIN = "download or copy it again"
MOST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
MOST_ENTRY = 1 << 20
LONGEST_NAME = 200
MOST_TENSORS = 150_000
"""Of one model. The largest mixtures of experts have some 100,000; more would take too long and too much memory here."""
INDEX = "model.safetensors.index.json"
DTYPES = {
    "BOOL": ("bool", 8), "U8": ("uint8", 8), "I8": ("int8", 8), "U16": ("uint16", 16), "I16": ("int16", 16),
    "U32": ("uint32", 32), "I32": ("int32", 32), "U64": ("uint64", 64), "I64": ("int64", 64), "F16": ("float16", 16),
    "BF16": ("bfloat16", 16), "F32": ("float32", 32), "F64": ("float64", 64), "C64": ("complex64", 64),
    "F8_E4M3": ("float8_e4m3", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0", 8),
    "F4": ("float4_e2m1", 4), "F6_E2M3": ("float6_e2m3", 6), "F6_E3M2": ("float6_e3m2", 6),
}  # fmt: skip
ENTRY = re.compile(rb'\s*+("(?:[^"\\]++|\\.)*+")\s*+:\s*+(\{(?:[^{}"]++|"(?:[^"\\]++|\\.)*+")*+\})\s*+([,}])', re.DOTALL)
"""One tensor of a header. Read one by one, so that a header full of rubbish takes no more memory than its bytes."""


class Tensor(NamedTuple):
    """dtype: in Strop's names. bytes: as stored."""

    name: str
    dtype: str
    shape: Shape
    bytes: int


class Placed(NamedTuple):
    """Where a tensor's values stand, in bytes behind the header."""

    tensor: Tensor
    begin: int
    end: int


def read_header(path: str) -> tuple[dict[str, Any], list[Tensor]]:
    """Metadata and tensors.

    Raises:
        ModelError: truncated or damaged: header, types, shapes or offsets do not fit the file.
    """
    size = size_of(path)
    with open(path, "rb") as f:
        start = f.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > size - 8:
            raise ModelError(f"{path}: damaged or truncated: {size} bytes hold no header of {length}", AGAIN)
        if length > MOST_HEADER:
            raise ModelError(f"{path}: a header of {length / 1e6:.0f} MB, at most {MOST_HEADER / 1e6:.0f} MB are allowed", AGAIN)
        text = f.read(length).rstrip(b" ")
    metadata: dict[str, Any] = {}
    found: dict[str, Placed] = {}
    for name, values in _entries(text, path):
        if name == "__metadata__":
            metadata = values
            continue
        if len(name) > LONGEST_NAME:
            raise ModelError(f"{path}: a tensor's name of {len(name)} characters", AGAIN)
        if name in found:
            raise ModelError(f"{path}: tensor {shown(name)!r} is there twice", AGAIN)
        found[name] = _placed(name, values, path)
        if len(found) > MOST_TENSORS:
            raise ModelError(f"{path}: more than {MOST_TENSORS} tensors", "no model of that many is read")
    _check_places(list(found.values()), size - 8 - length, path)
    return metadata, [p.tensor for p in found.values()]


def format_of(path: str) -> str:
    """What a file says of itself ("pt", "mlx"), by its first entry; an empty text where it does not."""
    with open(path, "rb") as f:
        f.read(8)
        match = ENTRY.match(f.read(MOST_ENTRY), 1)
    if match is None or match[1] != b'"__metadata__"':
        return ""
    return str(parsed(match[2], f"{path}: header").get("format", ""))[:20]


def _entries(text: bytes, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    at, more = 1, True
    if text[:1] != b"{":
        raise ModelError(f"{path}: no safetensors file: its header is no JSON object", "give a .safetensors file")
    if text[1:].strip() == b"}":
        return
    while more:
        match = ENTRY.match(text, at)
        own = match is not None and match[1] == b'"__metadata__"'
        if match is None or (match.end() - match.start() > MOST_ENTRY and not own):
            raise ModelError(f"{path}: damaged: its header is no list of tensors at byte {8 + at}", AGAIN)
        if own and match.end() - match.start() > MOST_ENTRY:  # free text, such as a whole training log: valid, and of no use here
            at, more = match.end(), match[3] == b","
            continue
        [(name, values)] = parsed(b"{" + match[1] + b":" + match[2] + b"}", f"{path}: header").items()
        yield name, values
        at, more = match.end(), match[3] == b","
    if text[at:].strip():
        raise ModelError(f"{path}: damaged: its header goes on behind its end", AGAIN)


def _placed(name: str, values: dict[str, Any], path: str) -> Placed:
    dtype: Any = values.get("dtype")
    shape: Any = values.get("shape")
    offsets: Any = values.get("data_offsets")
    where = f"{path}: tensor {shown(name)!r}"
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelError(f"{where}: unknown type {shown(dtype)!r}", "save it with a current safetensors, or copy it again")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise ModelError(f"{where}: shape {shown(shape)} or offsets {shown(offsets)} are no sizes", AGAIN)
    known, bits = DTYPES[dtype]
    begin, end = offsets
    if product(shape) * bits != (end - begin) * 8:
        raise ModelError(
            f"{where}: {dtype} of shape {shown(shape)} does not take the {shown(end - begin)} bytes it is given", AGAIN
        )
    return Placed(Tensor(name, known, tuple(shape), end - begin), begin, end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 63 for v in value)


def _check_places(placed: list[Placed], room: int, path: str) -> None:
    """One after the other, from the header to the file's end: neither shared nor missing."""
    at = 0
    for tensor, begin, end in sorted(placed, key=lambda p: (p.begin, p.end)):
        if begin != at:
            what = "overlaps another" if begin < at else "leaves a gap before it"
            raise ModelError(f"{path}: damaged: tensor {shown(tensor.name)!r} {what}", AGAIN)
        at = end
    if at != room:
        raise ModelError(f"{path}: damaged or truncated: {room} bytes of values, its header tells of {at}", AGAIN)


def read_folder(folder: str) -> list[Tensor]:
    """All tensors of a folder: of its one file, of those its index names, or of all.

    Raises:
        ModelError: as `read_header`; the index names what is not there.
    """
    names = [n for n in listed(folder) if n.endswith(".safetensors")]
    wanted: set[str] | None = None
    if "model.safetensors" in names:
        names = ["model.safetensors"]
    elif os.path.lexists(os.path.join(folder, INDEX)):
        placed = _index(folder)
        names, wanted = sorted(set(placed.values())), set(placed)
    tensors: dict[str, Tensor] = {}
    for name in names:
        _, found = read_header(member(folder, name, INDEX if wanted else "the folder"))
        tensors.update((t.name, t) for t in found)
        if len(tensors) > MOST_TENSORS:
            raise ModelError(f"{folder}: more than {MOST_TENSORS} tensors", "no model of that many is read")
    lacking = sorted((wanted or set()) - tensors.keys())
    if lacking:
        raise ModelError(f"{folder}: {INDEX} names {shown(lacking[0])!r}, which no shard holds", AGAIN)
    return list(tensors.values())


def _index(folder: str) -> dict[str, str]:
    """Tensor → file. An index lists every tensor, so it may be larger than a configuration."""
    path = member(folder, INDEX, "the folder")
    placed = read_object(path, 16 << 20).get("weight_map")
    if not isinstance(placed, dict) or not placed or not all(isinstance(v, str) for v in placed.values()):
        raise ModelError(f"{path}: its weight_map is no object of file names", AGAIN)
    bad = sorted(v for v in set(placed.values()) if not v.endswith(".safetensors"))
    if bad:
        raise ModelError(f"{path}: names {shown(bad[0])!r}, only .safetensors are read", "save it again as safetensors")
    return placed
