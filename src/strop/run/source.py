"""What kind of data a path holds, which of its files matter, and their digests. Names only: nothing is read but bytes."""

import contextlib
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Literal

from strop.core.errors import ConfigError, DataError
from strop.run.request import Request
from strop.store import files

Form = Literal["arrays", "pictures", "table", "pictures-table", "loader"]
ARRAYS = (".npz", ".npy")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
HINT = "give an .npz, an .npy, a table (.csv, .tsv, .jsonl, .parquet), or a folder of pictures or .npy"


def form_of(source: Path, request: Request, pictures: bool) -> Form:
    """What kind of data this is.

    Args:
        pictures: whether the model takes pictures, so that a table lists files.

    Raises:
        DataError: no such file, or none of the known kinds.
    """
    if "loader" in request.code:
        return "loader"
    if not source.exists():
        raise DataError(f"{source}: no such file", HINT)
    if source.is_dir():
        return "arrays" if any(p.suffix in ARRAYS for p in source.iterdir()) else "pictures"
    if source.suffix.lower() in TABLES:
        return "pictures-table" if pictures else "table"
    return "arrays"


def pictures(folder: Path) -> list[str]:
    """Pictures in a folder, which a table beside them may list."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix.lower() in PICTURES)


def source_files(source: Path) -> list[str]:
    """Files of a source, relative to its folder: the arrays or else everything in it, or a table and the pictures it may list."""
    if not source.is_dir():
        return [source.name, *(pictures(source.parent) if source.suffix.lower() in TABLES else [])]
    arrays = sorted(p.name for p in source.iterdir() if p.suffix in ARRAYS)
    return arrays or sorted(str(p.relative_to(source)) for p in source.rglob("*") if p.is_file() and not p.name.startswith("."))


def source_digest(path: str | None) -> str | None:
    """Digest of a data file or of a folder's files; the path itself where it is missing, which is told later."""
    source = Path(path) if path is not None else None
    if source is None or not source.exists():
        return path
    return files.digest_files(source if source.is_dir() else source.parent, source_files(source))


def code_path(request: Request, what: str) -> tuple[str, Path]:
    """A user's function: the module's path relative to the folder of strop.toml, and the whole path.

    Raises:
        ConfigError: no such module.
    """
    module = request.code[what].partition(":")[0]
    name = module.replace(".", "/") + ".py"
    path = Path(request.folder) / name
    if not path.is_file():
        raise ConfigError(f"{what} {request.code[what]!r}: no {path}", "modules are looked for beside strop.toml")
    return name, path


def code_files(request: Request, what: str) -> dict[str, Path]:
    """A user's function's module, the modules beside it that it imports, and the files that `[data] files` names.

    Found without running anything; what is imported by a computed name is not seen, and has to be named.

    Raises:
        ConfigError: a module or file is not there, or not below the folder of strop.toml.
    """
    root = Path(request.folder)
    name, path = code_path(request, what)
    found = {name: path}
    finder = ModuleFinder(path=[str(root)])
    with contextlib.suppress(SyntaxError, ImportError, AttributeError, ValueError):  # the child says it, with the line
        finder.import_hook(request.code[what].partition(":")[0])
    loaded = [Path(file) for module in finder.modules.values() if (file := getattr(module, "__file__", None)) is not None]
    found |= {str(file.relative_to(root)): file for file in loaded if file.is_relative_to(root)}
    for file in request.files:
        there = root / file
        if not there.is_file() or ".." in Path(file).parts or Path(file).is_absolute():
            raise ConfigError(f"[data] files: {file!r} is not a file below {root}", "give paths relative to strop.toml")
        found[file] = there
    return found


def code_digests(request: Request) -> dict[str, str]:
    """Digest of each user function's module with all that it needs."""
    needed = {what: code_files(request, what) for what in sorted(request.code)}
    return {what: files.digest_json({n: files.digest_file(p) for n, p in found.items()}) for what, found in needed.items()}
