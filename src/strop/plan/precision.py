"""What a model takes at each precision, what of it can be quantized how, and whether that fits a device. Pure; all estimates."""

from collections.abc import Sequence

from strop.core.inspection import PRECISIONS, Fit, Footprint, Inspection, Layer, Quantizable
from strop.core.quantity import show_bytes
from strop.core.recipe import Held
from strop.core.target import Target

BITS = {"fp32": 32.0, "fp16": 16.0, "int8": 8.5, "int4": 4.5}
"""Bits a quantized weight takes with its share of a 16-bit scale: a scale for 32 weights, as GGUF's Q8_0 and Q4_0 have it."""
LOWER = {"int8": ("int8",), "int4": ("int4", "int8")}
"""What a layer is quantized to, first what it can take."""
CACHE_BYTES = 2
"""A cached number in FP16, the runtimes' default."""
USUAL_CONTEXT = 4096
AS_IT_IS = "as it is"
TIGHT, FULL = 0.6, 0.9
"""Shares of a device's memory: the system and the application need the rest."""
WEIGHTED: dict[str, tuple[str, ...]] = {
    "linear": ("int8 static", "int8 dynamic", "int8 weights", "int4 weights"),
    "head": ("int8 static", "int8 dynamic", "int8 weights", "int4 weights"),
    "conv": ("int8 static",),
    "depthwise": ("int8 static",),
    "embedding": ("int8 weights",),
    "recurrent": ("int8 dynamic",),
}
SENSITIVE = {
    "head": "its answers are the model's answers: first to be left in floating point",
    "depthwise": "few weights a channel, of very different size: needs a scale a channel",
    "embedding": "a small share of the time; rounding errors reach every layer",
    "recurrent": "errors add up from step to step",
}


def weights_bytes(inspection: Inspection, precision: str) -> int:
    """Bytes of the weights at a precision.

    For int8 every layer that can be quantized is, with its scales; for int4 those that can take it, and the others to int8; what
    takes neither stays in FP16.
    """
    if precision not in LOWER:
        return round(inspection.parameters * BITS[precision] / 8)
    bits, rest = 0.0, inspection.parameters
    for layer in inspection.layers:
        ways = WEIGHTED.get(layer.role, ())
        taken = next((p for p in LOWER[precision] if any(way.startswith(p) for way in ways)), None)
        if taken is not None:
            bits += layer.parameters * BITS[taken]
            rest -= layer.parameters
    return round((bits + rest * BITS["fp16"]) / 8)


def footprints(inspection: Inspection, context: int | None = None) -> tuple[Footprint, ...]:
    """Weights and memory at each precision; of a model that is quantized already, as it is.

    Args:
        context: tokens in a language model's cache; None takes `cached`.
    """
    more = inspection.activation_bytes or 0
    language = inspection.language
    if language is not None and language.kv_values_per_token is not None:
        more += language.kv_values_per_token * CACHE_BYTES * (context or cached(inspection))
    if inspection.quantized:
        sizes = {AS_IT_IS: sum(inspection.stored_bytes.values())}
    else:
        sizes = {precision: weights_bytes(inspection, precision) for precision in PRECISIONS}
    return tuple(Footprint(precision=p, weights=size, memory=size + more) for p, size in sizes.items())


def language_footprint(
    held: Held, precision: str, inspection: Inspection, context: int, window: int = 512, texts: int = 1
) -> Footprint:  # fmt: skip
    """Weights and peak memory of a language model under one recipe, with a cache of so many tokens for each of so many texts,
    which are fed `window` tokens at a time.

    Weights that are in no layer, such as those of norms, count as FP32, and so do the activations of a part of a long prompt.
    """
    language = inspection.language
    layers = {role: sum(x.parameters for x in inspection.layers if x.role == role) for role in ("linear", "embedding", "head")}
    bits = layers["linear"] * held.linear + layers["head"] * held.head
    tied = not layers["head"]
    bits += layers["embedding"] * (held.head if tied and held.shared else held.embedding + (held.head if tied else 0))
    bits += (inspection.parameters - sum(layers.values())) * BITS["fp32"]
    values = language.kv_values_per_token or 0 if language is not None else 0
    wide = 2 * (language.intermediate or 0) + 4 * (language.hidden or 0) if language is not None else 0
    vocabulary = (language.vocabulary or 0) if language is not None else 0
    prompt = (held.parts or texts * window) * (held.rows * wide + held.logits * vocabulary) * 4
    memory = held.copies * bits / 8 + texts * held.grown * values * context * held.cache / 8 + prompt
    memory += held.own + held.each_token * vocabulary
    return Footprint(precision=precision, weights=round((bits + layers["embedding"] * held.looked_up) / 8), memory=round(memory))


