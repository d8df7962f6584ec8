"""Kinds of files and folders that people have, each taken or named with what can be done."""

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import pytest

import strop
from strop.core.errors import ModelError
from strop.run.located import located, repository
from strop.run.reading import read_inspection
from strop.run.request import make_request
from strop_child import refusal
from unit.inspected import LLAMA, folder, gguf, header, inspect, llama, string, u32, write_safetensors


def work(backend: str) -> Any:
    """A backend's child side; no framework is imported by looking at a folder."""
    path = Path(strop.__file__).parent / "backends" / backend / "work.py"
    spec = importlib.util.spec_from_file_location(f"field_{backend}_work", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRANSFORMERS, EXPORT = work("transformers"), work("export")
FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
VISION = {"vision_config": {}, "text_config": LLAMA}


@pytest.mark.parametrize(
    ("config", "words", "hint"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantized already (GPTQ)", "unquantized model"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantized already (AWQ)", "unquantized model"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "(bitsandbytes)", "dequantize()"),
        ({"quantization_config": FP8}, "quantized already (FP8)", "bf16"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "quantized already (MXFP4)", "Mxfp4Config(dequantize=True)"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "(compressed-tensors)", "decompressed"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "(AWQ)", "unquantized model"),
        ({"architectures": ["LlavaForConditionalGeneration"], **VISION}, "sees pictures", "text model"),
        ({"architectures": ["Qwen2_5_VLForConditionalGeneration"], "vision_config": {}}, "sees pictures", "text model"),
        ({"architectures": ["MambaForCausalLM"], "model_type": "mamba"}, "keeps a state", "convert_hf_to_gguf.py"),
        ({"architectures": ["Rwkv6ForCausalLM"], "model_type": "rwkv6"}, "keeps a state", ".gguf"),
        ({"architectures": ["XForCausalLM"], "layer_types": ["linear_attention", "full_attention"]}, "keeps a state", ".gguf"),
        (
            {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
            "an encoder and a decoder",
            "optimum-cli",
        ),
        ({"architectures": ["WhisperForConditionalGeneration"]}, "an encoder and a decoder", "optimum-cli"),
    ],
)
@pytest.mark.parametrize("reader", ["transformers", "export"])
def test_a_folder_of_another_kind_is_named(tmp_path: Path, config: dict[str, Any], words: str, hint: str, reader: str) -> None:
    made = folder(tmp_path / "m", {**LLAMA, **config})
    (made / "tokenizer.json").write_text("{}")
    look = TRANSFORMERS.inspect if reader == "transformers" else EXPORT.examine
    with pytest.raises(refusal.ModelError) as refused:
        look(str(made))
    assert str(made) in str(refused.value) and words in str(refused.value)
    assert hint in refused.value.hint


def test_an_embedding_model_is_no_writer(tmp_path: Path) -> None:
    made = folder(tmp_path / "m", {**LLAMA, "architectures": ["Qwen3ForCausalLM"]})
    for name in ("tokenizer.json", "modules.json"):
        (made / name).write_text("{}")
    with pytest.raises(refusal.ModelError, match="an embedding model") as refused:
        TRANSFORMERS.inspect(str(made))
    assert "--task feature-extraction" in refused.value.hint


def test_quantized_weights_without_a_word_of_it(tmp_path: Path) -> None:
    made = folder(tmp_path / "gptq")
    (made / "quantize_config.json").write_text('{"bits": 4}')  # as AutoGPTQ wrote it
    (made / "tokenizer.json").write_text("{}")
    with pytest.raises(refusal.ModelError, match="GPTQ"):
        TRANSFORMERS.inspect(str(made))
    odd = folder(tmp_path / "fp8")
    entry = {"dtype": "F8_E4M3", "shape": [4, 4], "data_offsets": [0, 16]}
    write_safetensors(odd / "model.safetensors", {"model.embed_tokens.weight": entry})
    (odd / "tokenizer.json").write_text("{}")
    with pytest.raises(refusal.ModelError, match=r"F8_E4M3, and config\.json does not say how"):
        TRANSFORMERS.inspect(str(odd))


ADAPTER = {"peft_type": "LORA", "base_model_name_or_path": "acme/stories", "r": 8, "lora_alpha": 16}


@pytest.mark.parametrize("config", [False, True])
def test_an_adapter_is_named_with_the_command_that_merges_it(tmp_path: Path, config: bool) -> None:
    write_safetensors(tmp_path / "adapter_model.safetensors", header({"a": ("F32", [2, 2])}))
    (tmp_path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    if config:
        (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    with pytest.raises(ModelError, match=r"an adapter \(LORA\) of acme/stories") as refused:
        read_inspection(tmp_path)
    assert f"--adapter {tmp_path}" in refused.value.hint


def test_a_whole_model_beside_an_adapter_is_a_model(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    assert inspect(tmp_path)["family"] == "llm"


def test_an_adapter_in_gguf_is_named(tmp_path: Path) -> None:
    told = {"general.architecture": string("llama"), "general.type": string("adapter"), "adapter.type": string("lora")}
    (tmp_path / "a.gguf").write_bytes(gguf(told, [("blk.0.attn_q.weight.lora_a", [32, 4], 0, 0)], 512))
    with pytest.raises(ModelError, match=r"an adapter \(lora\)") as refused:
        read_inspection(tmp_path / "a.gguf")
    assert "llama-export-lora -m MODEL.gguf" in refused.value.hint


def test_a_big_endian_gguf_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(64))
    with pytest.raises(ModelError, match="a big-endian GGUF") as refused:
        read_inspection(tmp_path / "m.gguf")
    assert "gguf-convert-endian" in refused.value.hint
    (tmp_path / "m.gguf").write_bytes(gguf({"a": u32(1)}, [], 0, version=9))
    with pytest.raises(ModelError, match="GGUF version 9"):
        read_inspection(tmp_path / "m.gguf")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4242\n"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tokenizer.model"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "m")
    (made / name).write_text(POINTER)
    with pytest.raises(ModelError, match=f"{name}: a git-LFS pointer") as refused:
        make_request(str(made))
    assert "git lfs pull" in refused.value.hint


@pytest.mark.parametrize(("name", "beside"), [("m.onnx", ""), ("m.gguf", ""), ("m.xml", "m.bin"), ("m.onnx", "m.onnx.data")])
def test_a_pointer_in_place_of_a_file(tmp_path: Path, name: str, beside: str) -> None:
    (tmp_path / name).write_text("x" * 2000)
    (tmp_path / (beside or name)).write_text(POINTER)
    with pytest.raises(ModelError, match="a git-LFS pointer"):
        located(tmp_path / name)


def cached(tmp_path: Path, *revisions: str) -> Path:
    """A model in the layout of Hugging Face's download cache."""
    plain, root = folder(tmp_path / "plain"), tmp_path / "hub" / "models--acme--tiny-stories"
    (root / "blobs").mkdir(parents=True)
    for revision in revisions:
        (root / "snapshots" / revision).mkdir(parents=True)
        for file in plain.iterdir():
            (root / "blobs" / file.name).write_bytes(file.read_bytes())
            (root / "snapshots" / revision / file.name).symlink_to(f"../../blobs/{file.name}")
    return root


def test_the_root_of_a_cached_model_is_its_snapshot(tmp_path: Path) -> None:
    root = cached(tmp_path, "aaa", "bbb")
    with pytest.raises(ModelError, match="2 snapshots, and none is that of its main branch"):
        located(root)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("bbb")
    assert located(root) == root / "snapshots" / "bbb"
    assert make_request(str(root)).model == str(root / "snapshots" / "bbb")
    assert read_inspection(root).family == "llm"
    assert repository(located(root)) == "tiny-stories"
    with pytest.raises(ModelError, match="a download cache of 1 models"):
        located(root.parent)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    root = cached(tmp_path, "aaa")
    (root / "blobs" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: a link to .*blobs/model\.safetensors, which is not there"):
        located(root)
    (tmp_path / "m.gguf").symlink_to("gone.gguf")
    with pytest.raises(ModelError, match=r"a link to gone\.gguf"):
        read_inspection(tmp_path / "m.gguf")


def test_long_metadata_is_no_damage(tmp_path: Path) -> None:
    made = folder(tmp_path / "m")
    write_safetensors(made / "model.safetensors", header(llama(), format="pt", training="x{" * (1 << 20)))
    assert inspect(made)["parameters"] == inspect(folder(tmp_path / "n"))["parameters"]


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_byte_order_mark_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "m")
    (made / "tokenizer.json").write_text("{}")
    (made / name).write_text("\ufeff" + json.dumps(LLAMA), encoding="utf-8")
    with pytest.raises(refusal.ModelError, match=rf"{name}: begins with a UTF-8 byte order mark"):
        inspect(made)
        TRANSFORMERS.inspect(str(made))


def test_links_of_people_are_followed(tmp_path: Path) -> None:
    root = cached(tmp_path, "aaa")
    (tmp_path / "mine").symlink_to(root / "snapshots" / "aaa")
    assert inspect(located(tmp_path / "mine"))["family"] == "llm"
