"""Files of this machine, labeled by their suffix, as Google's magika takes them: which bytes, and how they are filled up."""

import json
import os
import random
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE, BLOCK, LEAST, PADDING = 1024, 4096, 8, 256
"""What `standard_v3_3/config.min.json` says: bytes from either end, of so many read; the smallest file; the filling."""
KINDS = {
    ".c": "c", ".cmake": "cmake", ".cpp": "cpp", ".css": "css", ".csv": "csv", ".gif": "gif", ".gz": "gzip", ".html": "html",
    ".ini": "ini", ".jar": "jar", ".jpg": "jpeg", ".js": "javascript", ".json": "json", ".md": "markdown", ".php": "php",
    ".pm": "perl", ".png": "png", ".py": "python", ".pyc": "pythonbytecode", ".rst": "rst", ".sh": "shell", ".so": "elf",
    ".sql": "sql", ".svg": "svg", ".tcl": "tcl", ".toml": "toml", ".ttf": "ttf", ".txt": "txt", ".whl": "zip", ".xml": "xml",
    ".yaml": "yaml", ".zip": "zip",
}  # fmt: skip
"""Suffix → magika's own label."""
EVALUATION, CALIBRATION = 30, 10
"""Files of a kind, at most, where there are enough for both."""
LEAST_KINDS, LEAST_FILES = 10, 400


def sets(wheel: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Evaluation and calibration: `bytes` int32 [n, 2048], `labels` [n], places in magika's label set. No two are equal.

    Raises:
        SystemExit: this machine has too few files, or magika's rules are not those known here.
    """
    config = json.loads((wheel / "magika/models/standard_v3_3/config.min.json").read_text(encoding="utf-8"))
    known = (config["beg_size"], config["end_size"], config["block_size"], config["min_file_size_for_dl"])
    if (*known, config["padding_token"]) != (SIDE, SIDE, BLOCK, LEAST, PADDING):
        sys.exit("magika: its configuration asks for other bytes than are taken here")
    evaluation: list[tuple[bytes, int]] = []
    calibration: list[tuple[bytes, int]] = []
    kinds = list(distinct(files()).items())
    for label, found in kinds:
        random.Random(label).shuffle(found)
        place = config["target_labels_space"].index(label)
        cut = min(EVALUATION, round(len(found) * EVALUATION / (EVALUATION + CALIBRATION)))
        evaluation += [(f, place) for f in found[:cut]]
        calibration += [(f, place) for f in found[cut : cut + CALIBRATION]]
    if len(kinds) < LEAST_KINDS or len(evaluation) < LEAST_FILES:
        sys.exit(f"magika: {len(kinds)} kinds and {len(evaluation)} files here; {LEAST_KINDS} and {LEAST_FILES} are needed")
    return arrays(evaluation), arrays(calibration)


def arrays(examples: list[tuple[bytes, int]]) -> dict[str, NDArray[Any]]:
    """In an order that mixes the kinds, so that a part of them is like the whole."""
    random.Random(0).shuffle(examples)
    given = np.stack([np.frombuffer(f, np.int32) for f, _ in examples])
    return {"bytes": given, "labels": np.array([place for _, place in examples], np.int64)}


def files() -> Iterator[Path]:
    """Those of the Python installation and of the system, in an order of their own."""
    roots = {Path(sysconfig.get_path("stdlib")).parent, Path("/usr/share"), Path("/usr/lib"), Path(sys.prefix)}
    for root in sorted(roots):
        for folder, below, names in os.walk(root):
            below.sort()
            yield from (Path(folder, n) for n in sorted(names) if Path(n).suffix in KINDS)


def distinct(paths: Iterable[Path], most: int = 20 * (EVALUATION + CALIBRATION)) -> dict[str, list[bytes]]:
    """Label → what the model takes of each file (int32, as bytes), no two equal; `most` of a label."""
    seen: set[bytes] = set()
    found: dict[str, list[bytes]] = {label: [] for label in sorted(set(KINDS.values()))}
    for path in paths:
        label = KINDS[path.suffix]
        if len(found[label]) >= most or path.is_symlink():
            continue
        try:
            taken = features(path)
        except OSError:
            continue
        if taken is not None and taken not in seen:
            seen.add(taken)
            found[label].append(taken)
    return {label: given for label, given in found.items() if len(given) > 1}


def features(path: Path) -> bytes | None:
    """What magika's `_extract_features_from_seekable` takes: 1,024 bytes of the first block without the blanks before
    them, 1,024 of the last without those after, each byte an int32, filled up with 256; None where it asks no model."""
    size = path.stat().st_size
    if size < LEAST:
        return None
    with path.open("rb") as file:
        begin = file.read(BLOCK).lstrip()[:SIDE]
        file.seek(max(0, size - BLOCK))
        end = file.read(BLOCK).rstrip()[-SIDE:]
    if len(begin) < LEAST:
        return None
    found = np.full(2 * SIDE, PADDING, np.int32)
    found[: len(begin)] = list(begin)
    found[2 * SIDE - len(end) :] = list(end)
    return found.tobytes()
