"""The data worker: reads the user's arrays once, checks them, and writes them as memory-mapped `.npy` shards.

Runs in a child like a backend's work module; needs numpy.
"""

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shards import create

CHUNK_BYTES = 32 << 20


class DataError(Exception):
    """The data are refused; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def prepare(
    source: str,
    specs: list[dict[str, Any]],
    mapping: dict[str, str],
    labels: str | None,
    label_kind: str | None,
    out: str,
) -> dict[str, Any]:
    """Shards of one data set.

    source: an .npz, an .npy, or a folder of .npy files.
    specs: the model's inputs, [{name, dtype, shape}].
    mapping: model input → array name, where they differ. labels: the array that holds labels, or None.
    label_kind: "classes", "numbers" or None where none are needed.
    Returns {inputs: {name: file}, labels: file or None, count, notes}.
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
    return finish(out, inputs, file, next(iter(counts.values())), notes)


def finish(out: str, inputs: dict[str, str], labels: str | None, count: int, notes: list[str]) -> dict[str, Any]:
    """The description that stands beside the shards; its presence is part of what makes them whole."""
    description = {"inputs": inputs, "labels": labels, "count": count, "notes": notes}
    with open(os.path.join(out, "data.json"), "w") as f:
        json.dump(description, f)
    return description


def open_source(source: str, scratch: str) -> dict[str, NDArray[Any]]:
    """Name → memory-mapped array. Members of an .npz are copied out as files, so that any size can be mapped."""
    try:
        if os.path.isdir(source):
            files = {n[:-4]: os.path.join(source, n) for n in sorted(os.listdir(source)) if n.endswith(".npy")}
        elif zipfile.is_zipfile(source):
            files = unpack(source, scratch)
        elif source.endswith(".npy"):
            files = {os.path.basename(source)[:-4]: source}
        else:
            what = "damaged or no .npz" if source.endswith(".npz") else "neither .npz, .npy nor a folder of .npy"
            raise DataError(f"{source}: {what}", "save arrays with numpy.savez")
        if not files:
            raise DataError(f"{source}: holds no arrays", "save arrays with numpy.savez")
        return {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in files.items()}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        pickled = re.search("pickle|python objects", str(error), re.IGNORECASE)
        text = "holds pickled objects, which are not read" if pickled else f"damaged ({error})"
        raise DataError(f"{source}: {text}", "save plain arrays with numpy.savez") from None


def unpack(source: str, scratch: str) -> dict[str, str]:
    os.makedirs(scratch, exist_ok=True)
    files = {}
    with zipfile.ZipFile(source) as archive:
        for number, member in enumerate(archive.infolist()):
            if member.filename.endswith(".npy"):
                path = os.path.join(scratch, f"{number}.npy")
                with archive.open(member) as src, open(path, "wb") as dst:
                    shutil.copyfileobj(src, dst, 1 << 20)
                files[member.filename[:-4]] = path
    return files


def match(
    arrays: dict[str, NDArray[Any]],
    specs: list[dict[str, Any]],
    mapping: dict[str, str],
    labels: str | None,
    source: str,
) -> dict[str, str]:
    """Model input (and "labels") → array name. By mapping, by name; a lone input takes the lone array that is left."""
    chosen, has = {}, ", ".join(f"{n} {a.dtype}{list(a.shape)}" for n, a in sorted(arrays.items()))
    unknown = set(mapping) - {s["name"] for s in specs}
    if unknown:
        raise DataError(
            f"the mapping names no input of the model: {sorted(unknown)[0]!r}",
            f"inputs: {', '.join(s['name'] for s in specs)}",
        )
    if labels is not None and labels not in arrays:
        raise DataError(f"{source}: no array {labels!r} for the labels; has {has}", "name another with --labels")
    if labels is not None or "labels" in arrays:
        chosen["labels"] = labels or "labels"
    for spec in specs:
        name = mapping.get(spec["name"], spec["name"])
        if name not in arrays and spec["name"] not in mapping and len(specs) == 1:
            left = [n for n in arrays if n != chosen.get("labels")]
            name = left[0] if len(left) == 1 else name
        if name not in arrays:
            raise DataError(
                f"{source}: no array for the model's input {spec['name']!r}; has {has}",
                f"name it: --map {spec['name']}=ARRAY, or [data.map] in strop.toml",
            )
        chosen[spec["name"]] = name
    return chosen


def write_input(
    array: NDArray[Any],
    name: str,
    spec: dict[str, Any],
    source: str,
    out: str,
    number: int,
    notes: list[str],
) -> str:
    """Checks shape, type and values of one input; writes it in the model's type."""
    wanted, dims = np.dtype(spec["dtype"]), spec["shape"][1:]
    shape = array.shape[1:]
    if len(shape) != len(dims) or any(isinstance(d, int) and d != s for d, s in zip(dims, shape, strict=True)):
        raise DataError(
            f"{source}: array {name!r} has shape {list(array.shape)}, the model's input {spec['name']!r} "
            f"needs {[('examples' if i == 0 else d) for i, d in enumerate(spec['shape'])]}",
            "one row an example, without a batch axis of its own",
        )
    if array.dtype != wanted:
        widens = np.can_cast(array.dtype, wanted, "same_kind") or (array.dtype.kind in "iub" and wanted.kind == "f")
        if not widens:
            raise DataError(f"{source}: array {name!r} is {array.dtype}, the model takes {wanted}", "convert it first")
        notes.append(f"{name}: {array.dtype} cast to {wanted}")
    file = f"input{number}.npy"
    shard = create(os.path.join(out, file), wanted, array.shape)
    for rows in chunks(array):
        part = np.asarray(array[rows])
        check_finite(part, rows.start, name, source)
        with np.errstate(over="ignore"):
            shard[rows] = part
        if not fits(part, shard[rows]):
            raise DataError(f"{source}: array {name!r} holds values beyond the range of {wanted}", "scale or convert it first")
    shard.flush()
    return file


