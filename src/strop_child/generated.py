"""Inputs where no data are given: by the preprocessing where it is known, else from the model's signature. Needs numpy."""

import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.beside import CLASSES, copy_file, finish, ship_classes
from strop_child.preprocess import DataError, load
from strop_child.shards import file_of

GENERATED_LENGTH = 64


def generate(
    specs: list[dict[str, Any]],
    bounds: dict[str, Sequence[float]],
    sizes: dict[str, int],
    count: int,
    seed: int,
    out: str,
    preprocess: dict[str, Any] | None = None,
    ships: dict[str, str] | None = None,
    classes: str | None = None,
) -> dict[str, Any]:
    """Inputs where no data are given: from the preprocessing where it is known, else from the model's signature.

    sizes: dynamic axis name → size. preprocess, ships, classes: as `prepare_items`. Returns as `prepare`.
    """
    rng = np.random.default_rng(seed)
    for name, path in (ships or {}).items():
        copy_file(path, os.path.join(out, name))
    shapes = {s["name"]: [d if isinstance(d, int) else sizes.get(d or "", 1) for d in s["shape"][1:]] for s in specs}
    if preprocess is not None and preprocess["kind"] != "user":
        tool = load(preprocess, out)
        made = tool.generate(count, rng, generated_shape(preprocess, specs[0], sizes))
        how = {"image": "smooth random pictures, preprocessed", "text": "random tokens of the vocabulary"}[preprocess["kind"]]
        packages = {name: version(name) for name in tool.packages}
    else:
        made = {s["name"]: plain(s, (count, *shapes[s["name"]]), bounds.get(s["name"]), rng) for s in specs}
        made |= {s["name"]: np.repeat(made[s["name"]][:1], count) for s in specs if not s["shape"]}  # the same for all examples
        how, packages = signature_words(specs, bounds), {}
    inputs = {spec["name"]: file_of(number, spec) for number, spec in enumerate(specs)}
    for name, file in inputs.items():
        np.save(os.path.join(out, file), made[name])
    names = ship_classes(classes, out)
    more = {"packages": packages, "files": [*(ships or {}), *([CLASSES] if names else [])]}
    described: dict[str, Any] = finish(out, inputs, None, count, [f"inputs were generated: {how}"], **more)
    return described


def generated_shape(preprocess: dict[str, Any], spec: dict[str, Any], sizes: dict[str, int]) -> list[int]:
    """The shape of one generated example; an axis that nothing fixes is 64 tokens or 224 pixels long."""
    most = preprocess["max_length"] if preprocess["kind"] == "text" else 224
    usual = min(GENERATED_LENGTH, most) if preprocess["kind"] == "text" else most
    return [d if isinstance(d, int) else sizes.get(d or "", usual) for d in spec["shape"][1:]]


def signature_words(specs: list[dict[str, Any]], bounds: dict[str, Sequence[float]]) -> str:
    """From what the values were drawn."""
    ranges = [f"{s['name']} from {bounds[s['name']][0]:g} to {bounds[s['name']][1]:g}" for s in specs if s["name"] in bounds]
    return "from the model's signature" + (f"; {', '.join(ranges)}, as the model declares" if ranges else "")


MASKS, TYPES, POSITIONS = ("attention_mask", "input_mask"), ("token_type_ids", "segment_ids"), ("position_ids",)


def plain(spec: dict[str, Any], shape: tuple[int, ...], bounds: Sequence[float] | None, rng: Any) -> NDArray[Any]:
    """Floats within their declared range or normal ones, integers within an embedding's bounds, booleans.

    Masks are ones, types zeros, positions in order.
    """
    dtype, name = np.dtype(spec["dtype"]), spec["name"]
    if name in MASKS:
        return np.ones(shape, dtype)
    if name in TYPES:
        return np.zeros(shape, dtype)
    if name in POSITIONS:
        return np.ascontiguousarray(np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype))
    if dtype.kind == "f":
        drawn = rng.standard_normal(shape) if bounds is None else rng.uniform(*bounds, shape)
        return np.asarray(drawn.astype(dtype))
    if dtype.kind in "iu":
        low, high = bounds or (0, 1)
        return np.asarray(rng.integers(int(low), int(high) + 1, shape).astype(dtype))
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape).astype(bool))
    raise DataError(f"cannot generate values of type {dtype} for input {name!r}", "give --data")
