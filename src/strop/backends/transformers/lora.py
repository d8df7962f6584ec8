"""Merges a LoRA adapter into a folder's weights, as PEFT's `merge_and_unload` does. Needs torch and safetensors; child side.

W + scale · B A (LoRA, arXiv:2106.09685, section 4.1), scale being alpha / r, with rsLoRA alpha / √r (arXiv:2312.03732).
"""

import math
import os
import re
import shutil
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from strop_child.checked_json import Section, read_object
from strop_child.refusal import ModelError

CONFIG, WEIGHTS, WHOLE = "adapter_config.json", "adapter_model.safetensors", "model.safetensors"
PREFIX = "base_model.model."
COPIED = (".json", ".model", ".txt", ".jinja")
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model", "vocab.json",
    "merges.txt", "chat_template.jinja",
)  # fmt: skip
YOURSELF = "merge it yourself: peft.AutoPeftModelForCausalLM.from_pretrained(ADAPTER).merge_and_unload().save_pretrained(OUT)"
MOST = 1 << 20


def merge(folder: str, adapter: str, out_dir: str) -> None:
    """Writes the folder with the adapter in its weights; the tokenizer is the adapter's where it has one.

    Raises:
        ModelError: another kind of adapter, or one of another model.
    """
    told = Section(read_object(os.path.join(adapter, CONFIG)), os.path.join(adapter, CONFIG))
    refuse_others(told, adapter)
    changes = read_changes(adapter)
    names = sorted(n for n in os.listdir(folder) if n.endswith(".safetensors"))
    left = set(changes)
    for name in [WHOLE] if WHOLE in names else names:
        weights = load_file(os.path.join(folder, name))
        for module in sorted(left):
            mine = next((key for key in named(module) if key in weights), None)
            if mine is not None:
                weights[mine] = changed(weights[mine], changes[module], told, module, adapter)
                left.discard(module)
        save_file({key: value.contiguous() for key, value in weights.items()}, os.path.join(out_dir, name), {"format": "pt"})
    if left:
        base = told.text("base_model_name_or_path")
        raise ModelError(
            f"{adapter}: it changes {sorted(left)[0]!r}, which {folder} does not have",
            f"give the folder of the model that it was trained on{f', {base}' if base else ''}; {YOURSELF}",
        )
    own = os.path.isfile(os.path.join(adapter, TOKENIZER[0]))
    for name in sorted(os.listdir(folder)):
        if name.endswith(COPIED) and os.path.isfile(os.path.join(folder, name)) and not (own and name in TOKENIZER):
            shutil.copyfile(os.path.join(folder, name), os.path.join(out_dir, name))
    for name in TOKENIZER if own else ():
        if os.path.isfile(os.path.join(adapter, name)):
            shutil.copyfile(os.path.join(adapter, name), os.path.join(out_dir, name))


def refuse_others(told: Section, adapter: str) -> None:
    """Raises ModelError for adapters of another formula."""
    kind = told.text("peft_type")
    if kind != "LORA":
        raise ModelError(f"{adapter}: an adapter of kind {kind or 'unknown'}; LoRA is merged here", YOURSELF)
    if told.flag("use_dora"):
        raise ModelError(f"{adapter}: DoRA, which also rescales the weights, is not merged here", YOURSELF)
    if not os.path.isfile(os.path.join(adapter, WEIGHTS)):
        raise ModelError(f"{adapter}: no {WEIGHTS} in it; pickled weights are not opened", "save it again with a current PEFT")


def read_changes(adapter: str) -> dict[str, dict[str, Any]]:
    """Weight's name → A and B to add their product, or `whole`, which takes its place."""
    found: dict[str, dict[str, Any]] = {}
    with safe_open(os.path.join(adapter, WEIGHTS), "pt") as file:
        for key in file.keys():  # noqa: SIM118 - not a dict
            name = key.removeprefix(PREFIX).replace(".modules_to_save.", ".").replace(".base_layer.", ".")
            low = re.fullmatch(r"(.+)\.lora_(embedding_)?([AB])(?:\.default)?(?:\.weight)?", name)
            value = file.get_tensor(key)
            if low is not None:
                change = found.setdefault(f"{low[1]}.weight", {})
                change[low[3]] = value.T if low[2] else value
                change["flip"] = bool(low[2])
            elif name.endswith((".weight", ".bias")):
                found.setdefault(name, {})["whole"] = value
            else:
                raise ModelError(f"{adapter}: tensor {key[:120]!r} is none that is merged here", YOURSELF)
    return found


def named(name: str) -> list[str]:
    """What a weight may be called in the folder: some were saved without the model's prefix."""
    return [name, name.removeprefix("model."), f"model.{name}"]


def changed(weight: Any, change: dict[str, Any], told: Section, name: str, adapter: str) -> Any:
    """The weight with its change, in its own type; computed in float32."""
    if "whole" in change and change["whole"].shape == weight.shape:
        return change["whole"].to(weight.dtype)
    if not {"A", "B"} <= change.keys() or change["A"].ndim != 2 or change["B"].ndim != 2:
        raise ModelError(f"{adapter}: its change of {name!r} is of a form that is not merged here", YOURSELF)
    first, second = change["A"].float(), change["B"].float()
    delta = first @ second if change["flip"] else second @ first
    rank = first.shape[1] if change["flip"] else first.shape[0]
    delta = delta.T if told.flag("fan_in_fan_out") and not change["flip"] else delta
    if delta.shape != weight.shape:
        raise ModelError(
            f"{adapter}: its change of {name!r} is {list(delta.shape)}, the weight {list(weight.shape)}",
            "give the folder of the model that it was trained on",
        )
    return (weight.float() + delta * scale_of(told, name.removesuffix(".weight"), rank)).to(weight.dtype)


def scale_of(told: Section, module: str, rank: int) -> float:
    """What the product of a module is multiplied with; PEFT lets patterns of names have an alpha of their own."""
    patterns = told.part("alpha_pattern")
    try:
        own = [p for p in (patterns.values if patterns is not None else ()) if re.match(rf"(.*\.)?({p})$", module)]
    except re.error as error:
        raise ModelError(f"{told.where}: alpha_pattern holds no regular expression: {error}", YOURSELF) from None
    alpha = patterns.number(own[0]) if patterns is not None and own else told.number("lora_alpha")
    if alpha is None:
        raise ModelError(f"{told.where}: no lora_alpha", "copy it again from where the adapter came from")
    return float(alpha / (math.sqrt(rank) if told.flag("use_rslora") else rank))
