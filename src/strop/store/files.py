"""Files that are whole or not there: write aside, fsync file and folder, rename. Locks that die with their holder."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strop.core.errors import OutputError, StoreError
from strop.core.foreign import writable

PARTIAL = ".partial-"


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one clear line.

    Raises:
        OutputError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space; run the same command again to continue"
            raise OutputError(f"disk full while writing {path}", hint) from error
        reason = error.strerror or type(error).__name__
        raise OutputError(f"cannot write {path}: {reason}", "choose another folder, or change its permissions") from error


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a plain file; of one that is larger, `most` + 1 bytes, which whoever parses them refuses.

    Raises:
        OSError: not there, not readable, or no plain file, such as a pipe that would never end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    with path.open("rb") as f:
        return f.read(most + 1)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """A folder's files and folders, on the disk."""
    for root, _, names in os.walk(folder):
        for path in (Path(root) / name for name in names):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                with path.open("rb") as f:
                    os.fsync(f.fileno())
        sync_folder(Path(root))


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; half a character, which UTF-8 cannot hold, becomes `�`."""
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as f:
                f.write(writable(text))
                f.flush()
                os.fsync(f.fileno())
            Path(name).chmod(0o644)
            Path(name).rename(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, and vanishes when it does not."""
    with disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{target.name}-", dir=target.parent))
    try:
        yield draft
        with disk(target):
            sync_tree(draft)
            draft.chmod(0o755)
            replace_folder(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace_folder(draft: Path, target: Path) -> None:
    """Rename `draft` to `target`; an old `target` is moved aside first and removed last."""
    old = None
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=target.parent)) / "old"
        target.rename(old)
    draft.rename(target)
    sync_folder(target.parent)
    if old is not None:
        shutil.rmtree(old.parent, ignore_errors=True)


def sweep(folder: Path, target: str = "") -> None:
    """Remove what interrupted writes left behind: of one target where it is named, since others may be in the making."""
    if folder.is_dir():
        for left in folder.glob(f"{PARTIAL}{target}*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path, wait: bool, busy: str) -> Iterator[None]:
    """An exclusive lock that the kernel releases when its holder dies.

    Raises:
        StoreError: held by another process, and `wait` is False.
    """
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise StoreError(busy, "wait for it to end, or use another --store") from None
        yield


def digest_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def digest_files(folder: Path, files: list[str] | tuple[str, ...]) -> str:
    """SHA-256 over names and contents, in the order of the names."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{digest_file(folder / name)}\0".encode())
    return whole.hexdigest()


def digest_json(value: Any) -> str:
    """SHA-256 of a plain value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
