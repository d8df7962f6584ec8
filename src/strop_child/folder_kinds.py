"""Kinds of Hugging Face folders that are not optimized here as they are: named, with what can be done. Nothing is executed."""

import json
from collections.abc import Sequence
from pathlib import Path

from strop_child.checked_json import Section, read_object
from strop_child.refusal import ModelError

STATE_SPACE = (
    "mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7", "xlstm", "jamba", "bamba", "zamba", "zamba2",
    "recurrent_gemma", "falcon_h1", "nemotron_h", "granitemoehybrid", "qwen3_next", "lfm2", "kimi_linear",
)  # fmt: skip
RECURRENT = ("linear_attention", "mamba", "recurrent", "conv")
"""In the name of a layer's type: layers that keep a state in place of keys and values."""
DECODERS, GENERATORS = ("ForCausalLM", "LMHeadModel"), ("ForConditionalGeneration", "ForImageTextToText", "ForVision2Seq")
UNQUANTIZED = "give the unquantized model that it was made from: rounding what is rounded already loses twice"
WAYS = {
    "fp8": "give the model in bf16 or fp16, as most makers publish it beside; or dequantize it: each weight times its scale",
    "fbgemm_fp8": "give the model in bf16 or fp16, as most makers publish it beside",
    "mxfp4": "save a copy in bf16 with transformers (Mxfp4Config(dequantize=True), then save_pretrained) and give that; or give "
    "its GGUF file",
    "bitsandbytes": f"{UNQUANTIZED}; or, where bitsandbytes runs, save model.dequantize()",
    "compressed-tensors": f"{UNQUANTIZED}; or save it decompressed with llm-compressor",
}
"""Method → what can be done with such a folder."""
METHODS = {
    "gptq": "GPTQ", "awq": "AWQ", "bitsandbytes": "bitsandbytes", "fp8": "FP8", "fbgemm_fp8": "FP8", "mxfp4": "MXFP4",
}  # fmt: skip


def refuse(path: str, config: Section, names: Sequence[str]) -> None:
    """Refuses what is no plain model.

    Args:
        config: its config.json. names: of the files in the folder.

    Raises:
        ModelError: names the kind, and what can be done.
    """
    kind = quantized_by(path, config, names)
    if kind:
        raise ModelError(
            f"{path}: quantized already ({METHODS.get(kind, kind)}); an unquantized model is expected",
            WAYS.get(kind, UNQUANTIZED),
        )
    architecture = (config.texts("architectures") or [config.text("model_type")])[0]
    if config.has("vision_config", "vision_tower", "audio_config") and architecture.endswith((*DECODERS, *GENERATORS)):
        raise ModelError(
            f"{path}: {architecture} sees pictures or hears sounds as well as it reads text; text models are optimized here",
            "give the family's text model, or the text part saved as a model of its own (…ForCausalLM), or its GGUF file",
        )
    if config.flag("is_encoder_decoder") or architecture.endswith("ForConditionalGeneration"):
        raise ModelError(
            f"{path}: {architecture} has an encoder and a decoder; it is not exported here in one piece",
            f"export the parts and optimize each: optimum-cli export onnx --model {path} OUT, then strop optimize OUT/….onnx",
        )
    if not architecture.endswith(DECODERS):
        return
    layers = [k for k in config.texts("layer_types") + config.texts("layers_block_type") if k.startswith(RECURRENT)]
    if config.text("model_type") in STATE_SPACE or layers:
        raise ModelError(
            f"{path}: {architecture} keeps a state in place of keys and values in some or all layers, which is not measured here "
            "from a folder",
            "convert it with llama.cpp's convert_hf_to_gguf.py, and give the .gguf file",
        )
    if "modules.json" in names:
        raise ModelError(
            f"{path}: an embedding model (modules.json beside {architecture}); as a language model it would be judged by the "
            "text that it writes",
            f"export it to ONNX (optimum-cli export onnx --task feature-extraction --model {path} OUT) and give that with "
            "--task feature-extraction",
        )


def quantized_by(path: str, config: Section, names: Sequence[str]) -> str:
    """The method by which a folder's weights are quantized; empty where they are not."""
    text = config.part("text_config")
    for part in (config, text):
        told = part.part("quantization_config", "quantization") if part is not None else None
        if told is not None:
            return told.text("quant_method") or ("fp8" if told.has("fmt") else "a method that config.json does not name")
    beside = Path(path, "quantize_config.json")
    packed = any(n.endswith(".safetensors") for n in names) and beside.is_file()
    return Section(read_object(str(beside)), str(beside)).text("quant_method") or "gptq" if packed else ""


def types_of(path: Path) -> dict[str, str]:
    """Name → type of the matrices in a safetensors file that the inspector has checked."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: entry["dtype"] for name, entry in header.items() if name != "__metadata__" and len(entry["shape"]) > 1}
