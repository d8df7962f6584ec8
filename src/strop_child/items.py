"""Shards of items: pictures, texts, or what the user's loader yields. Needs numpy, and what preprocess.py needs."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.arrays import asked, fits, other_size, shape_fits, told
from strop_child.beside import CLASSES, copy_file, finish, ship_classes
from strop_child.labels import aligned, labelled, likely_name, save_labels
from strop_child.preprocess import DataError, ItemError, load
from strop_child.shards import Growing, file_of
from strop_child.sources import Broken, column_names, records

TEXTS = 512
"""Texts that are tokenized, or padded, at once."""


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
    most: int | None = None,
) -> dict[str, Any]:
    """Shards of pictures, texts, or what the user's loader yields.

    form: as `sources.records`. columns: what is in which column. label_kind: as `prepare`, or "tokens".
    classes: a file of class names. preprocess: a description as `preprocess.load` takes it; None: items are arrays.
    ships: name → path of files that preprocessing needs and a bundle will, copied beside the shards.
    pairs: a pair of texts is two examples. needed: missing labels are refused.
    most: so many items at most, for a trial: what is broken among them, and that there are none, is no error then.
    Returns as `prepare`; `group` examples bear one label.
    """
    for name, path in ships.items():
        copy_file(path, os.path.join(out, name))
    broken, names = Broken(source), ship_classes(classes, out)
    tool = load(preprocess, out) if preprocess is not None else Given(specs)
    found = islice(labelled(records(source, form, columns, needed, broken, loader), label_kind, names, broken, form), most)
    group = 2 if pairs else 1
    if preprocess is not None and preprocess["kind"] == "text":
        inputs, kept, count, notes = write_texts(found, tool, specs, group, label_kind, out)
    else:
        inputs, kept, count, notes = write_examples(found, tool, specs, broken, out)
    notes += broken.notes(count // group) if most is None else []
    if not count and most is None:
        raise DataError(f"{source}: holds no examples", "give at least one example")
    if needed and any(label is None for label in kept):
        raise DataError(f"{source}: no labels", "name their column (--labels NAME), or use --metric agreement")
    file = save_labels(kept, label_kind, out) if count else None
    left = [n for n in column_names(source, form) if likely_name(n) and n not in columns.values()] if file is None else []
    packages = {name: version(name) for name in tool.packages}
    made: dict[str, Any] = finish(
        out,
        inputs,
        file,
        count,
        notes,
        group=group,
        packages=packages,
        files=[*ships, *([CLASSES] if names else [])],
        unused=left,
    )
    return made


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


def write_examples(found: Any, tool: Any, specs: list[dict[str, Any]], broken: Broken, out: str) -> Any:
    """One record an example, encoded and written as it comes. Returns inputs, labels, count, notes."""
    files = {spec["name"]: file_of(number, spec) for number, spec in enumerate(specs)}
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
            if "told" in spec:
                raise DataError(f"an example has shape {list(shape[1:])}, {told(spec)}", other_size(shape[1:], spec))
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
    notes = [f"texts are padded to {length} tokens, the longest one's length"] if tokens else []
    return files, kept, len(tokens), notes


def words_of(item: Any) -> Any:
    return item.split() if isinstance(item, str) else item
