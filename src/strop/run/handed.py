"""Data that a program hands over in memory, as files in the store: arrays by name, one array, or a data frame."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from strop.core.errors import ArgumentError
from strop.core.strict import to_json
from strop.store import files
from strop.store.store import Store


class Frame(Protocol):
    """A data frame, of pandas, polars or another library."""

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, name: Any, /) -> Any: ...


Data = str | os.PathLike[str] | Mapping[str, Any] | NDArray[Any] | Frame
"""What `data` and `calibration` may be."""
HANDED = ("data", "calibration")
LABELS = ("labels", "label", "target", "y")
"""Columns of a data frame of numbers that are the labels, where none is named."""
HINT = "give a path, a dict of arrays by input name (and `labels`), an array, or a data frame"


def stored(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The same keywords, with data that are in memory replaced by the path of a file in the store.

    The file is named by its content: the same data are the same file, and the same question.

    Raises:
        ArgumentError: neither a path nor data.
    """
    made = dict(flags)
    store = Store(Path(flags.get("store") or ".strop"))
    for name in HANDED:
        value = flags.get(name)
        if value is not None and not isinstance(value, str | os.PathLike):
            made[name] = str(_file(name, value, flags.get("labels"), store))
    return made


def _file(name: str, value: Any, labels: Any, store: Store) -> Path:
    if hasattr(value, "columns") and not isinstance(value, Mapping):
        columns = {str(column): np.asarray(value[column]) for column in value.columns}
        if any(array.dtype.kind not in "biuf" for array in columns.values()):
            return _table(columns, store)
        return _arrays(features(columns, labels), store)
    if isinstance(value, Mapping):
        return _arrays({_named(name, key): _array(name, key, item) for key, item in value.items()}, store)
    if isinstance(value, bytes) or not (hasattr(value, "__array__") or isinstance(value, list)):
        raise ArgumentError(f"{name} is {type(value).__name__}; expected a path or data", HINT)
    return _arrays({"data": _array(name, "data", value)}, store)


def features(columns: Mapping[str, NDArray[Any]], labels: Any) -> dict[str, NDArray[Any]]:
    """Columns of numbers as one array [rows, columns], beside the column of the labels under its own name or as `labels`."""
    found = labels if labels in columns else next((name for name in LABELS if name in columns), None)
    rest = [array for name, array in columns.items() if name != found]
    made = {"features": np.stack(rest, axis=1)} if rest else {}
    return made | ({(found if found == labels else "labels"): columns[found]} if found is not None else {})


def _named(name: str, key: object) -> str:
    if not isinstance(key, str) or not key:
        raise ArgumentError(f"{name} has the key {key!r}; expected names of inputs", HINT)
    return key


def _array(name: str, key: str, value: Any) -> NDArray[Any]:
    if hasattr(value, "detach"):  # a tensor of PyTorch, which may be on another device
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name}[{key!r}] is no array: {error}", HINT) from None
    if array.dtype.hasobject:
        raise ArgumentError(f"{name}[{key!r}] holds Python objects or rows of different lengths; expected numbers", HINT)
    return array


def _arrays(arrays: Mapping[str, NDArray[Any]], store: Store) -> Path:
    if not arrays:
        raise ArgumentError("data without any array", HINT)
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}\n{array.dtype}{array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)

    def make(draft: Path) -> None:
        with (draft / "data.npz").open("wb") as f:
            np.savez(f, allow_pickle=False, **arrays)

    return store.once("data", digest.hexdigest(), make) / "data.npz"


def _table(columns: Mapping[str, NDArray[Any]], store: Store) -> Path:
    rows = zip(*(array.tolist() for array in columns.values()), strict=True)
    text = "".join(f"{to_json(dict(zip(columns, row, strict=True)))}\n" for row in rows)

    def make(draft: Path) -> None:
        files.write_text(draft / "data.jsonl", text)

    return store.once("data", hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), make) / "data.jsonl"
