"""Labels as they stood in the source, as numbers; and as one array beside the shards. Needs numpy."""

import json
import math
import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.preprocess import DataError
from strop_child.sources import Broken, Record, class_numbers

SHOWN = 6
"""So many classes are listed in a message."""
IGNORED = -100
"""The label of a token that is not scored."""


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
    if kind == "boxes":
        return boxes_of(label)
    if kind == "masks":
        raise ValueError("masks are given as an array")
    if kind in ("tokens", "sequences"):
        words = label if isinstance(label, list) else str(label).split()
        return [class_numbers(str(word), classes)[0] for word in words]
    numbers = class_numbers(label.tolist() if isinstance(label, np.ndarray) else label, classes)
    if not numbers and kind != "several":
        raise ValueError("no label")
    return numbers


def one_hot(values: NDArray[Any]) -> bool:
    """Whether each row marks one class: a single 1 among zeros, shape [examples, classes]."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "iubf":
        return False
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())


def as_classes(values: NDArray[Any], names: list[str], own: list[str], what: str) -> tuple[NDArray[Any], str]:
    """Labels as class numbers, and a note on how they were read; empty where they are numbers already.

    Args:
        values: shape [examples, …]. names: of the classes in the order of the model's scores, as the user gives them. own: as
            the model itself lists them, which may be numbers other than 0, 1, 2. what: how an error names the labels.

    Raises:
        DataError: a name that is not among the classes, or names where nothing says which number each has.
    """
    if one_hot(values):
        return values.argmax(axis=1), "one-hot labels are read as class numbers"
    values = values.astype(str) if values.dtype.kind == "S" else values
    text = values.dtype.kind == "U"
    listed = names if text and names else own
    if not text and (not own or own == [str(number) for number in range(len(own))]):
        return values, ""
    found, places = np.unique(values, return_inverse=True)
    shown = [str(one) if text else str(int(one)) if float(one).is_integer() else str(one) for one in found.tolist()]
    odd = [one for one in shown if one not in listed and not (text and not listed and one.strip().isdecimal())]
    if odd and listed and not text and -1 in found:
        return values, ""  # alternatives, filled up with -1, are class numbers
    if odd:
        known = f"the classes are {', '.join(listed[:SHOWN])}{', …' if len(listed) > SHOWN else ''}" if listed else ""
        raise DataError(
            f"{what} {'are names' if text and not listed else 'hold'} {odd[0]!r}" + (f"; {known}" if known else ""),
            "label with these" if listed else "name the classes in the order of the model's scores: --classes FILE, one a line",
        )
    numbers = np.array([listed.index(one) if one in listed else int(one) for one in shown], np.int64)
    how = "the classes given" if text and names else "the model's own classes" if listed else "the numbers they spell"
    return numbers[places].reshape(values.shape), f"labels are read as class numbers by {how}"


def boxes_of(label: Any) -> list[list[float]]:
    """Boxes of one item, [class, x1, y1, x2, y2] each: a list, or one as JSON."""
    found = json.loads(label) if isinstance(label, str) else label
    rows = [[float(number) for number in row] for row in (found.tolist() if isinstance(found, np.ndarray) else found)]
    if any(len(row) != 5 or not all(map(math.isfinite, row)) for row in rows):
        raise ValueError("boxes are lists of five numbers: class, x1, y1, x2, y2")
    return rows


LIKELY = ("label", "labels", "y", "target", "targets", "class", "classes", "category", "truth", "ground_truth", "gt", "gold")
"""Names of labels, alone or with what stands before or after them: `y_test`, `test_labels`."""
COUNTERS = ("id", "ids", "index", "indices", "idx", "row", "rows")


def likely_name(name: str) -> bool:
    """Whether an array or column is called as labels are."""
    parts = re.split(r"[_\W]+", name.lower())
    return name.lower() in LIKELY or parts[0] in LIKELY or parts[-1] in LIKELY


def unused(arrays: Mapping[str, Any], used: Collection[str], count: int) -> list[str]:
    """Arrays that look like labels and are none: called so, or whole numbers that come back, one for each example."""
    found = []
    for name, array in arrays.items():
        if name in used or array.ndim == 0 or len(array) != count or count < 2:
            continue
        one_each = array.dtype.kind in "iub" and int(np.prod(array.shape)) == count
        classes = one_each and 2 * len(np.unique(np.asarray(array[0:count]))) <= count and name.lower() not in COUNTERS
        if likely_name(name) or classes:
            found.append(name)
    return sorted(found, key=lambda name: (not likely_name(name), name))


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
    """Labels of one array: [examples], [examples, alternatives] padded with −1, [examples, length] for tokens and sequences, or
    [examples, most, 5] for boxes. Rows of several classes all end with a −1, which tells them from zeros and ones."""
    if kind is None or any(label is None for label in kept):
        return None
    if kind == "boxes":
        array = np.full((len(kept), max(1, *map(len, kept)), 5), -1.0)
        for at, boxes in enumerate(kept):
            array[at, : len(boxes)] = np.reshape(boxes, (-1, 5))
    elif kind in ("several", "sequences"):
        most = max(map(len, kept)) + (kind == "several")
        array = np.array([[*label, *[-1] * (most - len(label))] for label in kept], np.int64)
    elif kind == "classes":
        most = max(len(label) for label in kept)
        rows = [[*label, *[-1] * (most - len(label))] for label in kept]
        array = np.array(rows, np.int64)
        array = array[:, 0] if most == 1 else array
    else:
        array = np.array(kept)
    np.save(os.path.join(out, "labels.npy"), array)
    return "labels.npy"
