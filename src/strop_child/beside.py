"""What stands beside the shards: their description, and the files that a bundle ships."""

import json
import os
import shutil
from typing import Any

from strop_child.preprocess import DataError
from strop_child.sources import read_classes

CLASSES = "classes.txt"


def finish(out: str, inputs: dict[str, str], labels: str | None, count: int, notes: list[str], **more: Any) -> dict[str, Any]:
    """The description that stands beside the shards; its presence is part of what makes them whole."""
    description = {"inputs": inputs, "labels": labels, "count": count, "notes": notes, "group": 1, "packages": {}, "files": []}
    description |= {"unused": [], "casts": []}
    description.update(more)
    with open(os.path.join(out, "data.json"), "w") as f:
        json.dump(description, f)
    return description


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
