"""Is a bundle whole and unchanged."""

from pathlib import Path, PurePath

from pydantic import ValidationError

from strop.bundle.pack import MANIFEST, may_be_run, seal
from strop.core.errors import BundleError
from strop.core.foreign import MOST_JSON, ForeignError, clean, parse_object
from strop.core.manifest import Manifest
from strop.core.noun import SCHEMA
from strop.core.spelling import PathText, spelled
from strop.store import files
from strop.store.migration import migrated


def read_manifest(folder: Path) -> Manifest:
    """The manifest, its own digest checked.

    Raises:
        BundleError: missing, damaged, changed, or of a newer Strop.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder}: no {MANIFEST}", "give the folder of a bundle")
    try:
        raw = parse_object(files.read_bytes(path, MOST_JSON))
        sealed = seal(raw) == raw["digest"]
        schema = raw.pop("schema", 0)
        if schema > SCHEMA:
            raise BundleError(f"{path} was written by a newer Strop", "upgrade Strop")
        manifest = Manifest.model_validate(migrated(MANIFEST, raw, schema))
    except ForeignError as error:
        raise BundleError(f"{path}: changed or damaged: {error}", "pack the bundle again") from error
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BundleError(f"{path}: changed or damaged: {key}: {error.errors()[0]['msg']}", "pack the bundle again") from error
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise BundleError(f"{path}: changed or damaged", "pack the bundle again") from error
    if not sealed:
        raise BundleError(f"{path}: changed: its digest is not its own", "pack the bundle again")
    require_inside(folder, manifest)
    return manifest


def require_inside(folder: Path, manifest: Manifest) -> None:
    """Whatever a manifest says, a bundle is what lies in its folder.

    Raises:
        BundleError: it names a file that is elsewhere, or a model that is not among its files.
    """
    hint = "do not run it: a bundle that Strop packed names its own files only"
    for key, name in (("model", manifest.model), *(("files", name) for name in manifest.files)):
        parts = name.replace("\\", "/").split("/")
        if Path(name).is_absolute() or ".." in parts or "\0" in name:
            raise BundleError(f"{folder / MANIFEST}: {key}: {clean(name)!r} leaves the bundle", hint)
    if manifest.model not in manifest.files:
        raise BundleError(f"{folder / MANIFEST}: model: {clean(manifest.model)!r} is not among its files", hint)


@spelled
def verify_bundle(folder: PathText) -> Manifest:
    """The manifest of a bundle in which every file is the one that was packed.

    Args:
        folder: the bundle's folder.

    Raises:
        BundleError: any file or folder changed, missing or extra, or a manifest that leads out of the bundle; names them.

    Example:
        >>> strop.verify_bundle("strop-out/latest/bundle").outcome
    """
    root = Path(folder)
    manifest = read_manifest(root)
    there = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_symlink() or not p.is_dir()} - {MANIFEST}
    folders = {str(parent) for name in manifest.files for parent in PurePath(name).parents}
    empty = {f"{p.relative_to(root)}/" for p in root.rglob("*") if p.is_dir() and not p.is_symlink() and not any(p.iterdir())}
    problems = [f"extra: {name}" for name in sorted((there - set(manifest.files)) | {n for n in empty if n[:-1] not in folders})]
    for name, digest in manifest.files.items():
        path = root / name
        if name not in there:
            problems.append(f"missing: {name}")
        elif path.is_symlink() or not path.is_file() or not same(path, digest, manifest.sizes.get(name)):
            problems.append(f"changed: {name}")
        elif manifest.executables is not None and may_be_run(path) != (name in manifest.executables):
            problems.append(f"changed: {name} {'may' if may_be_run(path) else 'may not'} be executed")
    if problems:
        hint = "this is not the bundle that was measured: pack it again"
        if all("__pycache__" in problem for problem in problems):
            hint = "Python wrote its cache when infer.py was imported: remove __pycache__ (PYTHONDONTWRITEBYTECODE=1 prevents it)"
        raise BundleError(f"{folder}: {'; '.join(problems)}", hint)
    return manifest


def same(path: Path, digest: str, size: int | None) -> bool:
    """Whether a file is the one that was packed; its size tells at once where another is much larger."""
    return (size is None or path.stat().st_size == size) and files.digest_file(path) == digest
