"""Runs a language model's folder with ONNX Runtime GenAI. Needs onnxruntime-genai and numpy only.

The same file is measured by Strop and shipped in the bundle.
"""

import json
import os
from typing import Any

import numpy as np
import onnxruntime_genai as og

CACHE = "past_key_values.0.key"
"""What the model builder calls the first layer's keys: [batch, heads, context, head size]."""
TYPES = {"float32": "f32", "float16": "f16"}


class Session:
    """`reset()` forgets everything; `step(tokens, want)` takes token ids and goes on from what it holds."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        threads = int(settings.get("threads", 1))
        options = {
            "intra_op_num_threads": threads, "inter_op_num_threads": 1,
            "session.intra_op.allow_spinning": "1" if settings.get("spinning") else "0",
        }  # fmt: skip
        config = og.Config(os.path.dirname(os.path.abspath(path)))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": options}}}))
        self.model = og.Model(config)
        params = og.GeneratorParams(self.model)
        # The cache is allocated for this many tokens at once. Parameters that change later would not change the cache and crash.
        params.set_search_options(max_length=int(settings.get("context", 512)), do_sample=False)
        self.generator = og.Generator(self.model, params)
        held = self.generator.get_input(CACHE)
        self.properties = {
            "onnxruntime-genai": og.__version__, "threads": threads, "cache": TYPES.get(str(held.dtype), str(held.dtype)),
            "context": held.shape[2],
        }  # fmt: skip

    def reset(self) -> None:
        self.generator.rewind_to(0)

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens: float32 [1, vocabulary] for "last", [tokens, vocabulary] for "all", None for "none"."""
        self.generator.append_tokens(np.array(tokens, np.int32))  # a copy: it takes no array that cannot be written
        if want == "none":
            return None
        logits = self.generator.get_output("logits") if want == "all" else self.generator.get_logits()
        self.properties["precision"] = str(logits.dtype)
        return np.asarray(logits[0], np.float32)


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
