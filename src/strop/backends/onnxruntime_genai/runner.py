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
        self.model, self.context = og.Model(config), int(settings.get("context", 512))
        self.texts, self.past = int(settings.get("batch", 1)), 0
        self.generator = self._generator()
        held = self.generator.get_input(CACHE)
        self.properties = {
            "onnxruntime-genai": og.__version__, "threads": threads, "cache": TYPES.get(str(held.dtype), str(held.dtype)),
            "context": held.shape[2],
        }  # fmt: skip

    def _generator(self) -> Any:
        """For so many texts; its cache is allocated at once for all of them. Parameters that change later would crash it."""
        params = og.GeneratorParams(self.model)
        params.set_search_options(max_length=self.context, do_sample=False, batch_size=self.texts)
        return og.Generator(self.model, params)

    def _force(self, column: Any) -> None:
        """One more token for each text, shape [texts]. Of several texts it takes a prompt only, so its own choice is forced."""
        wanted = np.full_like(self.generator.get_logits(), -np.inf)
        wanted[np.arange(self.texts), 0, column] = 0
        self.generator.set_logits(wanted)
        self.generator.generate_next_token()

    def reset(self) -> None:
        self.generator.rewind_to(0)
        self.past = 0

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens, [tokens] of one text or [texts, tokens].

        float32 [texts, vocabulary] for "last", [tokens, vocabulary] for "all" of one text, None for "none". Another number of
        texts than before needs a `reset` first, as everywhere.
        """
        ids = np.array(tokens, np.int32, ndmin=2)  # a copy: it takes no array that cannot be written
        if len(ids) != self.texts:
            self.texts = len(ids)
            del self.generator
            self.generator = self._generator()
        if self.texts > 1 and self.past:
            for column in ids.T:
                self._force(column)
        else:
            self.generator.append_tokens(ids)
        self.past += ids.shape[1]
        if want == "none":
            return None
        logits = self.generator.get_output("logits") if want == "all" else self.generator.get_logits()
        if "precision" not in self.properties:
            self.properties["precision"] = str(logits.dtype)
        return np.asarray(logits[0] if want == "all" else logits[:, -1], np.float32)


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
