"""Is a bundle whole and unchanged."""

import json
from pathlib import Path

from pydantic import ValidationError

from strop.bundle.pack import MANIFEST, seal
from strop.core.errors import BundleError
from strop.core.manifest import Manifest
from strop.core.noun import SCHEMA
from strop.core.spelling import spelled
from strop.store import files


def read_manifest(folder: Path) -> Manifest:
    """The manifest, its own digest checked.

    Raises:
        BundleError: missing, damaged, changed, or of a newer Strop.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: no {MANIFEST}", "give the folder of a bundle")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        sealed = seal(raw) == raw["digest"]
        if raw.pop("schema", 0) > SCHEMA:
            raise BundleError(f"{path} was written by a newer Strop", "upgrade Strop")
        manifest = Manifest.model_validate(raw)
    except (ValueError, TypeError, KeyError, ValidationError, AttributeError) as error:
        raise BundleError(f"{path}: changed or damaged", "pack the bundle again") from error
    if not sealed:
        raise BundleError(f"{path}: changed: its digest is not its own", "pack the bundle again")
    return manifest


@spelled()
def verify_bundle(folder: str) -> Manifest:
    """The manifest of a bundle in which every file is the one that was packed.

    Args:
        folder: the bundle's folder.

    Raises:
        BundleError: any file changed, missing or extra; names them.

    Example:
        >>> strop.verify_bundle("strop-out/latest/bundle").outcome
    """
    root = Path(folder)
    manifest = read_manifest(root)
    there = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()} - {MANIFEST}
    problems = [f"extra: {name}" for name in sorted(there - set(manifest.files))]
    for name, digest in manifest.files.items():
        path = root / name
        if name not in there:
            problems.append(f"missing: {name}")
        elif path.is_symlink() or files.digest_file(path) != digest:
            problems.append(f"changed: {name}")
    if problems:
        hint = "this is not the bundle that was measured: pack it again"
        if all("__pycache__" in problem for problem in problems):
            hint = "Python wrote its cache when infer.py was imported: remove __pycache__ (PYTHONDONTWRITEBYTECODE=1 prevents it)"
        raise BundleError(f"{folder}: {'; '.join(problems)}", hint)
    return manifest
