"""Files of a model: plain ones inside its folder. Nothing outside of it is looked at, nothing pickled is opened."""

import os

from strop_child.refusal import ModelError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
USED = (".json", ".txt", ".model", ".jinja", ".safetensors")
"""What loaders of a folder read beside its weights: configuration, tokenizer, templates."""


def member(folder: str, name: str, named_by: str) -> str:
    """Full path of a plain file inside of the folder.

    Raises:
        ModelError: it is absent, or leaves the folder by `..`, an absolute path or a link.
    """
    full = os.path.join(folder, name)
    climbs = ".." in name.replace("\\", "/").split("/") or os.path.isabs(name) or "\0" in name
    if not name or climbs or not os.path.realpath(full).startswith(tuple(root + os.sep for root in roots(folder))):
        raise ModelError(
            f"{folder}: {named_by} names {name[:80]!r}, which leaves the model's folder", "copy the files themselves into it"
        )
    if not os.path.isfile(full):
        raise ModelError(f"{folder}: {named_by} names {name[:80]!r}, which is missing", "download or copy the model again")
    return full


def roots(folder: str) -> list[str]:
    """Where a folder's files may really lie: in it, or, for a snapshot of a download cache, among that model's blobs.

    The cache's layout is MODEL/snapshots/REVISION/file, a link to MODEL/blobs/digest.
    """
    own = os.path.realpath(folder)
    above, model = os.path.dirname(own), os.path.dirname(os.path.dirname(own))
    blobs = os.path.join(model, "blobs")
    cached = os.path.basename(above) == "snapshots" and os.path.basename(model).startswith("models--") and os.path.isdir(blobs)
    return [own, *([os.path.realpath(blobs)] if cached and not os.path.islink(blobs) else [])]


def listed(folder: str) -> list[str]:
    """Names of the plain files in the folder itself."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


def sizes(folder: str) -> dict[str, int]:
    """Bytes of each file that the folder's loaders read; links that leave the folder are refused."""
    names = [n for n in listed(folder) if n.endswith(USED)]
    return {name: os.path.getsize(member(folder, name, "the folder")) for name in names}


def size_of(path: str) -> int:
    """Bytes of a plain file."""
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no plain file", "give the model's file or folder")
    return os.path.getsize(path)
