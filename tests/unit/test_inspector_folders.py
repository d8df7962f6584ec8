"""Hugging Face and MLX folders: figures held against sums by hand; what is damaged or unsafe is refused in one line."""

import json
import os

import pytest

from .inspected import LLAMA, LLAMA_LINEAR, LLAMA_PARAMETERS, folder, inspect, llama, refused


def test_a_decoder_is_described(tmp_path):
    found = inspect(folder(tmp_path / "m"))
    assert (found["format"], found["family"], found["modality"]) == ("huggingface", "llm", "text")
    assert (found["architecture"], found["quantized"], found["operators"]) == ("LlamaForCausalLM", None, {})
    assert (found["parameters"], found["stored"]) == (LLAMA_PARAMETERS, {"float32": LLAMA_PARAMETERS})
    assert found["stored_bytes"] == {"float32": 4 * LLAMA_PARAMETERS}
    assert found["macs"] == LLAMA_LINEAR + 32 * 8  # the embedding is the head too
    assert found["language"] == {
        "layers": 2, "hidden": 8, "heads": 4, "kv_heads": 2, "head_size": 2, "intermediate": 12, "vocabulary": 32, "context": 64,
        "kv_values_per_token": 2 * 2 * 2 * 2, "experts": None, "active_parameters": None,
    }  # fmt: skip
    assert found["activation_bytes"] == 4 * (2 * 8 + 32)
    assert "per token" in found["notes"][0]


def test_alike_layers_are_one(tmp_path):
    found = {(x["role"], tuple(x["shape"])): x for x in inspect(folder(tmp_path / "m", tensors=llama(head=True)))["layers"]}
    down = found["linear", (8, 12)]
    assert (down["count"], down["parameters"], down["inner"], down["operator"]) == (2, 192, 12, "Linear")
    assert down["example"] == "model.layers.0.mlp.down_proj"
    assert found["linear", (12, 8)]["count"] == 4
    assert found["norm", (8,)]["count"] == 5
    assert found["head", (32, 8)]["parameters"] == found["embedding", (32, 8)]["parameters"] == 256


def test_an_encoder_costs_what_its_tokens_do(tmp_path):
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}  # fmt: skip
    tensors = {"embeddings.word_embeddings.weight": ("F16", [32, 8]), "embeddings.position_ids": ("I64", [1, 16])}
    tensors |= {f"encoder.layer.0.attention.self.{n}.weight": ("F16", [8, 8]) for n in ("query", "key", "value")}
    tensors |= {
        "encoder.layer.0.intermediate.dense.weight": ("F16", [16, 8]),
        "encoder.layer.0.intermediate.dense.bias": ("F16", [16]),
    }
    tensors |= {"pooler.dense.weight": ("F16", [8, 8])}
    found = inspect(folder(tmp_path / "m", config, tensors))
    assert (found["family"], found["modality"], found["language"]) == ("tensor", "text", None)
    assert found["parameters"] == 256 + 3 * 64 + 128 + 16 + 64
    assert found["stored"] == {"float16": found["parameters"], "int64": 16}
    assert found["assumed"] == {"batch": 1, "sequence": 128}
    assert found["macs"] == 128 * (3 * 64 + 128) + 64 + 2 * 128 * 128 * 8
    wide = next(x for x in found["layers"] if x["shape"] == [16, 8])
    assert wide["parameters"] == 128 + 16


