"""GGUF files: metadata and the list of tensors; the values are not read, long arrays are skipped.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import struct
from typing import Any, NamedTuple

from strop_child.checked_json import shown
from strop_child.inspector.answer import Shape, product
from strop_child.inspector.gguf_types import ARRAY, SCALAR, TENSOR, TEXT
from strop_child.inspector.members import size_of
from strop_child.refusal import ModelError

AGAIN = "download or copy it again"
KEPT = 1024
"""Elements of a number array and bytes of a text that are read; longer ones, and arrays of texts, are only counted."""
MOST_TEXTS = 4_000_000
"""In arrays, together. A tokenizer has at most some hundred thousand tokens and merges; a second is spent on this many."""
MOST_TENSORS = 150_000
MOST_KEYS = 2_000
LONGEST_NAME = 200
"""Bytes of a name that is kept; llama.cpp itself allows 64."""
LEAST_TENSOR, LEAST_KEY = 24, 13
"""Bytes that the shortest tensor entry and the shortest key with its value take."""


class Stored(NamedTuple):
    """A tensor. shape: outermost first, the other way around than in the file. bytes: as stored."""

    name: str
    dtype: str
    shape: Shape
    bytes: int
    offset: int


class Counted(NamedTuple):
    """An array that was skipped."""

    length: int


class Gguf(NamedTuple):
    metadata: dict[str, Any]
    tensors: list[Stored]


class _Bytes:
    """Reads a mapped file from front to back; whatever goes beyond its end is refused."""

    def __init__(self, data: mmap.mmap, path: str) -> None:
        self.data, self.path, self.at, self.texts = data, path, 0, 0

    def refuse(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: damaged or truncated: {what} at byte {self.at}", AGAIN)

    def number(self, code: str) -> Any:
        width = struct.calcsize(code)
        if self.at + width > len(self.data):
            raise self.refuse("the file ends")
        self.at += width
        return struct.unpack_from(code, self.data, self.at - width)[0]

    def text(self, most: int) -> str:
        length = self.number("<Q")
        if length > most or self.at + length > len(self.data):
            raise self.refuse(f"a text of {length} bytes")
        self.at += length
        return bytes(self.data[self.at - length : self.at]).decode("utf-8", "replace")

    def skip_texts(self, count: int) -> Counted:
        self.texts += count
        if count * 8 > len(self.data) - self.at or self.texts > MOST_TEXTS:
            raise self.refuse(f"an array of {count} texts")
        data, at, end, read = self.data, self.at, len(self.data), struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > end:
                raise self.refuse("an array of texts that goes beyond the file")
            at += 8 + read(data, at)[0]
        if at > end:
            raise self.refuse("an array of texts that goes beyond the file")
        self.at = at
        return Counted(count)

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            length = self.number("<Q")
            self.at -= 8
            return self.text(KEPT) if length <= KEPT else self.skip_texts(1)
        if kind in SCALAR:
            return self.number(SCALAR[kind])
        if kind != ARRAY:
            raise self.refuse(f"a value of unknown type {kind}")
        inner, count = self.number("<I"), self.number("<Q")
        if inner == TEXT:
            return self.skip_texts(count)
        if inner not in SCALAR:
            raise self.refuse("an array of arrays" if inner == ARRAY else f"an array of unknown type {inner}")
        width = struct.calcsize(SCALAR[inner])
        if count * width > len(self.data) - self.at:
            raise self.refuse(f"an array of {count} values")
        start, self.at = self.at, self.at + count * width
        if count > KEPT:
            return Counted(count)
        return list(struct.unpack_from(f"<{count}{SCALAR[inner][1]}", self.data, start))


def read(path: str) -> Gguf:
    """Metadata and tensors of one file.

    Raises:
        ModelError: no GGUF, of an unknown version, or damaged.
    """
    if size_of(path) < 24:
        raise ModelError(f"{path}: no GGUF file: it has no header", "give a .gguf file")
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _parsed(_Bytes(data, path))


def _parsed(source: _Bytes) -> Gguf:
    if source.data[:4] != b"GGUF":
        raise ModelError(f"{source.path}: no GGUF file: it does not begin with GGUF", "give a .gguf file")
    source.at = 4
    version = source.number("<I")
    if version & 0xFFFF == 0 and version >> 24 in (2, 3):
        raise ModelError(
            f"{source.path}: a big-endian GGUF file; little-endian ones are read",
            "convert it with gguf's own tool: pip install gguf, then gguf-convert-endian FILE little",
        )
    if version not in (2, 3):
        raise ModelError(f"{source.path}: GGUF version {version}, 2 and 3 are read", "convert it with a current llama.cpp")
    tensors, keys = source.number("<Q"), source.number("<Q")
    room = len(source.data) - source.at
    if tensors * LEAST_TENSOR + keys * LEAST_KEY > room or tensors > MOST_TENSORS or keys > MOST_KEYS:
        raise source.refuse(f"{tensors} tensors and {keys} keys of metadata announced in {room} bytes")
    metadata: dict[str, Any] = {}
    for _ in range(keys):
        key = source.text(LONGEST_NAME)
        if key in metadata:
            raise source.refuse(f"key {shown(key)!r} twice")
        metadata[key] = source.value(source.number("<I"))
    found: dict[str, Stored] = {}
    for _ in range(tensors):
        tensor = _tensor(source)
        if tensor.name in found:
            raise source.refuse(f"tensor {shown(tensor.name)!r} twice")
        found[tensor.name] = tensor
    _check_places(source, list(found.values()), metadata.get("general.alignment", 32))
    return Gguf(metadata, list(found.values()))


def _tensor(source: _Bytes) -> Stored:
    name = source.text(LONGEST_NAME)
    dims = source.number("<I")
    if dims > 4:
        raise source.refuse(f"tensor {shown(name)!r} of {dims} axes, at most 4 are allowed,")
    sizes = [source.number("<Q") for _ in range(dims)]
    kind, offset = source.number("<I"), source.number("<Q")
    if kind not in TENSOR:
        raise source.refuse(f"tensor {shown(name)!r} of unknown type {kind}")
    dtype, block, width = TENSOR[kind]
    many = product(sizes)
    if many >= 1 << 63 or 0 in sizes:
        raise source.refuse(f"tensor {shown(name)!r} of impossible shape {sizes}")
    if (sizes[0] if sizes else 1) % block:
        raise source.refuse(f"tensor {shown(name)!r} with rows of {sizes[:1]} values, {dtype} needs a multiple of {block},")
    return Stored(name, dtype, tuple(reversed(sizes)), many // block * width, offset)


def _check_places(source: _Bytes, tensors: list[Stored], alignment: Any) -> None:
    """Every tensor inside of the file, aligned, and none over another."""
    if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1) or alignment > 1 << 20:
        raise source.refuse(f"an alignment of {shown(alignment)}, a power of two is expected,")
    begin = -(-source.at // alignment) * alignment
    end = 0
    for tensor in sorted(tensors, key=lambda t: t.offset):
        if tensor.offset % alignment or begin + tensor.offset + tensor.bytes > len(source.data):
            raise ModelError(
                f"{source.path}: damaged or truncated: tensor {shown(tensor.name)!r} of {tensor.bytes} bytes at offset "
                f"{tensor.offset} goes beyond the file, or is not aligned", AGAIN,
            )  # fmt: skip
        if tensor.offset < end:
            raise ModelError(f"{source.path}: damaged: tensor {shown(tensor.name)!r} overlaps another", AGAIN)
        end = tensor.offset + tensor.bytes
