"""Makes tiny language models of random weights, one an architecture, and saves them as their library does.

Run by path with a Python that has torch and transformers: `language_folders.py OUT TOKENIZER KIND …`. Each kind becomes a folder
in OUT with configuration, weights and the tokenizer files of the folder TOKENIZER.
"""

import math
import shutil
import sys
from pathlib import Path

import torch
import transformers

HIDDEN, HEADS, PAIRS, HEAD, WINDOW = 128, 4, 2, 32, 64
"""WINDOW: of architectures whose attention slides; shorter than what is scored at once."""
SHARED = {
    "vocab_size": 512, "hidden_size": HIDDEN, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": HEADS,
    "num_key_value_heads": PAIRS, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    "dtype": "float32",
}  # fmt: skip
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json")
KINDS = {
    "llama3": ("Llama", {"rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }}),
    "smollm": ("Llama", {"num_attention_heads": 3, "num_key_value_heads": 1, "hidden_size": 96, "tie_word_embeddings": True}),
    "smollm3": ("SmolLM3", {"num_hidden_layers": 4, "no_rope_layer_interval": 4, "tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral-sliding": ("Mistral", {"sliding_window": WINDOW}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2-sliding": ("Qwen2", {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {"head_dim": 2 * HEAD, "tie_word_embeddings": True}),
    "qwen3-sliding": ("Qwen3", {
        "head_dim": 2 * HEAD, "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1,
    }),
    "phi3": ("Phi3", {"sliding_window": None, "original_max_position_embeddings": 512}),
    "phi3-sliding": ("Phi3", {"sliding_window": WINDOW, "original_max_position_embeddings": 512}),
    "phi3-long": ("Phi3", {
        "sliding_window": None, "original_max_position_embeddings": 512, "max_position_embeddings": 2048,
        "rope_scaling": {
            "type": "longrope", "short_factor": [1 + 0.05 * i for i in range(HEAD // 2)],
            "long_factor": [1 + 0.5 * i for i in range(HEAD // 2)],
        },
    }),
    "gemma": ("Gemma", {"head_dim": 2 * HEAD, "num_key_value_heads": 1}),
    "gemma2": ("Gemma2", {
        "head_dim": HEAD, "query_pre_attn_scalar": HEAD, "sliding_window": WINDOW, "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 5.0,
    }),
    "gemma3": ("Gemma3", {
        "head_dim": 2 * HEAD, "query_pre_attn_scalar": 2 * HEAD, "sliding_window": WINDOW, "num_hidden_layers": 6,
    }),
}  # fmt: skip
"""Name → the library's prefix of its classes, and what its configuration says beside SHARED."""
STRONG = {"q_proj": 1.5, "k_proj": 1.5, "qkv_proj": 1.5, "o_proj": 3.0, "down_proj": 3.0, "lm_head": 2.0}
"""Matrices larger than others, so that attention, and what layers add to the embedding, show in the answers."""


def randomize(model: torch.nn.Module, gemma: bool) -> None:
    """Answers differ from token to token, and no bias or scale is one that could be forgotten."""
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.ndim == 1:
                usual = 0.0 if gemma or name.endswith("bias") else 1.0  # Gemma's norms add 1 to their weights
                values.normal_(usual + 0.2, 0.2)
            else:
                strength = next((factor for part, factor in STRONG.items() if part in name), 1.0)
                values.normal_(0, strength / math.sqrt(values.shape[-1]))


def make(kind: str, folder: Path, tokenizer: Path) -> None:
    prefix, more = KINDS[kind]
    config_class = getattr(transformers, f"{prefix}TextConfig" if prefix == "Gemma3" else f"{prefix}Config")
    config = config_class(**{**SHARED, **more})
    model = getattr(transformers, f"{prefix}ForCausalLM")(config)
    randomize(model, prefix.startswith("Gemma"))
    model.eval().save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copyfile(tokenizer / name, folder / name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in sys.argv[3:] or KINDS:
        torch.manual_seed(0)
        make(kind, Path(sys.argv[1]) / kind, Path(sys.argv[2]))
