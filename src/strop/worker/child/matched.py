"""Shards of the user's arrays. Needs numpy."""

import os
import shutil
from typing import Any

from arrays import match, open_source, write_input, write_labels
from beside import finish
from preprocess import DataError


def prepare(
    source: str,
    specs: list[dict[str, Any]],
    mapping: dict[str, str],
    labels: str | None,
    label_kind: str | None,
    out: str,
) -> dict[str, Any]:
    """Shards of arrays.

    source: an .npz, an .npy, or a folder of them.
    specs: the model's inputs, [{name, dtype, shape}].
    mapping: model input → array name, where they differ. labels: the array that holds labels, or None.
    label_kind: "classes", "numbers" or None where none are needed.
    Returns {inputs: {name: file}, labels: file or None, count, notes, group, packages, files}.
    """
    notes: list[str] = []
    arrays = open_source(source, os.path.join(out, "raw"))
    chosen = match(arrays, specs, mapping, labels, source)
    counts = {name: len(arrays[array]) if arrays[array].ndim else 0 for name, array in chosen.items()}
    if not all(counts.values()):
        empty = next(chosen[n] for n, c in counts.items() if not c)
        raise DataError(f"{source}: array {empty!r} is empty", "give at least one example")
    if len(set(counts.values())) > 1:
        pairs = ", ".join(f"{chosen[n]}: {c}" for n, c in counts.items())
        raise DataError(f"{source}: arrays differ in their number of examples ({pairs})", "one row an example in each")
    inputs = {}
    for number, spec in enumerate(specs):
        array = arrays[chosen[spec["name"]]]
        inputs[spec["name"]] = write_input(array, chosen[spec["name"]], spec, source, out, number, notes)
    file = None
    if "labels" in chosen:
        file = write_labels(arrays[chosen["labels"]], chosen["labels"], label_kind, source, out)
    elif label_kind is not None:
        raise DataError(
            f"{source}: no labels: has {', '.join(sorted(arrays))}",
            "name the array that holds them (--labels NAME, or [data] labels in strop.toml), or use --metric agreement",
        )
    del arrays
    shutil.rmtree(os.path.join(out, "raw"), ignore_errors=True)
    made: dict[str, Any] = finish(out, inputs, file, next(iter(counts.values())), notes)
    return made
