"""Folders of random weights in the shapes of well-known language models: `python -m benchmarks.llm.folders 1b build/1b`.

Speed, memory and conversion time do not depend on the values; quality cannot be told by them. They are written tensor by
tensor, so that the largest tensor is all that memory has to hold. The tokenizer is the one of Strop's test model, which has
fewer tokens than these models: the rest of the vocabulary is never met. Nothing of this is shipped.
"""

import argparse
import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TOKENIZER = Path(__file__).resolve().parent.parent.parent / "tests" / "data" / "stories260k"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json")
SHARD = 2_000_000_000
"""Bytes of a file of weights."""
SPREAD = 0.02
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192, "rope_theta": 100000.0, "attention_bias": False, "mlp_bias": False, "bos_token_id": 1,
    "eos_token_id": 2, "torch_dtype": "bfloat16", "initializer_range": SPREAD, "use_cache": True,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": LLAMA | {
        "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 64, "vocab_size": 2048, "tie_word_embeddings": True,
    },
    "135m": LLAMA | {  # SmolLM2-135M's config.json
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "head_dim": 64, "vocab_size": 49152, "tie_word_embeddings": True,
    },
    "1b": LLAMA | {  # Llama-3.2-1B's config.json, its rotary scaling left out
        "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256, "tie_word_embeddings": True,
    },
}  # fmt: skip


def tensors(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each of a Llama's tensors."""
    hidden, feed, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    heads, pairs = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in (f"model.layers.{place}" for place in range(config["num_hidden_layers"])):
        for name, shape in (
            ("input_layernorm", (hidden,)), ("self_attn.q_proj", (heads, hidden)), ("self_attn.k_proj", (pairs, hidden)),
            ("self_attn.v_proj", (pairs, hidden)), ("self_attn.o_proj", (hidden, heads)), ("post_attention_layernorm", (hidden,)),
            ("mlp.gate_proj", (feed, hidden)), ("mlp.up_proj", (feed, hidden)), ("mlp.down_proj", (hidden, feed)),
        ):  # fmt: skip
            yield f"{layer}.{name}.weight", shape
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (config["vocab_size"], hidden)


def values(shape: tuple[int, ...], rng: np.random.Generator) -> bytes:
    """Small random numbers, ones for the scales of a norm; bf16, which is the upper half of fp32."""
    made = np.ones(shape, np.float32) if len(shape) == 1 else rng.standard_normal(shape, np.float32) * np.float32(SPREAD)
    return (made.view(np.uint32) >> 16).astype(np.uint16).tobytes()


def shards(config: dict[str, Any]) -> list[dict[str, tuple[int, ...]]]:
    """Tensors by file."""
    found: list[dict[str, tuple[int, ...]]] = [{}]
    held = 0
    for name, shape in tensors(config):
        size = 2 * int(np.prod(shape))
        if found[-1] and held + size > SHARD:
            found.append({})
            held = 0
        found[-1][name] = shape
        held += size
    return found


def write_shard(path: Path, held: dict[str, tuple[int, ...]], rng: np.random.Generator) -> int:
    """One safetensors file: the length of its header, the header, the values. Returns the bytes of the values."""
    at, header = 0, {}
    for name, shape in held.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in held.values():
            file.write(values(shape, rng))
    return at


def make(shape: str, out: Path, seed: int = 0) -> Path:
    """The folder; one that is there is left as it is."""
    if (out / "config.json").exists():
        return out
    out.mkdir(parents=True, exist_ok=True)
    config, rng, files = SHAPES[shape], np.random.default_rng(seed), shards(SHAPES[shape])
    count = len(files)
    names = [f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)] if count > 1 else ["model.safetensors"]
    total = sum(write_shard(out / name, held, rng) for name, held in zip(names, files, strict=True))
    if count > 1:
        placed = {tensor: name for name, held in zip(names, files, strict=True) for tensor in held}
        index = {"metadata": {"total_size": total}, "weight_map": placed}
        (out / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in TOKENIZER_FILES:
        shutil.copyfile(TOKENIZER / name, out / name)
    (out / "config.json").write_text(json.dumps(config, indent=2))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    print(make(given.shape, given.out))


if __name__ == "__main__":
    main()
