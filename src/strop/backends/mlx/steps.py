"""MLX's build steps; child side. Each returns the file to go on with, and what it reads back from the files it wrote."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.utils import load_model, quantize_model, save_config, save_model
from safetensors import safe_open

CONFIG = "config.json"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
)
"""Copied as they are, so that MLX's own tools run the folder too."""
TYPES = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
WORD = 32
"""Bits of the words that packed weights lie in."""


class ConversionError(Exception):
    """The model cannot be converted so."""


class Held(NamedTuple):
    """A layer as the converted files have it. Bits and group size are None where it was left in floating point."""

    name: str
    width: int
    kind: str
    bits: int | None = None
    group: int | None = None


def convert(folder: str, out_dir: str, kind: str) -> dict[str, Any]:
    """MLX's folder with every number in one floating-point type."""
    model, config = loaded(folder, kind)
    return written(folder, out_dir, model, config)


def quantize(folder: str, out_dir: str, bits: int, group: int) -> dict[str, Any]:
    """MLX's folder with linear layers and embeddings in few bits, the rest in fp16.

    Raises:
        ConversionError: no layer's width is a multiple of the group size, of which MLX itself says nothing.
    """
    model, config = loaded(folder, "float16")
    widths = {name: layer.weight.shape[-1] for name, layer in model.named_modules() if hasattr(layer, "to_quantized")}
    model, config = quantize_model(model, config, group, bits)
    return written(folder, out_dir, model, config, widths, group)


def loaded(folder: str, kind: str) -> tuple[Any, dict[str, Any]]:
    """The given model, from safetensors alone and without any code of its own."""
    model, config = load_model(Path(folder), lazy=True, trust_remote_code=False)
    wanted = getattr(mx, kind)
    model.update(
        tree_map(lambda value: value.astype(wanted) if mx.issubdtype(value.dtype, mx.floating) else value, model.parameters())
    )
    config.pop("torch_dtype", None)
    return model, {**config, "dtype": kind}


def written(
    folder: str, out_dir: str, model: Any, config: dict[str, Any], widths: Mapping[str, int] | None = None, group: int = 0
) -> dict[str, Any]:
    """Writes the folder, then tells what is in it."""
    out = Path(out_dir)
    save_model(out, model)
    save_config(config, out / CONFIG)
    for name in TOKENIZER:
        if os.path.isfile(os.path.join(folder, name)):
            shutil.copyfile(os.path.join(folder, name), out / name)
    if not widths:
        return {"file": CONFIG, "claims": {f"tensors in {kind}": count for kind, count in types_in(out).items()}}
    layers = layers_in(out, widths)
    require_quantized(layers, group)
    return {"file": CONFIG, "claims": claims(layers), "notes": notes(layers, group)}


def headers(out: Path) -> dict[str, tuple[str, list[int]]]:
    """Tensor → type and shape, by the headers of the written files."""
    found = {}
    for path in sorted(out.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                part = file.get_slice(name)
                found[name] = (part.get_dtype(), part.get_shape())
    return found


def types_in(out: Path) -> dict[str, int]:
    """How many tensors each type has."""
    return dict(Counter(TYPES.get(kind, kind) for kind, _ in headers(out).values()))


def layers_in(out: Path, widths: Mapping[str, int]) -> list[Held]:
    """Each layer that could be quantized: bits from how far its weight is packed, group size from how many scales it has."""
    tensors, found = headers(out), []
    for name, width in widths.items():
        if f"{name}.weight" not in tensors:
            continue  # stored with another, as a tied head is
        kind, shape = tensors[f"{name}.weight"]
        scales = tensors.get(f"{name}.scales")
        packed = (shape[-1] * WORD // width, width // scales[1][-1]) if scales is not None else (None, None)
        found.append(Held(name, width, TYPES.get(kind, kind), *packed))
    return found


def require_quantized(layers: list[Held], group: int) -> None:
    """MLX skips every layer whose width its groups do not divide, and ends well even if that was all of them."""
    if any(layer.bits is not None for layer in layers):
        return
    widths = ", ".join(str(width) for width in sorted({layer.width for layer in layers}))
    example = f"; {layers[0].name}.weight has {layers[0].width}" if layers else ""
    raise ConversionError(
        f"group size {group} divides the width of no layer ({widths or 'there is none'}), so nothing was quantized{example}"
    )


def claims(layers: list[Held]) -> dict[str, int]:
    """Layers by what the files hold them in."""
    packed = Counter(f"layers in {layer.bits} bits" for layer in layers if layer.bits is not None)
    left = Counter(f"layers left in {layer.kind}" for layer in layers if layer.bits is None)
    groups = {layer.group for layer in layers if layer.group is not None}
    return {**packed, **left, "group size": max(groups)}


def notes(layers: list[Held], group: int) -> list[str]:
    """Which layers stayed as they were."""
    left = [layer for layer in layers if layer.bits is None]
    if not left:
        return []
    widths = sorted({layer.width for layer in left})
    odd = f"of width {', '.join(map(str, widths))}, no multiple of {group}"
    return [f"{len(left)} of {len(layers)} layers are not quantized: {odd} (such as {left[0].name}.weight)"]
