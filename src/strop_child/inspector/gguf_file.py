"""A GGUF model, in one file or in parts: what its metadata and its list of tensors say."""

import os
import re
from collections import Counter
from typing import Any

from strop_child.checked_json import Section, shown
from strop_child.inspector import roles
from strop_child.inspector.answer import Answer, Language, product
from strop_child.inspector.gguf_reader import Counted, Stored, read
from strop_child.inspector.gguf_types import ENCODERS, FILE, PLAIN
from strop_child.inspector.huggingface import token_costs
from strop_child.inspector.language import EXPERTS, HEADS, HIDDEN, LAYERS, LONG, WIDE, WORDS, activation_bytes
from strop_child.inspector.members import member
from strop_child.inspector.packing import Weight
from strop_child.refusal import ModelError

PART = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")
STATELESS = ("mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7")
"""Architectures without a cache that grows with each token."""


def inspect(path: str) -> Answer:
    """What the file and its further parts hold.

    Raises:
        ModelError: damaged, or a part is missing.
    """
    answer = Answer(format="gguf", family="llm", modality="text")
    metadata: dict[str, Any] = {}
    tensors: dict[str, Stored] = {}
    for part in parts(path):
        found = read(part)
        metadata = metadata or found.metadata
        for tensor in found.tensors:
            if tensor.name in tensors:
                raise ModelError(f"{part}: tensor {shown(tensor.name)!r} is in another part too", "download it again")
            tensors[tensor.name] = tensor
        answer.files[os.path.basename(part)] = os.path.getsize(part)
    if metadata.get("general.type") == "adapter":
        base = metadata.get("general.base_model.0.name") or metadata.get("adapter.lora.base_model") or ""
        raise ModelError(
            f"{path}: an adapter ({metadata.get('adapter.type') or 'of unknown type'})"
            f"{f' of {shown(base)}' if base else ''}, which is no model by itself",
            "merge it into its model with llama.cpp, and give the result: llama-export-lora -m MODEL.gguf --lora ADAPTER.gguf "
            "-o MERGED.gguf",
        )
    if not tensors:
        raise ModelError(f"{path}: no tensors in it", "give a .gguf file with weights, not one of a vocabulary")
    values = {k: (v.length if isinstance(v, Counted) else v) for k, v in metadata.items()}
    _describe(answer, Section(values, f"{path}: metadata"), list(tensors.values()))
    return answer


def parts(path: str) -> list[str]:
    """The file, or all parts of which it is one."""
    name = PART.match(os.path.basename(path))
    if name is None:
        return [path]
    many = int(name[3])
    if not 1 <= int(name[2]) <= many or many > 10_000:
        raise ModelError(f"{path}: part {name[2]} of {name[3]}", "keep the names that llama.cpp gave the parts")
    folder = os.path.dirname(path) or "."
    return [member(folder, f"{name[1]}-{i:05d}-of-{name[3]}.gguf", "the name of a part") for i in range(1, many + 1)]


def _describe(answer: Answer, metadata: Section, tensors: list[Stored]) -> None:
    answer.architecture = metadata.text("general.architecture")
    for tensor in tensors:
        many = product(tensor.shape)
        answer.store(tensor.dtype, many, tensor.bytes)
        answer.parameters += many
    answer.quantized = _quantized(metadata, tensors)
    weights = [_weight(t) for t in tensors]
    named = roles.named(weights)
    answer.layers = roles.layers(named)
    if answer.architecture in ENCODERS:
        answer.family = "tensor"
        answer.modality = {"clip": "multimodal", "whisper": "audio"}.get(answer.architecture, "text")
        answer.notes.append("macs and activations are told of decoders only")
        return
    language = _language(metadata, answer.architecture, tensors)
    used = metadata.whole(f"{answer.architecture}.expert_used_count", most=EXPERTS)
    mixture = (language.experts, min(used, language.experts)) if language.experts and used else None
    active, answer.macs = token_costs(named, mixture)
    answer.language = Language(**{**vars(language), "active_parameters": active if mixture else None})
    answer.activation_bytes = activation_bytes(language)
    answer.notes.append("macs are per token, attention over the cache excluded")


def _weight(tensor: Stored) -> Weight:
    many = product(tensor.shape)
    return Weight(tensor.name, tensor.dtype, tensor.shape, many, tensor.bytes, many)


def _quantized(metadata: Section, tensors: list[Stored]) -> str | None:
    """The mix by its name, else the type that takes the most bytes; None where all is float or plain integers."""
    if all(t.dtype in PLAIN for t in tensors):
        return None
    told: str | None = FILE.get(metadata.whole("general.file_type", most=1 << 31) or -1)
    if told is not None:
        return told
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.dtype] += tensor.bytes
    return sizes.most_common(1)[0][0]


def _language(metadata: Section, name: str, tensors: list[Stored]) -> Language:
    def whole(key: str, most: int) -> int | None:
        found: int | None = metadata.whole(f"{name}.{key}", most=most)
        return found

    layers, hidden, heads = whole("block_count", LAYERS), whole("embedding_length", HIDDEN), whole("attention.head_count", HEADS)
    kv_heads = whole("attention.head_count_kv", HEADS) or heads
    size = whole("attention.key_length", WIDE) or (hidden // heads if hidden and heads else None)
    embedding = next((t for t in tensors if t.name == "token_embd.weight"), None)
    words = whole("vocab_size", WORDS) or (embedding.shape[0] if embedding and len(embedding.shape) == 2 else None)
    return Language(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=size,
        intermediate=whole("feed_forward_length", WIDE) or whole("expert_feed_forward_length", WIDE),
        vocabulary=words,
        context=whole("context_length", LONG),
        kv_values_per_token=_kv_values(metadata, name, layers, heads, size),
        experts=whole("expert_count", EXPERTS) or None,
    )


def _kv_values(metadata: Section, name: str, layers: int | None, heads: int | None, size: int | None) -> int | None:
    """Keys and values of each head of each layer; a list tells heads by layer, 0 where one keeps no cache."""
    latent = metadata.whole(f"{name}.attention.kv_lora_rank", most=WIDE)
    if layers and latent:
        return int(layers * (latent + (metadata.whole(f"{name}.rope.dimension_count", most=WIDE) or 0)))
    if layers is None or size is None or name in STATELESS:
        return None
    told = metadata.values.get(f"{name}.attention.head_count_kv")
    metadata.whole(f"{name}.attention.head_count_kv", most=HEADS)
    if not isinstance(told, list) and metadata.has(f"{name}.ssm.state_size"):
        return None
    every = sum(told) if isinstance(told, list) else layers * (told or heads or 0)
    values = metadata.whole(f"{name}.attention.value_length", most=WIDE) or size
    return int(every * (size + values)) or None
