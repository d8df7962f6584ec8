"""Which file or folder a model's path means, and whether its files are there at all. Names and first bytes only."""

from pathlib import Path

from strop.core.errors import ModelError

POINTER = b"version https://git-lfs.github.com/spec/"
MOST_POINTER = 1024
READ = (".json", ".txt", ".model", ".jinja", ".safetensors", ".gguf")
"""What is read of a folder."""
BESIDE = (".data", "_data")
"""Behind an ONNX file's name: where its weights usually lie."""
CACHED = "models--"
"""What a model's folder in Hugging Face's download cache begins with: models--OWNER--NAME/snapshots/REVISION."""


def located(path: Path) -> Path:
    """The file or folder that is meant: of a model in Hugging Face's download cache its snapshot.

    Raises:
        ModelError: a file of it is a link to nothing or a git-LFS pointer, or a cache holds several models.
    """
    path = _snapshot(path) if path.is_dir() else path
    for file in _files(path):
        if file.is_symlink() and not file.exists():
            raise ModelError(
                f"{file}: a link to {file.readlink()}, which is not there: the download is incomplete, or only the links were "
                "copied",
                "download the model again, or copy it with its files in place of links: cp -rL",
            )
        if _is_pointer(file):
            raise ModelError(
                f"{file}: a git-LFS pointer of {file.stat().st_size} bytes in place of the file itself",
                f"fetch it: git lfs pull, in {file.parent}; or download the file",
            )
    return path


def repository(path: Path) -> str:
    """The name of a model whose path is a snapshot in the download cache; empty of any other path."""
    cache = path.parent.parent
    return cache.name.rpartition("--")[2] if path.parent.name == "snapshots" and cache.name.startswith(CACHED) else ""


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in READ)
    weights = [path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path.with_name(path.name + s) for s in BESIDE]
    return [path, *(p for p in weights if p.is_symlink() or p.exists())]


def _is_pointer(file: Path) -> bool:
    try:
        if not file.is_file() or file.stat().st_size > MOST_POINTER:
            return False
        with file.open("rb") as opened:
            return opened.read(len(POINTER)) == POINTER
    except OSError:
        return False  # whoever reads it says so


def _snapshot(path: Path) -> Path:
    """A cached model's snapshot: that of its main branch, or the only one. Any other folder is what it is."""
    if (path / "config.json").is_symlink() or (path / "config.json").exists():
        return path
    models = sorted(p for p in path.iterdir() if p.name.startswith(CACHED) and (p / "snapshots").is_dir())
    if models:
        raise ModelError(f"{path}: a download cache of {len(models)} models", f"give one of them, such as {models[0]}")
    if not path.name.startswith(CACHED) or not (path / "snapshots").is_dir():
        return path
    found = sorted(p for p in (path / "snapshots").iterdir() if p.is_dir())
    main = path / "refs" / "main"
    named = main.read_text(encoding="utf-8", errors="replace").strip()[:200] if main.is_file() else ""
    chosen = [p for p in found if p.name == named] or found
    if len(chosen) != 1:
        what = "no snapshot" if not chosen else f"{len(chosen)} snapshots, and none is that of its main branch"
        hint = "download the model again" if not chosen else f"give one of them, such as {chosen[0]}"
        raise ModelError(f"{path}: a download cache with {what}", hint)
    return chosen[0]
