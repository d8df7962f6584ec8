"""The data worker: reads what the user has once, checks it, and writes memory-mapped `.npy` shards.

Runs in a child like a backend's work module; needs numpy. Arrays are read by arrays.py, items by sources.py and turned
into arrays by preprocess.py.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import numpy as np
from arrays import asked, fits, match, open_source, shape_fits, write_input, write_labels
from numpy.typing import NDArray
from preprocess import DataError, ItemError, call_user, load, user_function
from shards import CHUNK_BYTES, Growing, create, release, row_bytes
from sources import Broken, Record, class_numbers, read_classes, records

IGNORED = -100
"""The label of a token that is not scored."""
CLASSES = "classes.txt"
TEXTS = 512
GENERATED_LENGTH = 64


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
    return finish(out, inputs, file, next(iter(counts.values())), notes)


def finish(out: str, inputs: dict[str, str], labels: str | None, count: int, notes: list[str], **more: Any) -> dict[str, Any]:
    """The description that stands beside the shards; its presence is part of what makes them whole."""
    description = {"inputs": inputs, "labels": labels, "count": count, "notes": notes, "group": 1, "packages": {}, "files": []}
    description.update(more)
    with open(os.path.join(out, "data.json"), "w") as f:
        json.dump(description, f)
    return description


def prepare_items(
    source: str,
    form: str,
    specs: list[dict[str, Any]],
    columns: dict[str, str],
    label_kind: str | None,
    classes: str | None,
    preprocess: dict[str, Any] | None,
    ships: dict[str, str],
    loader: dict[str, str],
    pairs: bool,
    needed: bool,
    out: str,
) -> dict[str, Any]:
    """Shards of pictures, texts, or what the user's loader yields.

    form: as `sources.records`. columns: what is in which column. label_kind: as `prepare`, or "tokens".
    classes: a file of class names. preprocess: a description as `preprocess.load` takes it; None: items are arrays.
    ships: name → path of files that preprocessing needs and a bundle will, copied beside the shards.
    pairs: a pair of texts is two examples. needed: missing labels are refused.
    Returns as `prepare`; `group` examples bear one label.
    """
    for name, path in ships.items():
        copy_file(path, os.path.join(out, name))
    broken, names = Broken(source), ship_classes(classes, out)
    tool = load(preprocess, out) if preprocess is not None else Given(specs)
    found = labelled(records(source, form, columns, needed, broken, loader), label_kind, names, broken, form)
    group = 2 if pairs else 1
    if preprocess is not None and preprocess["kind"] == "text":
        inputs, kept, count, notes = write_texts(found, tool, specs, group, label_kind, out)
    else:
        inputs, kept, count, notes = write_examples(found, tool, specs, broken, out)
    notes += broken.notes(count // group)
    if not count:
        raise DataError(f"{source}: holds no examples", "give at least one example")
    if needed and any(label is None for label in kept):
        raise DataError(f"{source}: no labels", "name their column (--labels NAME), or use --metric agreement")
    file = save_labels(kept, label_kind, out)
    packages = {name: version(name) for name in tool.packages}
    return finish(out, inputs, file, count, notes, group=group, packages=packages, files=[*ships, *([CLASSES] if names else [])])


def ship_classes(path: str | None, out: str) -> list[str]:
    """The class names of a file; written beside the shards, one a line."""
    names: list[str] = read_classes(path)
    if names:
        with open(os.path.join(out, CLASSES), "w", encoding="utf-8") as f:
            f.write("\n".join(names) + "\n")
    return names


def copy_file(path: str, target: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", "") from None


class Given:
    """Items that are arrays already: one for a lone input, or {input: array}."""

    packages = ()

    def __init__(self, specs: list[dict[str, Any]]) -> None:
        self.specs = specs

    def encode(self, items: Sequence[Any], length: int | None = None) -> dict[str, NDArray[Any]]:
        named = items[0] if isinstance(items[0], dict) else {self.specs[0]["name"]: items[0]}
        missing = [s["name"] for s in self.specs if s["name"] not in named]
        if missing:
            raise ItemError(f"no array for the model's input {missing[0]!r}")
        return {s["name"]: self.cast(np.asarray(named[s["name"]]), s["dtype"])[None] for s in self.specs}

    def cast(self, array: NDArray[Any], dtype: str) -> NDArray[Any]:
        if array.dtype.kind not in "fiub":
            raise ItemError(f"{array.dtype} is no array of numbers")
        with np.errstate(over="ignore"):
            made = array.astype(dtype)
        if not fits(array, made):
            raise ItemError(f"values beyond the range of {dtype}, NaN or infinity")
        return made


def labelled(found: Any, kind: str | None, classes: list[str], broken: Broken, form: str) -> Iterator[Record]:
    """Records with their labels read: class numbers, a number, or class numbers by word."""
    if form == "pictures" and not classes:
        found = list(found)
        classes = sorted({r.label for r in found if isinstance(r.label, str)}) if folder_names(found) else []
    for record in found:
        if kind is None or record.label is None:
            yield record
            continue
        try:
            yield record._replace(label=label_of(record.label, kind, classes))
        except (ValueError, TypeError) as error:
            broken.add(record.where, error)


def folder_names(found: list[Record]) -> bool:
    """Whether labels are the names of folders."""
    return all(r.label is not None and r.where.startswith(f"{r.label}{os.sep}") for r in found)


def label_of(label: Any, kind: str, classes: list[str]) -> Any:
    if kind == "numbers":
        return float(label)
    if kind == "tokens":
        words = label if isinstance(label, list) else str(label).split()
        return [class_numbers(str(word), classes)[0] for word in words]
    numbers = class_numbers(label.tolist() if isinstance(label, np.ndarray) else label, classes)
    if not numbers:
        raise ValueError("no label")
    return numbers


def write_examples(found: Any, tool: Any, specs: list[dict[str, Any]], broken: Broken, out: str) -> Any:
    """One record an example, encoded and written as it comes. Returns inputs, labels, count, notes."""
    files = {spec["name"]: f"input{number}.npy" for number, spec in enumerate(specs)}
    kept: list[Any] = []
    first: dict[str, tuple[int, ...]] = {}
    with ExitStack() as stack:
        shards = {name: stack.enter_context(Growing(os.path.join(out, file))) for name, file in files.items()}
        for record in found:
            try:
                made = tool.encode([record.item])
                require_shapes(made, specs, first)
            except ItemError as error:
                broken.add(record.where, error)
                continue
            first = first or {name: array.shape for name, array in made.items()}
            for name, shard in shards.items():
                shard.append(made[name])
            kept.append(record.label)
    return files, kept, len(kept), []


def require_shapes(made: dict[str, NDArray[Any]], specs: list[dict[str, Any]], first: dict[str, tuple[int, ...]]) -> None:
    """Raises DataError where a first example does not fit the model, ItemError where a later one differs from it."""
    for spec in specs:
        if spec["name"] not in made:
            raise DataError(f"the preprocessing gives nothing for the model's input {spec['name']!r}", "use code of your own")
        shape = made[spec["name"]].shape
        if first and shape != first[spec["name"]]:
            raise ItemError(f"shape {list(shape[1:])} among {list(first[spec['name']][1:])}")
        if not shape_fits(shape[1:], spec):
            raise DataError(
                f"an example has shape {list(shape[1:])}, the model's input {spec['name']!r} needs {asked(spec)}",
                "set size and layout in [preprocess]",
            )


def write_texts(found: Any, tool: Any, specs: list[dict[str, Any]], group: int, label_kind: str | None, out: str) -> Any:
    """All texts at one length, since shards need equal shapes. Returns inputs, labels, count, notes."""
    kept: list[Any] = []
    tokens: list[dict[str, NDArray[Any]]] = []
    batch: list[Any] = []
    for record in found:
        if group == 2 and not isinstance(record.item, tuple):
            raise DataError(f"{record.where}: one text, a pair is needed", "name the second: [data.columns] text_pair")
        batch += record.item if group == 2 else [words_of(record.item) if label_kind == "tokens" else record.item]
        kept.append(record.label)
        if len(batch) >= TEXTS:
            tokens += tool.tokenize(batch)
            batch = []
    tokens += tool.tokenize(batch) if batch else []
    files = {spec["name"]: f"input{number}.npy" for number, spec in enumerate(specs)}
    length = tool.length(max((len(t["ids"]) for t in tokens), default=0))
    with ExitStack() as stack:
        shards = {name: stack.enter_context(Growing(os.path.join(out, file))) for name, file in files.items()}
        for at in range(0, len(tokens), TEXTS):
            made = tool.padded(tokens[at : at + TEXTS], length)
            for name, shard in shards.items():
                shard.append(made[name])
    if label_kind == "tokens":
        kept = [aligned(label, t["words"], length) for label, t in zip(kept, tokens, strict=True)]
    notes = [f"texts are filled up to {length} tokens, the longest one's length"] if tokens else []
    return files, kept, len(tokens), notes


def words_of(item: Any) -> Any:
    return item.split() if isinstance(item, str) else item


def aligned(labels: list[int] | None, words: NDArray[Any], length: int) -> NDArray[Any] | None:
    """Labels by word → by token: on each word's first token, −100 elsewhere."""
    if labels is None:
        return None
    made = np.full(length, IGNORED, np.int64)
    for at, word in enumerate(words[:length]):
        if 0 <= word < len(labels) and (at == 0 or words[at - 1] != word):
            made[at] = labels[word]
    return made


