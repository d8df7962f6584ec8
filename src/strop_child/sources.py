"""Where items come from: folders of pictures, tables, the user's loader. Gives one record an item, names what is broken.

Needs numpy; pyarrow for Parquet.
"""

import csv
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from strop_child.checked_json import MOST_BYTES, values
from strop_child.preprocess import DataError, call_user, user_function

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
LABEL_FILES = ("labels.csv", "labels.tsv", "labels.jsonl", "metadata.csv", "metadata.jsonl")
USUAL = {
    "file": ("file", "file_name", "filename", "image", "path"),
    "text": ("text", "sentence", "sentence1", "tokens", "words"),
    "text_pair": ("text_pair", "sentence2"),
    "label": ("label", "labels", "score", "class", "ner_tags", "tags"),
}
"""Column names that are taken where none is given."""
MOST_BROKEN = 0.01
NAMED = 3


class Record(NamedTuple):
    """`where` names file or line; `label` is as it stood there, None where there is none."""

    where: str
    item: Any
    label: Any


class Broken:
    """Items that cannot be used, counted and named; more than 1 % of all are refused."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, where: str, why: object) -> None:
        self.found.append(f"{where}: {why}")

    def notes(self, good: int) -> list[str]:
        """One note, or none. Raises DataError where too many are broken, or nothing is left."""
        if not self.found:
            return []
        total = good + len(self.found)
        named = "; ".join(self.found[:NAMED]) + ("; …" if len(self.found) > NAMED else "")
        text = f"{len(self.found)} of {total} items are broken"
        if not good or len(self.found) > MOST_BROKEN * total:
            raise DataError(f"{self.source}: {text}: {named}", "fix or remove them; up to 1 % are left out with a note")
        return [f"{text} and left out: {named}"]


def records(source: str, form: str, columns: dict[str, str], labelled: bool, broken: Broken, loader: dict[str, str]) -> Any:
    """An iterator of records.

    form: "pictures", "table" of texts, "pictures-table", or "loader".
    columns: what is in which column. labelled: whether a missing label column is an error.
    """
    if form == "loader":
        return loaded(source, loader)
    if form == "table":
        return texts(source, columns, labelled, broken)
    if form == "pictures-table":
        return listed_pictures(source, columns, labelled, broken)
    table = next((n for n in LABEL_FILES if os.path.isfile(os.path.join(source, n))), None)
    if table is not None:
        return listed_pictures(os.path.join(source, table), columns, labelled, broken)
    return foldered_pictures(source)


def listed_pictures(path: str, columns: dict[str, str], labelled: bool, broken: Broken) -> Iterator[Record]:
    """Pictures that a table beside them lists."""
    names, rows = table(path, broken)
    file = needed_column(path, names, columns, "file")
    label = column(path, names, columns, "label", labelled)
    for _, row in rows:
        yield Record(row[file], os.path.join(os.path.dirname(path), row[file]), row[label] if label else None)


def foldered_pictures(source: str) -> Iterator[Record]:
    """One folder a class; a folder without folders gives pictures without labels."""
    classes = sorted(n for n in os.listdir(source) if os.path.isdir(os.path.join(source, n)))
    for name in classes or [""]:
        for picture in sorted(os.listdir(os.path.join(source, name))):
            if picture.lower().endswith(PICTURES):
                yield Record(os.path.join(name, picture), os.path.join(source, name, picture), name or None)


def texts(path: str, columns: dict[str, str], labelled: bool, broken: Broken) -> Iterator[Record]:
    """Texts, or pairs as tuples, of a table; a list is taken as words."""
    names, rows = table(path, broken)
    first = needed_column(path, names, columns, "text")
    usual_pair = "text_pair" in columns or first in ("text", "sentence1")
    second = column(path, names, columns, "text_pair", False) if usual_pair else None
    label = column(path, names, columns, "label", labelled)
    for line, row in rows:
        where = f"{os.path.basename(path)} line {line}"
        cells = [row[first]] if second is None else [row[first], row[second]]
        if not all(isinstance(c, str) or (second is None and isinstance(c, list)) for c in cells):
            broken.add(where, f"no text but {type(cells[0]).__name__}")
            continue
        yield Record(where, cells[0] if second is None else tuple(cells), row[label] if label else None)


def loaded(source: str, loader: dict[str, str]) -> Iterator[Record]:
    """What the user's loader yields: (item, label) pairs, or items."""
    items = call_user(user_function(loader["function"], loader["folder"]), loader["function"], source)
    step = call_user(iter, loader["function"], items)
    for number in itertools.count():
        found = call_user(next, loader["function"], step, broken_off)
        if found is broken_off:
            return
        item, label = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        yield Record(f"item {number}", item, label)


broken_off = object()
"""Where an iterator ends."""


