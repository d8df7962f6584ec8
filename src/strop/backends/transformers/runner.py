"""Runs a language model's Hugging Face folder with PyTorch. Needs transformers, torch and numpy.

The same file is measured by Strop and shipped in the bundle.
"""

import os
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def attention(folder: str) -> str | None:
    """Which of PyTorch's attentions computes this model; None leaves it to transformers.

    The fused one that transformers prefers has no soft cap, and it leaves Gemma 2's out without a word.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return "eager" if getattr(config, "attn_logit_softcapping", None) else None


def loaded(folder: str, dtype: Any) -> Any:
    """The folder's model.

    Raises:
        ValueError: its weights do not fit its configuration, or some are not there; names one.
    """
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            attn_implementation=attention(folder),
        )  # fmt: skip
    except RuntimeError as error:
        said = " ".join(str(error).split())
        what = said.partition("size mismatch for ")[2] or said
        raise ValueError(f"the weights do not fit config.json: {what[:200]}") from None
    if told["missing_keys"]:  # transformers would make them up
        raise ValueError(f"{len(told['missing_keys'])} weights are not there, such as {sorted(told['missing_keys'])[0]}")
    return model.eval()


class Session:
    """`reset()` forgets everything; `step(tokens, want)` takes token ids and goes on from what it holds."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        if "threads" in settings:
            torch.set_num_threads(int(settings["threads"]))
        folder = path if os.path.isdir(path) else os.path.dirname(path)
        dtype = TYPES[str(settings.get("precision", "fp32"))]
        self.model = loaded(folder, dtype)
        self.past: Any = None
        self.properties = {
            "precision": str(dtype).rpartition(".")[2],
            "threads": torch.get_num_threads(),
            "cache": str(dtype).rpartition(".")[2],
        }

    def reset(self) -> None:
        self.past = None

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens, [tokens] of one text or [texts, tokens].

        float32 [texts, vocabulary] for "last", [tokens, vocabulary] for "all" of one text, None for "none".
        """
        ids = torch.from_numpy(np.array(tokens, np.int64, ndmin=2))
        keep = 0 if want == "all" else 1
        with torch.inference_mode():
            out = self.model(input_ids=ids, past_key_values=self.past, use_cache=True, logits_to_keep=keep)
        self.past = out.past_key_values
        if want == "none":
            return None
        return (out.logits[0] if want == "all" else out.logits[:, -1]).float().numpy()


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