def cached(inspection: Inspection) -> int:
    """Tokens that a cache is reckoned with unless somebody says how many: what the model was made for, 4096 at most."""
    context = inspection.language.context if inspection.language is not None else None
    return min(context, USUAL_CONTEXT) if context else 0


def quantizable(inspection: Inspection) -> tuple[Quantizable, ...]:
    """What can be quantized how, by operator; the first and the last layer are named as sensitive."""
    found: dict[tuple[str, str], list[Layer]] = {}
    for layer in inspection.layers:
        found.setdefault((layer.operator, layer.role), []).append(layer)
    return tuple(
        Quantizable(
            operator=operator, role=role, count=sum(x.count for x in layers), parameters=sum(x.parameters for x in layers),
            ways=() if inspection.quantized else WEIGHTED.get(role, ()), sensitive=_sensitive(role, layers, inspection),
        )
        for (operator, role), layers in found.items()
    )  # fmt: skip


def _sensitive(role: str, layers: Sequence[Layer], inspection: Inspection) -> str:
    if role in SENSITIVE:
        return SENSITIVE[role]
    heavy = [x for x in inspection.layers if x.role in ("conv", "linear")]
    named = [(heavy[0], "the first layer sees the raw input"), (heavy[-1], "the last layer gives the answers")] if heavy else []
    in_order = inspection.operators and inspection.language is None  # weights of a folder are in no order of computing
    said = [f"{layer.example}: {why}" for layer, why in named if in_order and layer in layers and layer.count == 1]
    return "; ".join(dict.fromkeys(said))


def odd_widths(inspection: Inspection, group: int) -> list[int]:
    """Widths of layers that are no multiple of a group's size, so that they cannot be quantized in groups of it."""
    widths = {x.inner for x in inspection.layers if x.inner is not None and "int4 weights" in WEIGHTED.get(x.role, ())}
    return sorted(w for w in widths if w is not None and w % group)


def fits(found: Sequence[Footprint], target: Target) -> tuple[Fit, ...]:
    """Each precision against the device's memory, storage and package limit."""
    return tuple(_fit(one, target) for one in found)


def what_memory(target: Target) -> str:
    return "of memory" if target.memory_bytes is not None else "of the accelerator's own memory"


def _fit(one: Footprint, target: Target) -> Fit:
    limits = [
        (one.weights, target.storage_bytes, 1.0, "of storage"),
        (one.weights, target.package_limit_bytes, 1.0, "that a package may have"),
        (one.memory, target.model_memory, FULL, what_memory(target)),
    ]
    for need, limit, share, what in limits:
        if limit is not None and need > limit * share:
            least = f"more than {share:.0%} " if share < 1 else "more than the "
            text = f"needs {show_bytes(need)}, {least}{'of the ' if share < 1 else ''}{show_bytes(limit)} {what}"
            return Fit(precision=one.precision, verdict="does not fit", reason=text)
    if target.model_memory is None:
        return Fit(precision=one.precision, verdict="not known", reason="the device's memory is not known")
    share = one.memory / target.model_memory
    has = f"{show_bytes(target.model_memory)} {what_memory(target)}"
    text = f"needs {show_bytes(one.memory)} beside the runtime, {share:.1%} of {has}"
    return Fit(precision=one.precision, verdict="tight" if share > TIGHT else "fits", reason=text)