def fits(part: NDArray[Any], cast: NDArray[Any]) -> bool:
    """Whether a cast kept its values: whole numbers did not wrap around, floats did not overflow."""
    return np.array_equal(part, cast) if cast.dtype.kind in "iu" else bool(np.isfinite(cast).all())


def write_labels(array: NDArray[Any], name: str, kind: str | None, source: str, out: str) -> str:
    if kind is not None and array.dtype.kind not in "iubf":
        raise DataError(f"{source}: labels {name!r} are {array.dtype}, this metric needs numbers", "encode them as whole numbers")
    if kind == "classes" and array.dtype.kind not in "iub":
        if not np.array_equal(array, np.floor(array)):
            raise DataError(f"{source}: labels {name!r} are {array.dtype}, this metric needs whole class numbers", "")
        array = np.asarray(array, np.int64)
    check_finite(np.asarray(array), 0, name, source)
    np.save(os.path.join(out, "labels.npy"), np.asarray(array))
    return "labels.npy"


def chunks(array: NDArray[Any]) -> list[slice]:
    step = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    return [slice(i, min(i + step, len(array))) for i in range(0, len(array), step)]


def check_finite(part: NDArray[Any], start: int, name: str, source: str) -> None:
    if part.dtype.kind in "fc" and not np.isfinite(part).all():
        row = start + int(np.argwhere(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))[0, 0])
        raise DataError(f"{source}: array {name!r} holds NaN or infinity (first in row {row})", "clean the data")


def split(
    whole: dict[str, Any],
    calibration_share: float,
    most: int,
    seed: int,
    out_evaluation: str,
    out_calibration: str,
) -> dict[str, Any]:
    """One set into evaluation and calibration, at random but reproducibly; equal examples stay on one side."""
    keys = row_keys(whole)
    order = np.random.default_rng(seed).permutation(len(keys))
    wanted = max(1, min(most, int(len(keys) * calibration_share)))
    taken = {keys[i] for i in order[:wanted]}
    rows = {
        True: [i for i in range(len(keys)) if keys[i] in taken],
        False: [i for i in range(len(keys)) if keys[i] not in taken],
    }
    if not rows[False] or not rows[True]:
        raise DataError("too few different examples to split into evaluation and calibration", "give more data, or --calibration")
    return {
        "evaluation": take(whole, rows[False], out_evaluation),
        "calibration": take(whole, rows[True][:most], out_calibration),
    }


def take(whole: dict[str, Any], rows: list[int], out: str) -> dict[str, Any]:
    """The shards of some rows."""
    inputs = {}
    for number, (name, path) in enumerate(whole["inputs"].items()):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        inputs[name] = f"input{number}.npy"
        shape = (len(rows), *array.shape[1:])
        shard = create(os.path.join(out, inputs[name]), array.dtype, shape)
        for at in range(0, len(rows), 256):
            shard[at : at + 256] = array[rows[at : at + 256]]
        shard.flush()
    if whole["labels"] is not None:
        np.save(os.path.join(out, "labels.npy"), np.load(whole["labels"], allow_pickle=False)[rows])
    return finish(out, inputs, whole["labels"] and "labels.npy", len(rows), [])


def row_keys(data: dict[str, Any]) -> list[bytes]:
    """A digest per example, over all its inputs."""
    arrays = [np.load(p, mmap_mode="r", allow_pickle=False) for _, p in sorted(data["inputs"].items())]
    keys = []
    for i in range(len(arrays[0])):
        digest = hashlib.blake2b(digest_size=16)
        for array in arrays:
            digest.update(np.ascontiguousarray(array[i]).tobytes())
        keys.append(digest.digest())
    return keys


def overlap(evaluation: dict[str, Any], calibration: dict[str, Any]) -> dict[str, Any]:
    """How many calibration examples are also in the evaluation data, and the first such pair of rows."""
    seen: dict[bytes, int] = {}
    for i, key in enumerate(row_keys(evaluation)):
        seen.setdefault(key, i)
    both = [(i, seen[key]) for i, key in enumerate(row_keys(calibration)) if key in seen]
    return {"count": len(both), "first": list(both[0]) if both else None}


def generate(
    specs: list[dict[str, Any]],
    bounds: dict[str, Sequence[int]],
    sizes: dict[str, int],
    count: int,
    seed: int,
    out: str,
) -> dict[str, Any]:
    """Inputs from the model's signature: normal floats, integers within an embedding's bounds, booleans.

    sizes: dynamic axis name → size. Returns as `prepare`.
    """
    rng, inputs = np.random.default_rng(seed), {}
    for number, spec in enumerate(specs):
        shape = (count, *[d if isinstance(d, int) else sizes.get(d or "", 1) for d in spec["shape"][1:]])
        dtype = np.dtype(spec["dtype"])
        if dtype.kind == "f":
            values = rng.standard_normal(shape).astype(dtype)
        elif dtype.kind in "iu":
            low, high = bounds.get(spec["name"], (0, 1))
            values = rng.integers(low, high + 1, shape).astype(dtype)
        elif dtype.kind == "b":
            values = rng.integers(0, 2, shape).astype(bool)
        else:
            raise DataError(f"cannot generate values of type {dtype} for input {spec['name']!r}", "give --data")
        inputs[spec["name"]] = f"input{number}.npy"
        np.save(os.path.join(out, inputs[spec["name"]]), values)
    return finish(out, inputs, None, count, ["inputs were generated from the model's signature"])
