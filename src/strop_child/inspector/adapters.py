"""Folders of PEFT adapters: weights that change a model, and no model by themselves."""

import os

from strop_child.checked_json import Section, read_object, shown
from strop_child.refusal import ModelError

CONFIG = "adapter_config.json"


def refuse(path: str, names: list[str]) -> None:
    """Refuses a folder that holds an adapter and no model's weights.

    Args:
        names: of the files in it.

    Raises:
        ModelError: names the adapter, its model, and the command that merges them.
    """
    if CONFIG not in names or any(n.endswith((".safetensors", ".gguf")) and not n.startswith("adapter_") for n in names):
        return
    where = os.path.join(path, CONFIG)
    told = Section(read_object(where), where)
    base, kind = shown(told.text("base_model_name_or_path")), told.text("peft_type") or "PEFT"
    raise ModelError(
        f"{path}: an adapter ({kind}){f' of {base}' if base else ''}, which is no model by itself",
        f"give its model and merge it: strop optimize MODEL --adapter {path}, MODEL being the folder of {base or 'its model'}",
    )
