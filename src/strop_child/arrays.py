"""The user's arrays: found, mapped, matched to the model's inputs, checked, and written as shards. Needs numpy.

Nothing is loaded whole: members of an .npz are mapped where they lie, or unpacked to files where they are compressed.
"""

import os
import re
import shutil
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from strop_child.labels import as_classes
from strop_child.preprocess import DataError
from strop_child.shards import chunks, create, file_of, release

PART = re.compile(r"(.+)[-.]\d{3,}")
"""`x-000.npy`, `x-001.npy` are parts of one array; `input_1.npy` is an array of that name."""
SAVE = "save arrays with numpy.savez"


class Stacked:
    """Arrays one after another as one; a row range is read from where it lies."""

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self.parts = parts
        self.dtype = parts[0].dtype
        self.ends = np.cumsum([len(p) for p in parts])
        self.shape = (int(self.ends[-1]), *parts[0].shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        found = []
        for part, end in zip(self.parts, self.ends, strict=True):
            begin = int(end) - len(part)
            low, high = max(rows.start, begin) - begin, min(rows.stop, int(end)) - begin
            if low < high:
                found.append(np.array(part[low:high]))
                release(part)
        return np.concatenate(found)


def open_source(source: str, scratch: str) -> dict[str, Any]:
    """Name → array, mapped; several files of one name are stacked."""
    try:
        found: dict[str, list[NDArray[Any]]] = {}
        for number, path in enumerate(array_files(source)):
            for name, array in open_file(path, os.path.join(scratch, str(number))).items():
                found.setdefault(name if os.path.isfile(source) else part_of(name), []).append(array)
    except (ValueError, zipfile.BadZipFile, EOFError, struct.error) as error:
        pickled = re.search("pickle|python objects", str(error), re.IGNORECASE)
        text = "holds pickled objects, which are not read" if pickled else f"damaged ({error})"
        raise DataError(f"{source}: {text}", "save plain arrays with numpy.savez") from None
    if not found:
        raise DataError(f"{source}: holds no arrays", SAVE)
    return {name: stacked(name, parts, source) for name, parts in found.items()}


def part_of(name: str) -> str:
    """The array that a file of this name is a part of."""
    match = PART.fullmatch(name)
    return match.group(1) if match else name


def array_files(source: str) -> list[str]:
    """The file, or a folder's .npy and .npz files in the order of their names."""
    if not os.path.isdir(source):
        return [source]
    return [os.path.join(source, n) for n in sorted(os.listdir(source)) if n.endswith((".npy", ".npz"))]


def open_file(path: str, scratch: str) -> dict[str, NDArray[Any]]:
    if zipfile.is_zipfile(path):
        return open_archive(path, scratch)
    if path.endswith(".npy"):
        return {os.path.basename(path)[:-4]: np.load(path, mmap_mode="r", allow_pickle=False)}
    what = "damaged or no .npz" if path.endswith(".npz") else "neither .npz, .npy nor a folder of them"
    raise DataError(f"{path}: {what}", SAVE)


def stacked(name: str, parts: list[NDArray[Any]], source: str) -> Any:
    if len(parts) == 1:
        return parts[0]
    odd = next((p for p in parts if p.ndim == 0 or p.shape[1:] != parts[0].shape[1:] or p.dtype != parts[0].dtype), None)
    if odd is not None:
        raise DataError(
            f"{source}: the parts of array {name!r} differ: {parts[0].dtype}{list(parts[0].shape)}, {odd.dtype}{list(odd.shape)}",
            "give all parts one type, and one shape but for the number of examples",
        )
    return Stacked(parts)


def open_archive(path: str, scratch: str) -> dict[str, NDArray[Any]]:
    """Members of an .npz: mapped in place, or unpacked where they are compressed."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist()):
            if member.filename.endswith(".npy"):
                mapped = map_member(path, member) if member.compress_type == zipfile.ZIP_STORED else None
                if mapped is None:
                    mapped = unpack(archive, member, os.path.join(scratch, f"{number}.npy"))
                found[member.filename[:-4]] = mapped
    return found


def unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> NDArray[Any]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with archive.open(member) as src, open(path, "wb") as dst:
        shutil.copyfileobj(src, dst, 1 << 20)
    loaded: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return loaded


def map_member(path: str, member: zipfile.ZipInfo) -> NDArray[Any] | None:
    """A stored member where it lies in the archive; None where it has to be read as a stream (nothing in it to map)."""
    with open(path, "rb") as f:
        f.seek(member.header_offset)
        local = struct.unpack("<4s5H3I2H", f.read(30))
        f.seek(member.header_offset + 30 + local[9] + local[10])
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        reader = readers.get(npy.read_magic(f))
        if reader is None:
            return None
        shape, fortran, dtype = reader(f)
        if dtype.hasobject or fortran or 0 in shape or shape == ():
            return None
        if f.tell() + dtype.itemsize * int(np.prod(shape, dtype=np.int64)) > os.path.getsize(path):
            raise ValueError(f"{member.filename} is cut off")
        return np.memmap(path, dtype, "r", f.tell(), shape)


def match(
    arrays: dict[str, Any], specs: list[dict[str, Any]], mapping: dict[str, str], labels: str | None, source: str
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
    array: Any, name: str, spec: dict[str, Any], source: str, out: str, number: int
) -> str:  # fmt: skip
    """Checks shape, type and values of one input; writes it in the model's type."""
    wanted = np.dtype(spec["dtype"])
    if not shape_fits(array.shape[1:], spec):
        what = f"{source}: array {name!r} has shape {list(array.shape)}"
        if not spec["shape"]:
            raise DataError(
                f"{what}, the model's input {spec['name']!r} has shape []",
                "give one number that holds for every example, shape [], or one an example, shape [examples]",
            )
        if "told" in spec:
            raise DataError(f"{what}, {told(spec)}", other_size(array.shape[1:], spec))
        raise DataError(
            f"{what}, the model's input {spec['name']!r} needs {asked(spec)}",
            "give one row an example, without a batch axis of its own; sizes that --shape fixes hold for the data too",
        )
    if array.dtype != wanted:
        widens = np.can_cast(array.dtype, wanted, "same_kind") or (array.dtype.kind in "iub" and wanted.kind == "f")
        if not widens:
            raise DataError(f"{source}: array {name!r} is {array.dtype}, the model takes {wanted}", "convert it first")
    file: str = file_of(number, spec)
    shard = create(os.path.join(out, file), wanted, array.shape)
    for rows in chunks(array):
        part = np.asarray(array[rows])
        check_finite(part, rows.start, name, source, missing=bool(spec.get("missing")))
        with np.errstate(over="ignore"):
            shard[rows] = part
        if not fits(part, shard[rows]):
            raise DataError(f"{source}: array {name!r} holds values beyond the range of {wanted}", "scale or convert it first")
        release(shard, array)
    shard.flush()
    return file


def shape_fits(shape: Sequence[int], spec: dict[str, Any]) -> bool:
    """Whether one example of this shape, without a batch axis, is what an input takes."""
    dims = spec["shape"][1:]
    return len(shape) == len(dims) and all(not isinstance(d, int) or d == s for d, s in zip(dims, shape, strict=True))


def rows_first(array: Any, name: str, spec: dict[str, Any], axis: int, notes: list[str]) -> Any:
    """An array with one row an example: as it is, or turned where it fits the model only as the model was given."""
    fits_model = not axis or array.ndim != len(spec["shape"]) or shape_fits(array.shape[1:], spec)
    if fits_model or not isinstance(array, np.ndarray):
        return array
    turned = np.moveaxis(array, axis, 0)
    if not shape_fits(turned.shape[1:], spec):
        return array
    notes.append(f"{name}: its axis {axis} holds the examples, and was put first")
    return turned


def asked(spec: dict[str, Any]) -> list[Any]:
    """The shape that an input takes, to be shown."""
    return [("examples" if i == 0 else d) for i, d in enumerate(spec["shape"])]


def told(spec: dict[str, Any]) -> str:
    """What `--shape` says of an input, to be shown beside data that differ."""
    return f"--shape asks for {spec['name']}={'x'.join(map(str, spec['told']))}, the examples first"


def other_size(shape: Sequence[int], spec: dict[str, Any]) -> str:
    """What to do where an example has another shape than `--shape` says."""
    if len(shape) != len(spec["told"]) - 1:
        return "give one row an example, without a batch axis of its own"
    theirs = "x".join(map(str, [spec["told"][0], *shape]))
    return f"give data of the size of your calls; or, if your calls have this one, --shape {spec['name']}={theirs}"


def fits(part: NDArray[Any], cast: NDArray[Any]) -> bool:
    """Whether a cast kept its values: whole numbers did not wrap around, floats did not overflow."""
    return np.array_equal(part, cast) if cast.dtype.kind in "iu" else not np.isinf(cast).any()


def write_labels(
    array: Any, name: str, kind: str | None, source: str, out: str,
    names: Sequence[str] = (), own: Sequence[str] = (), notes: list[str] | None = None,
) -> str:  # fmt: skip
    """Labels as they are, checked for what the metric needs; classes as their numbers, which a note says.

    names, own: of the classes, as `labels.as_classes` takes them.
    """
    values = np.asarray(array[0 : len(array)])
    if kind == "classes":
        values, note = as_classes(values, list(names), list(own), f"{source}: labels {name!r}")
        if note and notes is not None:
            notes.append(note)
    if kind is not None and values.dtype.kind not in "iubf":
        raise DataError(f"{source}: labels {name!r} are {array.dtype}, this metric needs numbers", "encode them as whole numbers")
    if kind in ("classes", "tokens", "whole") and values.dtype.kind not in "iub":
        if not np.array_equal(values, np.floor(values)):
            raise DataError(f"{source}: labels {name!r} are {array.dtype}, this metric needs whole class numbers", "")
        values = np.asarray(values, np.int64)
    check_finite(values, 0, name, source)
    np.save(os.path.join(out, "labels.npy"), values)
    return "labels.npy"


def check_finite(part: NDArray[Any], start: int, name: str, source: str, missing: bool = False) -> None:
    """Raises DataError where values are no numbers.

    Args:
        missing: whether NaN stands for a missing value, as in the features of decision trees.
    """
    floats = part.dtype.kind in "fc"
    bad = np.zeros(part.shape, bool) if not floats else np.isinf(part) if missing else ~np.isfinite(part)
    if bad.any():
        row = start + int(np.argwhere(bad.reshape(len(part), -1).any(axis=1))[0, 0])
        what = "infinity" if missing else "NaN or infinity"
        raise DataError(f"{source}: array {name!r} holds {what} (first in row {row})", "clean the data")
