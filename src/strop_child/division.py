"""One set into evaluation and calibration, and whether two sets share examples. Needs numpy."""

import hashlib
import os
from typing import Any

import numpy as np

from strop_child.beside import finish
from strop_child.preprocess import DataError
from strop_child.shards import CHUNK_BYTES, SINGLE, create, release, row_bytes


def split(
    whole: dict[str, Any],
    calibration_share: float,
    most: int,
    seed: int,
    out_evaluation: str,
    out_calibration: str,
) -> dict[str, Any]:
    """One set into evaluation and calibration, at random but reproducibly; equal examples stay on one side."""
    keys, group = row_keys(whole), whole.get("group", 1)
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
        "evaluation": take(whole, rows[False], group, out_evaluation),
        "calibration": take(whole, rows[True][:most], group, out_calibration),
    }


def take(whole: dict[str, Any], groups: list[int], group: int, out: str) -> dict[str, Any]:
    """The shards of some groups of rows."""
    inputs = {}
    rows = (np.asarray(groups)[:, None] * group + np.arange(group)).reshape(-1)
    for number, (name, path) in enumerate(whole["inputs"].items()):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        inputs[name] = f"input{number}{SINGLE if path.endswith(SINGLE) else '.npy'}"
        shape = (len(rows), *array.shape[1:])
        shard = create(os.path.join(out, inputs[name]), array.dtype, shape)
        step = max(1, CHUNK_BYTES // max(1, row_bytes(array)))
        for at in range(0, len(rows), step):
            shard[at : at + step] = array[rows[at : at + step]]
            release(shard, array)
        shard.flush()
    if whole["labels"] is not None:
        np.save(os.path.join(out, "labels.npy"), np.load(whole["labels"], allow_pickle=False)[groups])
    made: dict[str, Any] = finish(out, inputs, whole["labels"] and "labels.npy", len(rows), [], group=group)
    return made


def overlap(evaluation: dict[str, Any], calibration: dict[str, Any]) -> dict[str, Any]:
    """How many calibration examples are also in the evaluation data, and the first such pair of rows."""
    seen: dict[bytes, int] = {}
    for i, key in enumerate(row_keys(evaluation)):
        seen.setdefault(key, i)
    both = [(i, seen[key]) for i, key in enumerate(row_keys(calibration)) if key in seen]
    return {"count": len(both), "first": list(both[0]) if both else None}


def row_keys(data: dict[str, Any]) -> list[bytes]:
    """A digest per group of rows that bear one label (mostly one row), over all its inputs."""
    arrays = [np.load(p, mmap_mode="r", allow_pickle=False) for _, p in sorted(data["inputs"].items())]
    keys, group = [], data.get("group", 1)
    step = max(1, CHUNK_BYTES // max(1, sum(map(row_bytes, arrays))))
    for i in range(0, len(arrays[0]), group):
        digest = hashlib.blake2b(digest_size=16)
        for array in arrays:
            digest.update(np.ascontiguousarray(array[i : i + group]).tobytes())
        keys.append(digest.digest())
        if i % step < group:
            release(*arrays)
    return keys
