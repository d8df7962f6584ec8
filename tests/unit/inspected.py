"""Models written byte by byte, and the inspector that is to read them: no library of their formats takes part."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from strop_child.inspector import work
from strop_child.refusal import ModelError

WIDTH = {"F32": 4, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "I64": 8, "U8": 1, "I8": 1}
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "intermediate_size": 12,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 32, "max_position_embeddings": 64,
}  # fmt: skip


def inspect(path: Path) -> dict[str, Any]:
    """The answer as it goes over the process boundary."""
    answer: dict[str, Any] = json.loads(json.dumps(work.inspect(str(path))))
    return answer


def read(path: Path) -> Any:
    """By the format's own reader: what it raises is not turned into a refusal, so that a fault of its own is seen."""
    kind, found = work.recognised(str(path))
    return work.reader(kind).inspect(found)


def refused(path: Path, *words: str) -> None:
    """One line that names the file and says these words, and a hint."""
    with pytest.raises(ModelError) as caught:
        inspect(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 + len(str(path)) and caught.value.hint
    assert str(path) in text or path.name in text or str(path.parent) in text
    for word in words:
        assert word in text, text


def header(tensors: dict[str, tuple[str, list[int]]], **metadata: str) -> dict[str, Any]:
    """Of a safetensors file: tensors one after the other."""
    at, entries = 0, {}
    for name, (dtype, shape) in tensors.items():
        size = WIDTH[dtype]
        for axis in shape:
            size *= axis
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return ({"__metadata__": metadata} if metadata else {}) | entries


def write_safetensors(path: Path, entries: dict[str, Any] | bytes, size: int | None = None) -> None:
    """A header, and a hole in place of the values."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    if size is None:
        ends = [v["data_offsets"][1] for k, v in entries.items() if k != "__metadata__"] if isinstance(entries, dict) else []
        size = max(ends, default=0)
    with path.open("wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + size)


def folder(path: Path, config: Any = LLAMA, tensors: dict[str, tuple[str, list[int]]] | None = None, **metadata: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    write_safetensors(path / "model.safetensors", header(llama() if tensors is None else tensors, **metadata))
    return path


def llama(dtype: str = "F32", head: bool = False) -> dict[str, tuple[str, list[int]]]:
    """Tensors of `LLAMA`."""
    tensors = {"model.embed_tokens.weight": (dtype, [32, 8]), "model.norm.weight": (dtype, [8])}
    for i in range(2):
        at = f"model.layers.{i}."
        tensors |= {at + f"self_attn.{n}_proj.weight": (dtype, [8, 8]) for n in "qo"}
        tensors |= {at + f"self_attn.{n}_proj.weight": (dtype, [4, 8]) for n in "kv"}
        tensors |= {at + f"mlp.{n}_proj.weight": (dtype, [12, 8]) for n in ("gate", "up")}
        tensors |= {at + "mlp.down_proj.weight": (dtype, [8, 12])}
        tensors |= {at + f"{n}_layernorm.weight": (dtype, [8]) for n in ("input", "post_attention")}
    return tensors | ({"lm_head.weight": (dtype, [32, 8])} if head else {})


LLAMA_LINEAR = 2 * (2 * 64 + 2 * 32 + 3 * 96)
LLAMA_PARAMETERS = 256 + 8 + LLAMA_LINEAR + 2 * 2 * 8


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(
    metadata: dict[str, tuple[int, bytes]], tensors: list[tuple[str, list[int], int, int]], values: int, version: int = 3,
    counts: tuple[int | None, int | None] = (None, None), alignment: int = 32, magic: bytes = b"GGUF",
) -> bytes:  # fmt: skip
    """A file. metadata: type number and bytes of each value. tensors: name, sizes innermost first, type, offset."""
    told = (len(tensors) if counts[0] is None else counts[0], len(metadata) if counts[1] is None else counts[1])
    out = magic + struct.pack("<IQQ", version, *told)
    for key, (kind, value) in metadata.items():
        out += text(key) + struct.pack("<I", kind) + value
    for name, sizes, kind, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)
    return out + bytes(-len(out) % alignment) + bytes(values)


def u32(value: int) -> tuple[int, bytes]:
    return 4, struct.pack("<I", value)


def string(value: str) -> tuple[int, bytes]:
    return 8, text(value)


def array(kind: int, count: int, values: bytes) -> tuple[int, bytes]:
    return 9, struct.pack("<IQ", kind, count) + values