def test_experts_count_by_their_share(tmp_path):
    config = LLAMA | {"architectures": ["MixtralForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2}
    tensors = {"model.embed_tokens.weight": ("BF16", [32, 8]), "lm_head.weight": ("BF16", [32, 8])}
    tensors |= {f"model.layers.0.block_sparse_moe.experts.{i}.w1.weight": ("BF16", [12, 8]) for i in range(4)}
    tensors |= {"model.layers.0.block_sparse_moe.gate.weight": ("BF16", [4, 8])}
    found = inspect(folder(tmp_path / "m", config, tensors))
    assert found["parameters"] == 512 + 4 * 96 + 32
    assert (found["language"]["experts"], found["language"]["active_parameters"]) == (4, 512 + 2 * 96 + 32)
    assert found["macs"] == 256 + 2 * 96 + 32


@pytest.mark.parametrize(
    ("extra", "kv"),
    [
        ({"kv_lora_rank": 6, "qk_rope_head_dim": 2}, 2 * 8),
        ({"layer_types": ["full_attention", "linear_attention"]}, 2 * 2 * 2),
        ({"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 16}, 16),
        ({"model_type": "mamba"}, None),
        ({"model_type": "jamba"}, None),
        ({"head_dim": 16}, 2 * 2 * 2 * 16),
    ],
)
def test_the_cache_is_what_applies(tmp_path, extra, kv):
    assert inspect(folder(tmp_path / "m", LLAMA | extra))["language"]["kv_values_per_token"] == kv


@pytest.mark.parametrize(
    ("config", "modality", "family"),
    [
        ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}, "text_config": LLAMA}, "multimodal", "llm"),
        ({"architectures": ["CLIPModel"], "vision_config": {}, "text_config": {}}, "multimodal", "tensor"),
        ({"architectures": ["ResNetForImageClassification"], "num_channels": 3}, "vision", "tensor"),
        ({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": 32}, "audio", "tensor"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True, "vocab_size": 32}, "text", "tensor"),
        ({}, "unknown", "tensor"),
    ],
)
def test_kinds_of_models(tmp_path, config, modality, family):
    found = inspect(folder(tmp_path / "m", config))
    assert (found["modality"], found["family"]) == (modality, family)


def packed(group=32, bits=4, inputs=64, outputs=16):
    """A layer as MLX packs it."""
    return {"model.layers.0.mlp.up_proj.weight": ("U32", [outputs, inputs * bits // 32]),
            "model.layers.0.mlp.up_proj.scales": ("F16", [outputs, inputs // group]),
            "model.layers.0.mlp.up_proj.biases": ("F16", [outputs, inputs // group])}  # fmt: skip


def test_mlx_weights_are_counted_as_what_they_hold(tmp_path):
    config = LLAMA | {"quantization": {"group_size": 32, "bits": 4, "lm_head": {"group_size": 32, "bits": 8}}}
    found = inspect(
        folder(tmp_path / "m", config, packed() | {"model.norm.weight": ("F16", [16]), "lm_head.weight": ("U32", [4, 16])})
    )
    assert (found["format"], found["quantized"]) == ("mlx", "mlx 4-bit group 32")
    assert found["parameters"] == 16 * 64 + 16 + 4 * 64
    assert found["stored"] == {"uint4": 1024, "float16": 2 * 32 + 16, "uint8": 256}
    assert found["stored_bytes"] == {"uint4": 512, "float16": 160, "uint8": 256}
    layer = next(x for x in found["layers"] if x["role"] == "linear")
    assert (layer["shape"], layer["inner"]) == ([16, 64], 64)
    assert "some layers have 8 bits" in " ".join(found["notes"])


def test_mlx_without_quantization_says_so_itself(tmp_path):
    found = inspect(folder(tmp_path / "m", format="mlx"))
    assert (found["format"], found["quantized"], found["parameters"]) == ("mlx", None, LLAMA_PARAMETERS)


@pytest.mark.parametrize(
    ("quantization", "tensors", "shape", "told"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 32},
         {"qweight": ("I32", [8, 16]), "qzeros": ("I32", [2, 2]), "scales": ("F16", [2, 16]), "g_idx": ("I32", [64])},
         [16, 64], "gptq 4-bit group 32"),
        ({"quant_method": "awq", "bits": 4, "group_size": 32},
         {"qweight": ("I32", [64, 2]), "qzeros": ("I32", [2, 2]), "scales": ("F16", [2, 16])}, [16, 64], "awq 4-bit group 32"),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}},
         {"weight_packed": ("I32", [16, 8]), "weight_scale": ("BF16", [16, 2]), "weight_shape": ("I64", [2])},
         [16, 64], "compressed-tensors 4-bit group 32"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True},
         {"weight": ("U8", [512, 1]), "weight.absmax": ("U8", [16]), "weight.quant_map": ("F32", [16]),
          "weight.quant_state.bitsandbytes__nf4": ("U8", [90])}, [1024], "bitsandbytes 4-bit"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, {"weight": ("I8", [16, 64]), "SCB": ("F32", [16])},
         [16, 64], "bitsandbytes 8-bit"),
    ],
)  # fmt: skip
def test_packed_weights_of_hugging_face(tmp_path, quantization, tensors, shape, told):
    named = {f"model.layers.0.mlp.up_proj.{k}": v for k, v in tensors.items()}
    found = inspect(folder(tmp_path / "m", LLAMA | {"quantization_config": quantization}, named))
    assert (found["parameters"], found["quantized"], found["format"]) == (1024, told, "huggingface")
    [layer] = found["layers"]
    assert (layer["role"], layer["shape"]) == ("linear", shape)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[1, 2]", "a JSON list, an object is expected"),
        ("{", "not readable JSON"),
        ('{"a": ' + "[" * 100_000, "nested too deep"),
        (" " * (11 << 20) + "{}", "MB of JSON"),
        ("\x00\xff", "not readable JSON"),
        (json.dumps(LLAMA | {"hidden_size": "8"}), "hidden_size is '8'"),
        (json.dumps(LLAMA | {"hidden_size": True}), "hidden_size is True"),
        (json.dumps(LLAMA | {"hidden_size": 8.5}), "hidden_size is 8.5"),
        (json.dumps(LLAMA | {"num_hidden_layers": 10**12}), "num_hidden_layers is 1000000000000"),
        (json.dumps(LLAMA | {"num_hidden_layers": -1}), "num_hidden_layers is -1"),
        (json.dumps(LLAMA | {"vocab_size": {"a": 1}}), "vocab_size"),
        (json.dumps(LLAMA | {"architectures": "Llama"}), "architectures"),
        (json.dumps(LLAMA | {"text_config": [1]}), "text_config"),
        (json.dumps(LLAMA | {"quantization_config": {"bits": -4}}), "bits is -4"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "not readable JSON"),
        (json.dumps(LLAMA | {"auto_map": {"AutoModel": "modeling_x.Model"}}), "Strop runs no remote code"),
        (json.dumps({"text_config": LLAMA | {"auto_map": {"AutoModel": "x.Y"}}}), "Strop runs no remote code"),
        (json.dumps(LLAMA | {"model_file": "mine.py"}), "Strop runs no remote code"),
        (json.dumps(LLAMA | {"architectures": ["\ud800"]}), "architectures: an unpaired surrogate"),
    ],
)
def test_configurations_are_checked(tmp_path, config, words):
    path = folder(tmp_path / "m")
    (path / "config.json").write_text(config, encoding="latin-1")
    refused(path, words)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json", "processor_config.json"])
def test_code_that_other_files_name_is_told_of(tmp_path, name):
    path = folder(tmp_path / "m")
    (path / name).write_text('{"auto_map": {"AutoTokenizer": ["tokenization_x.XTok", null]}}')
    (path / "tokenization_x.py").write_text("raise SystemExit\n")
    notes = inspect(path)["code"]
    assert "tokenization_x.py beside the weights is not run" in notes
    assert f"{name} names code of the folder's own (auto_map), which is not run" in notes
    (path / name).write_text("[" * 9999)
    refused(path, name, "nested too deep")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl"])
def test_pickled_weights_are_never_opened(tmp_path, name):
    path = tmp_path / "m"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(LLAMA))
    os.mkfifo(path / "fifo")
    (path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    refused(path, "pickled")
    refused(path / name, "pickled")


def test_other_folders_are_named_with_what_is_known(tmp_path):
    refused(tmp_path, "no model of a known format")
    refused(tmp_path / "nothing", "no such file")
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.onnx").touch()
    refused(tmp_path, "2 models in it")


def test_the_table_of_words_is_the_head_not_that_of_positions(tmp_path):
    """GPT-2: positions come first by name; a tied head costs a product with every word."""
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 50,
        "n_positions": 16,
    }  # fmt: skip
    tensors = {
        "h.0.attn.c_attn.weight": ("F32", [8, 24]), "h.0.attn.c_proj.weight": ("F32", [8, 8]),
        "h.0.mlp.c_fc.weight": ("F32", [8, 32]), "h.0.mlp.c_proj.weight": ("F32", [32, 8]),
        "wpe.weight": ("F32", [16, 8]), "wte.weight": ("F32", [50, 8]),
    }  # fmt: skip
    found = inspect(folder(tmp_path / "m", config, tensors))
    assert found["macs"] == 12 * 8 * 8 + 50 * 8
    assert not any("tells of" in note for note in found["notes"])


def test_a_snapshot_of_a_download_cache_is_read_through_its_links(tmp_path):
    """MODEL/snapshots/REVISION/file is a link to MODEL/blobs/digest; links to anywhere else are refused."""
    model = tmp_path / "models--a--b"
    made = folder(model / "snapshots" / "made", LLAMA, llama())
    (model / "blobs").mkdir()
    for number, file in enumerate(sorted(made.iterdir())):
        file.rename(model / "blobs" / str(number))
        file.symlink_to(f"../../blobs/{number}")
    assert inspect(made)["architecture"] == "LlamaForCausalLM"
    (made / "config.json").unlink()
    (tmp_path / "secret.json").write_text('{"quantization_config": {"bits": "SECRET"}}')
    (made / "config.json").symlink_to(tmp_path / "secret.json")
    refused(made, "leaves the model's folder")


def test_a_decoder_whose_sizes_have_other_names(tmp_path):
    config = {
        "architectures": ["BartForCausalLM"], "model_type": "bart", "d_model": 8, "decoder_layers": 2,
        "decoder_attention_heads": 2, "vocab_size": 32,
    }  # fmt: skip
    found = inspect(folder(tmp_path / "m", config, llama()))
    assert found["language"]["layers"] == 2
