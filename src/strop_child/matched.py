"""Shards of the user's arrays. Needs numpy."""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from strop_child.arrays import match, open_source, rows_first, write_input, write_labels
from strop_child.beside import finish
from strop_child.labels import unused
from strop_child.preprocess import DataError
from strop_child.sources import read_classes


def prepare(
    source: str,
    specs: list[dict[str, Any]],
    mapping: dict[str, str],
    labels: str | None,
    label_kind: str | None,
    out: str,
    axes: dict[str, int] | None = None,
    needed: bool | None = None,
    classes: str | None = None,
    own_classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Shards of arrays.

    source: an .npz, an .npy, or a folder of them.
    specs: the model's inputs, [{name, dtype, shape}].
    mapping: model input → array name, where they differ. labels: the array that holds labels, or None.
    axes: model input → the axis along which the examples lie in the model as it was given, as arrays may have them too.
    label_kind: "classes", "tokens" (class numbers of many places), "numbers", or None: as they are.
    needed: whether missing labels are refused; None: where `label_kind` says what they are.
    classes: a file of class names. own_classes: those of the model, where the scores that are judged are in their order.
    Returns {inputs: {name: file}, labels: file or None, count, notes, group, packages, files, unused, casts}; `unused` are arrays
    that look like labels where there are none; `casts` says which arrays were of which type, and what they became.
    """
    notes: list[str] = []
    arrays = open_source(source, os.path.join(out, "raw"))
    chosen = match(arrays, specs, mapping, labels, source)
    for spec in specs:
        axis, array = (axes or {}).get(spec["name"], 0), chosen[spec["name"]]
        arrays[array] = rows_first(arrays[array], array, spec, axis, notes)
    singles = {spec["name"] for spec in specs if not spec["shape"]}
    count = count_of(arrays, chosen, singles, source)
    for name in singles:
        if arrays[chosen[name]].ndim == 0:  # one number that holds for every example
            arrays[chosen[name]] = np.repeat(np.asarray(arrays[chosen[name]]), count)
    inputs, casts = {}, list[tuple[str, str, str]]()
    for number, spec in enumerate(specs):
        name = chosen[spec["name"]]
        inputs[spec["name"]] = write_input(arrays[name], name, spec, source, out, number)
        if arrays[name].dtype != np.dtype(spec["dtype"]):
            casts.append((name, str(arrays[name].dtype), str(np.dtype(spec["dtype"]))))
    file = None
    if "labels" in chosen:
        names = read_classes(classes)
        file = write_labels(arrays[chosen["labels"]], chosen["labels"], label_kind, source, out, names, own_classes, notes)
    elif label_kind is not None if needed is None else needed:
        raise DataError(
            f"{source}: no labels: has {', '.join(sorted(arrays))}",
            "name the array that holds them (--labels NAME, or [data] labels in strop.toml), or use --metric agreement",
        )
    left = unused(arrays, set(chosen.values()), count) if file is None else []
    del arrays
    shutil.rmtree(os.path.join(out, "raw"), ignore_errors=True)
    made: dict[str, Any] = finish(out, inputs, file, count, notes, unused=left, casts=casts)
    return made


def count_of(arrays: Mapping[str, Any], chosen: Mapping[str, str], singles: Collection[str], source: str) -> int:
    """How many examples there are, by the first axis of every array.

    Args:
        chosen: model input (and "labels") → array name. singles: inputs without axes, whose array may be one number for all.

    Raises:
        DataError: none, or the arrays differ.
    """
    counts = {}
    for name, array in chosen.items():
        if arrays[array].ndim:
            counts[name] = len(arrays[array])
        elif name not in singles:
            raise DataError(f"{source}: array {array!r} is a single number", "give one row an example")
    if not counts:
        raise DataError(f"{source}: no array says how many examples there are", "give one number an example: shape [examples]")
    if not all(counts.values()):
        empty = next(chosen[n] for n, c in counts.items() if not c)
        raise DataError(f"{source}: array {empty!r} is empty", "give at least one example")
    if len(set(counts.values())) > 1:
        pairs = ", ".join(f"{chosen[n]}: {c}" for n, c in counts.items())
        odd = ", ".join(chosen[n] for n in counts if n in singles)
        hint = f"one row an example in each; of {odd} one number for all examples, shape [], does too" if odd else ""
        raise DataError(f"{source}: arrays differ in their number of examples ({pairs})", hint or "one row an example in each")
    return next(iter(counts.values()))
