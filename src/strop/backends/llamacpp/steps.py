"""llama.cpp's build steps; child side. Each returns the name of the file to go on with, and what it says of it."""

import ctypes as c
import os
from collections import Counter
from typing import Any

import runner
from runner import BOOL, INT, POINTER, UNSIGNED

TYPES = {
    "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q2_K": 10, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "IQ4_NL": 25, "IQ4_XS": 30,
    "BF16": 32,
}  # fmt: skip
"""Mixes of types by llama.cpp's numbers (enum llama_ftype)."""
QuantizeParams = runner.structure(
    ("threads ftype output_type embedding_type", INT),
    ("allow_requantize quantize_output only_copy pure keep_split dry_run", BOOL), ("imatrix kv_overrides types prune", POINTER),
)  # fmt: skip


def quantize(artifact: str, out: str, data: dict[str, Any] | None, type: str) -> dict[str, Any]:
    """GGUF in another mix of types; tensors whose width does not fit a block get another type, which is read back and told."""
    lib = runner.library()
    params = lib.function("llama_model_quantize_default_params", QuantizeParams)()
    params.threads, params.ftype = os.cpu_count() or 1, TYPES[type]
    run = lib.function("llama_model_quantize", UNSIGNED, c.c_char_p, c.c_char_p, c.POINTER(QuantizeParams))
    lib.lines.clear()
    if run(artifact.encode(), out.encode(), c.byref(params)):
        raise runner.LlamaError(lib.why())
    fallbacks = [line.strip() for line in lib.lines if "not divisible" in line or "fallback" in line]
    return {"file": os.path.basename(out), "claims": {f"tensors in {name}": count for name, count in types_of(out).items()},
            "notes": fallbacks[-1:]}  # fmt: skip


def types_of(path: str) -> dict[str, int]:
    """How many tensors each type has, read back from the file."""
    from gguf import GGUFReader

    return dict(Counter(tensor.tensor_type.name for tensor in GGUFReader(path).tensors))
