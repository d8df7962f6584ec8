"""Runs a converted language model with MLX. Needs mlx, mlx-lm and numpy; mlx-lm brings transformers, PyTorch is not needed.

The same file is measured by Strop and shipped in the bundle.
"""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

TYPES = {mx.float32: "f32", mx.float16: "f16", mx.bfloat16: "bf16"}


def device() -> str:
    """`gpu` or `cpu`: where MLX computes here."""
    return "gpu" if mx.default_device().type == mx.DeviceType.gpu else "cpu"


def in_fp32(value: Any) -> Any:
    """Floating point as fp32, packed weights as they are."""
    return value.astype(mx.float32) if mx.issubdtype(value.dtype, mx.floating) else value


def floating(arrays: Any) -> list[str]:
    """The floating-point types among these arrays, by their short names."""
    return sorted({TYPES[value.dtype] for _, value in tree_flatten(arrays) if getattr(value, "dtype", None) in TYPES})


class Session:
    """`reset()` forgets everything; `step(tokens, want)` takes token ids and goes on from what it holds."""

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        folder = Path(path) if os.path.isdir(path) else Path(path).parent
        self.model, config = load_model(folder, trust_remote_code=False)
        quantized = config.get("quantization")
        widened = bool(quantized) and device() == "cpu"
        if widened:  # a CPU multiplies packed weights by 16-bit numbers some thirty times slower than by 32-bit ones
            self.model.update(tree_map(in_fp32, self.model.parameters()))
        mx.eval(self.model.parameters())
        held = f"{quantized['bits']} bits in groups of {quantized['group_size']}, " if quantized else ""
        computed = " and ".join(floating(self.model.parameters()))
        self.properties: dict[str, Any] = {
            "mlx": version("mlx"), "mlx-lm": version("mlx-lm"), "device": device(), "threads": "not settable",
            "precision": f"{held}computed in {computed}{', widened for this CPU' if widened else ''}",
            "context": int(settings.get("context", 512)),
        }  # fmt: skip
        self.reset()
        self.step([0], "none")  # what type a cache has shows once it holds something
        self.properties["cache"] = self._cache_kind()
        self.reset()

    def reset(self) -> None:
        self.cache: Any = make_prompt_cache(self.model)

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens, [tokens] of one text or [texts, tokens].

        float32 [texts, vocabulary] for "last", [tokens, vocabulary] for "all" of one text, None for "none". MLX computes nothing
        until it is asked to: logits or cache are, so that no step pays for another.
        """
        ids = mx.array(np.array(tokens, np.int32, ndmin=2))
        before = {"all": 0, "last": ids.shape[1] - 1, "none": ids.shape[1]}[want]
        if before:  # the head is not computed for what nobody looks at
            self.model(ids[:, :before], cache=self.cache)
            mx.eval([layer.state for layer in self.cache])
        if want == "none":
            return None
        found = self.model(ids[:, before:], cache=self.cache)
        logits = (found[0] if want == "all" else found[:, -1]).astype(mx.float32)
        mx.eval(logits)  # which needs what every layer's cache was given
        return np.array(logits)

    def _cache_kind(self) -> str:
        """The type of what the cache holds, read from its arrays."""
        return " and ".join(floating([layer.state for layer in self.cache]))


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
