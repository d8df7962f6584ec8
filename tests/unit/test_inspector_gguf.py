"""GGUF files written byte by byte: figures by hand; every length that a file tells is held against the file."""

import struct

import pytest

from .inspected import array, gguf, inspect, refused, string, text, u32

SIZES = {"llama.block_count": u32(1), "llama.embedding_length": u32(256), "llama.attention.head_count": u32(8),
         "llama.attention.head_count_kv": u32(2),
         "llama.feed_forward_length": u32(512), "llama.context_length": u32(128)}  # fmt: skip
METADATA = {"general.architecture": string("llama"), "general.file_type": u32(15)} | SIZES
F32, Q4_0, Q4_K, Q6_K = 0, 2, 12, 14
TENSORS = [
    ("token_embd.weight", [256, 32], Q6_K, 0),
    ("blk.0.attn_q.weight", [256, 256], Q4_K, 6720),
    ("blk.0.ffn_down.weight", [512, 256], Q4_K, 6720 + 36864),
    ("output_norm.weight", [256], F32, 6720 + 36864 + 73728),
]
BYTES = {"q6_K": 32 * 210, "q4_K": 256 * 144 + 512 * 144, "float32": 1024}


@pytest.fixture
def write(tmp_path):
    def run(content, name="m.gguf"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return run


def test_a_model_is_described(write):
    found = inspect(write(gguf(METADATA, TENSORS, sum(BYTES.values()))))
    assert (found["format"], found["family"], found["architecture"], found["quantized"]) == ("gguf", "llm", "llama", "Q4_K_M")
    assert found["stored"] == {"q6_K": 8192, "q4_K": 65536 + 131072, "float32": 256}
    assert found["stored_bytes"] == BYTES
    assert found["parameters"] == 8192 + 65536 + 131072 + 256
    assert found["macs"] == 65536 + 131072 + 8192  # the embedding is the head too
    language = found["language"]
    assert (language["kv_values_per_token"], language["head_size"], language["vocabulary"]) == (2 * 2 * 32, 32, 32)
    layers = {x["example"]: x for x in found["layers"]}
    assert layers["blk.0.ffn_down"]["shape"] == [256, 512] and layers["blk.0.ffn_down"]["inner"] == 512
    assert layers["token_embd"]["role"] == "embedding" and layers["output_norm"]["role"] == "norm"


def test_experts_and_latent_attention(write):
    metadata = METADATA | {"llama.expert_count": u32(4), "llama.expert_used_count": u32(1)}
    metadata |= {"llama.attention.kv_lora_rank": u32(64), "llama.rope.dimension_count": u32(16)}
    tensors = [("blk.0.ffn_up_exps.weight", [256, 8, 4], F32, 0), ("output.weight", [256, 2], F32, 4 * 8192)]
    found = inspect(write(gguf(metadata, tensors, 4 * (8192 + 512))))
    assert found["language"]["active_parameters"] == found["macs"] == 8192 // 4 + 512
    assert found["language"]["kv_values_per_token"] == 80


def test_a_tokenizer_is_only_counted(write):
    words = array(8, 100_000, text("word") * 100_000)
    metadata = METADATA | {"tokenizer.ggml.tokens": words, "tokenizer.ggml.scores": array(6, 100_000, bytes(400_000))}
    assert inspect(write(gguf(metadata, TENSORS, sum(BYTES.values()))))["parameters"] == 205_056


def test_all_parts_are_one_model(write):
    write(gguf(METADATA, TENSORS[:1], BYTES["q6_K"]), "m-00001-of-00002.gguf")
    second = write(gguf({}, [("blk.0.attn_q.weight", [256, 256], Q4_K, 0)], 36864), "m-00002-of-00002.gguf")
    for path in (second, second.parent):
        found = inspect(path)
        assert found["parameters"] == 8192 + 65536
        assert list(found["files"]) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


def test_a_missing_part_is_named(write):
    refused(write(gguf(METADATA, TENSORS[:1], 6720), "m-00001-of-00003.gguf"), "m-00002-of-00003.gguf", "missing")


ONE = [("a.weight", [32], F32, 0)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no header"),
        (gguf(METADATA, ONE, 128, magic=b"FUGG"), "does not begin with GGUF"),
        (gguf(METADATA, ONE, 128, version=1), "version 1"),
        (gguf(METADATA, ONE, 128, version=1 << 31), "version"),
        (gguf(METADATA, ONE, 128, counts=(1 << 62, None)), "announced"),
        (gguf(METADATA, ONE, 128, counts=(None, 1 << 62)), "announced"),
        (gguf(METADATA, ONE, 128, counts=(3, None)), "truncated"),
        (gguf({"general.architecture": (8, struct.pack("<Q", 1 << 60))}, ONE, 128), "text"),
        (gguf({"general.architecture": (8, struct.pack("<Q", 300))}, ONE, 128), "text of 300"),
        (gguf({"a": array(9, 2, bytes(64))}, ONE, 128), "array of arrays"),
        (gguf({"a": array(8, 1 << 50, b"")}, ONE, 128), "array of"),
        (gguf({"a": array(8, 3, struct.pack("<Q", 1 << 40) * 3)}, ONE, 128), "beyond the file"),
        (gguf({"a": array(6, 1 << 60, b"")}, ONE, 128), "array of"),
        (gguf({"a": array(77, 1, b"")}, ONE, 128), "unknown type 77"),
        (gguf({"a": (77, b"")}, ONE, 128), "unknown type 77"),
        (gguf({"general.alignment": u32(0)}, ONE, 128), "alignment of 0"),
        (gguf({"general.alignment": u32(24)}, ONE, 128), "alignment of 24"),
        (gguf({"general.alignment": string("32")}, ONE, 128), "alignment of"),
        (gguf(METADATA, [("a", [1, 1, 1, 1, 1], F32, 0)], 128), "5 axes"),
        (gguf(METADATA, [("a", [1 << 40, 1 << 40], F32, 0)], 128), "impossible shape"),
        (gguf(METADATA, [("a", [0], F32, 0)], 128), "impossible shape"),
        (gguf(METADATA, [("a", [33], Q4_0, 0)], 128), "multiple of 32"),
        (gguf(METADATA, [("a", [32], 99, 0)], 128), "unknown type 99"),
        (gguf(METADATA, [("a", [32], F32, 1 << 60)], 128), "beyond the file"),
        (gguf(METADATA, [("a", [32], F32, 8)], 256), "not aligned"),
        (gguf(METADATA, ONE, 64), "beyond the file"),
        (gguf(METADATA, [("a", [32], F32, 0), ("b", [32], F32, 32)], 256), "overlaps"),
        (gguf(METADATA, ONE * 2, 128), "twice"),
        (gguf(METADATA, [("a" * 1000, [32], F32, 0)], 128), "text of 1000"),
        (gguf(METADATA, [], 0), "no tensors"),
        (gguf({"general.architecture": u32(3)}, ONE, 128), "a text is expected"),
        (gguf(METADATA | {"llama.block_count": u32(1_000_000)}, ONE, 128), "block_count"),
        (gguf(METADATA | {"llama.block_count": string("two")}, ONE, 128), "block_count"),
    ],
)
def test_what_does_not_fit_the_file_is_refused(write, content, words):
    refused(write(content), words)