def save_labels(kept: list[Any], kind: str | None, out: str) -> str | None:
    """Labels of one array: [examples], [examples, alternatives] filled up with −1, or [examples, length] for tokens."""
    if kind is None or any(label is None for label in kept):
        return None
    if kind == "classes":
        most = max(len(label) for label in kept)
        rows = [[*label, *[-1] * (most - len(label))] for label in kept]
        array = np.array(rows, np.int64)
        array = array[:, 0] if most == 1 else array
    else:
        array = np.array(kept)
    np.save(os.path.join(out, "labels.npy"), array)
    return "labels.npy"


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
        inputs[name] = f"input{number}.npy"
        shape = (len(rows), *array.shape[1:])
        shard = create(os.path.join(out, inputs[name]), array.dtype, shape)
        step = max(1, CHUNK_BYTES // max(1, row_bytes(array)))
        for at in range(0, len(rows), step):
            shard[at : at + step] = array[rows[at : at + step]]
            release(shard, array)
        shard.flush()
    if whole["labels"] is not None:
        np.save(os.path.join(out, "labels.npy"), np.load(whole["labels"], allow_pickle=False)[groups])
    return finish(out, inputs, whole["labels"] and "labels.npy", len(rows), [], group=group)


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


def score(
    scorer: str,
    folder: str,
    inputs: dict[str, str],
    outputs: dict[str, str],
    labels: str | None,
    group: int,
    out: str,
) -> None:
    """The user's `scorer(outputs, labels, inputs)`: one number an example (or group), higher is better, written to `out`.

    folder: where its module is. outputs, inputs: name → shard; labels: shard or None; the function gets arrays.
    """
    given, answered = opened(inputs), opened(outputs)
    truth = np.load(labels, allow_pickle=False) if labels is not None else None
    scores = np.asarray(call_user(user_function(scorer, folder), scorer, answered, truth, given))
    wanted = len(next(iter(given.values()))) // group
    if scores.shape != (wanted,) or scores.dtype.kind not in "fiub" or not np.isfinite(scores).all():
        raise DataError(
            f"{scorer} gave {scores.dtype}{list(scores.shape)}, {wanted} finite numbers are needed", "one for each example"
        )
    np.save(out, scores.astype(np.float64))


def opened(shards: dict[str, str]) -> dict[str, NDArray[Any]]:
    return {name: np.load(path, mmap_mode="r", allow_pickle=False) for name, path in shards.items()}


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
        made = {s["name"]: plain(s, (count, *shapes[s["name"]]), bounds.get(s["name"], (0, 1)), rng) for s in specs}
        how, packages = "from the model's signature", {}
    inputs = {spec["name"]: f"input{number}.npy" for number, spec in enumerate(specs)}
    for name, file in inputs.items():
        np.save(os.path.join(out, file), made[name])
    names = ship_classes(classes, out)
    more = {"packages": packages, "files": [*(ships or {}), *([CLASSES] if names else [])]}
    return finish(out, inputs, None, count, [f"inputs were generated: {how}"], **more)


def generated_shape(preprocess: dict[str, Any], spec: dict[str, Any], sizes: dict[str, int]) -> list[int]:
    """The shape of one generated example; an axis that nothing fixes is 64 tokens or 224 pixels long."""
    most = preprocess["max_length"] if preprocess["kind"] == "text" else 224
    usual = min(GENERATED_LENGTH, most) if preprocess["kind"] == "text" else most
    return [d if isinstance(d, int) else sizes.get(d or "", usual) for d in spec["shape"][1:]]


MASKS, TYPES, POSITIONS = ("attention_mask", "input_mask"), ("token_type_ids", "segment_ids"), ("position_ids",)


def plain(spec: dict[str, Any], shape: tuple[int, ...], bounds: Sequence[int], rng: Any) -> NDArray[Any]:
    """Normal floats, integers within an embedding's bounds, booleans; masks of ones, types of zeros, positions in order."""
    dtype, name = np.dtype(spec["dtype"]), spec["name"]
    if name in MASKS:
        return np.ones(shape, dtype)
    if name in TYPES:
        return np.zeros(shape, dtype)
    if name in POSITIONS:
        return np.ascontiguousarray(np.broadcast_to(np.arange(shape[-1]), shape).astype(dtype))
    if dtype.kind == "f":
        return np.asarray(rng.standard_normal(shape).astype(dtype))
    if dtype.kind in "iu":
        return np.asarray(rng.integers(bounds[0], bounds[1] + 1, shape).astype(dtype))
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape).astype(bool))
    raise DataError(f"cannot generate values of type {dtype} for input {name!r}", "give --data")