def column(path: str, names: list[str], columns: dict[str, str], what: str, needed: bool) -> str | None:
    """The column that holds `what`: the one that is named, else one of a usual name."""
    if what in columns:
        if columns[what] not in names:
            raise DataError(
                f"{path}: no column {columns[what]!r}; has {', '.join(names)}", f"name another: [data.columns] {what}"
            )
        return columns[what]
    found = next((n for n in USUAL[what] if n in names), None)
    if found is None and needed:
        raise DataError(
            f"{path}: no column for the {what}; has {', '.join(names)}",
            f'name it: [data.columns] {what} = "…", or --column {what}=…',
        )
    return found


def needed_column(path: str, names: list[str], columns: dict[str, str], what: str) -> str:
    found = column(path, names, columns, what, True)
    assert found is not None
    return found


def table(path: str, broken: Broken) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
    """Column names, and rows with their line numbers."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".parquet":
        return parquet(path)
    rows = jsonl(path, broken) if suffix in (".jsonl", ".ndjson") else separated(path, suffix, broken)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: holds no rows", "a header, and one row an example")
    return list(first[1]), itertools.chain([first], rows)


def column_names(source: str, form: str) -> list[str]:
    """Columns of the table that a source is or holds; none where it has no table."""
    inside = next((n for n in LABEL_FILES if os.path.isfile(os.path.join(source, n))), None)
    path = os.path.join(source, inside) if inside is not None and form == "pictures" else source
    return table(path, Broken(source))[0] if form in ("table", "pictures-table") or path != source else []


def separated(path: str, suffix: str, broken: Broken) -> Iterator[tuple[int, dict[str, Any]]]:
    """CSV with quotes, TSV without."""
    plain = suffix == ".tsv"
    csv.field_size_limit(1 << 24)
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as f:
        reader = csv.reader(f, delimiter="\t" if plain else ",", quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)
        try:
            header = next(reader, [])
            for cells in reader:
                where = f"{os.path.basename(path)} line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) != len(header):
                    broken.add(where, f"{len(cells)} cells, the header has {len(header)}")
                elif any(undecodable(cell) for cell in cells):
                    broken.add(where, "not UTF-8")
                else:
                    yield reader.line_num, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num}: {error}", "is it a CSV file with a header?") from None


def undecodable(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)


def jsonl(path: str, broken: Broken) -> Iterator[tuple[int, dict[str, Any]]]:
    """One JSON object a line."""
    names: set[str] = set()
    with open(path, "rb") as f:
        for number, line in enumerate(f, 1):
            if not line.strip():
                continue
            try:
                row = values(line)
            except ValueError as error:
                broken.add(f"{os.path.basename(path)} line {number}", error)
                continue
            names = names or set(row) if isinstance(row, dict) else names
            if not isinstance(row, dict) or not names <= set(row):
                broken.add(f"{os.path.basename(path)} line {number}", "other keys than the first line")
                continue
            yield number, row


def parquet(path: str) -> tuple[list[str], Iterator[tuple[int, dict[str, Any]]]]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError(f"{path}: Parquet needs the package pyarrow", 'pip install "strop[parquet]"') from None
    try:
        file = ParquetFile(path)
    except (ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: damaged: {str(error).splitlines()[0]}", "write it again") from None
    rows = (row for batch in file.iter_batches(1024) for row in batch.to_pylist())
    return list(file.schema_arrow.names), enumerate(rows, 1)


def read_classes(path: str | None) -> list[str]:
    """Class names in the order of their numbers: one a line, or a JSON list, or a JSON object of number → name."""
    if path is None:
        return []
    try:
        with open(path, "rb") as f:
            text = f.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES / 1e6:.0f} MB")
        parsed = values(text) if path.endswith(".json") else text.decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a list of classes: {error}", "one name a line") from None
    if isinstance(parsed, dict):
        odd = next((key for key in parsed if not (key.isascii() and key.isdecimal() and len(key) < 10)), None)
        if odd is not None:
            raise DataError(f"{path}: key {odd[:80]!r} is not the number of a class", "numbers as keys, names as values")
        parsed = [parsed[key] for key in sorted(parsed, key=int)]
    if not isinstance(parsed, list) or any(isinstance(name, (dict, list)) or name is None for name in parsed):
        raise DataError(f"{path}: not a list of names of classes", "one name a line, or a JSON list of names")
    return [" ".join(str(name).split()) for name in parsed]  # a line of a file each, in the bundle


def class_numbers(label: Any, classes: list[str]) -> list[int]:
    """Accepted classes of one item, by number or by name, several separated by `;` or `|`. Raises ValueError."""
    parts = label if isinstance(label, list) else str(label).replace("|", ";").split(";")
    return [class_number(part, classes) for part in parts if str(part).strip()]


def class_number(label: Any, classes: list[str]) -> int:
    text = str(label).strip()
    if text in classes:
        return classes.index(text)
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"label {text!r} is no class number" + (" and no class's name" if classes else "")) from None
    if number != int(number) or number < 0:
        raise ValueError(f"label {text!r} is no class number")
    return int(number)
