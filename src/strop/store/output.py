"""A folder among the user's files: Strop lists what it wrote there, and replaces or removes nothing else.

A set of files is delivered by building a whole new folder beside the old one and exchanging the two in one step, so that a
kill leaves either the old set or the new one. Whatever Strop did not write, or somebody changed since, is in both folders (as
hard links) before the exchange; the old folder is taken apart only after it.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from pydantic import ValidationError

from strop.core.errors import OutputError
from strop.core.noun import SCHEMA, Noun
from strop.core.standing import Standing
from strop.core.strict import to_json
from strop.store import files
from strop.store.files import PARTIAL

LIST = ".strop-output"
"""Name of the list in a folder that Strop made."""


class Listed(Noun):
    """A file as Strop wrote it."""

    sha256: str
    bytes: int


class Record(Noun):
    """What Strop wrote into a folder, and for what.

    `delivery` is different for each delivery. Without `files` (the mark of the first version was one line, the run's name)
    nothing in the folder counts as Strop's own.
    """

    run: str = ""
    model: str = ""
    digest: str = ""
    target: str = ""
    standing: Standing | None = None
    delivery: str = ""
    files: dict[str, Listed] = {}


class Kept(NamedTuple):
    """Something of the user's that stood where Strop writes: its name, and the name under which it was kept."""

    name: str
    kept: str


def read_record(folder: Path, name: str = LIST) -> Record | None:
    """The list of a folder; None where the folder was not made by Strop. One that cannot be read lists nothing."""
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return Record()
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.pop("schema", 0) > SCHEMA:
            return Record()
        return Record.model_validate(raw)
    except (ValueError, TypeError, ValidationError):
        return Record(run=text.strip() if re.fullmatch(r"[^\n{]*\n?", text) else "")


def write_record(folder: Path, record: Record, name: str = LIST) -> None:
    text = to_json({"schema": SCHEMA, **record.model_dump(mode="json")}, indent=1)
    files.write_text(folder / name, text + "\n")


def rewrite(target: Path, about: Record, write: Callable[[Path], None]) -> list[Kept]:
    """Replace what Strop wrote into `target`, as one set, and keep everything else that is there.

    Args:
        target: the folder, which may not be there yet.
        about: the new record, without its files.
        write: writes the new files into an empty folder.

    Returns:
        What had to be renamed, since Strop writes something of that name: a changed file as `NAME.kept-1`, a folder of
        Strop's with a changed or foreign file in it whole as `NAME.kept-1`.

    Raises:
        OutputError: the folder was not made by Strop, or cannot be written.
    """
    target = target.resolve()
    with files.disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _held(target.parent):
            recover(target)
            require_ours(target)
            token = secrets.token_hex(4)
            draft = target.parent / f"{PARTIAL}{target.name}-{token}"
            draft.mkdir()
            try:
                write(draft)
                write_record(draft, about.model_copy(update={"delivery": token, "files": listing(draft)}))
                kept = carry(target, draft) if target.is_dir() else []
                files.sync_tree(draft)
                swap(draft, target)
            finally:
                clear(draft, target)
            return kept


def require_ours(target: Path) -> None:
    """Raises OutputError where the folder holds something and Strop did not make it."""
    if target.exists() and (not target.is_dir() or (any(target.iterdir()) and read_record(target) is None)):
        raise OutputError(f"{target} exists and was not made by Strop", "choose another --out, or move it away")


def add_files(folder: Path, texts: Mapping[str, str], name: str) -> list[Kept]:
    """Write single files into a folder, each whole, with a list of their own called `name`; a changed one is kept."""
    record = read_record(folder, name) or Record()
    kept = []
    with files.disk(folder):
        for file, text in texts.items():
            there = folder / file
            if there.exists() and not _unchanged(there, record.files.get(file)):
                kept.append(Kept(file, free_name(folder, file)))
                there.rename(folder / kept[-1].kept)
            files.write_text(there, text)
    listed = {file: _listed(folder / file) for file in texts}
    write_record(folder, Record(files=listed), name)
    return kept


def listing(folder: Path) -> dict[str, Listed]:
    """Every file below a folder, by its relative path."""
    return {str(p.relative_to(folder)): _listed(p) for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()}


def _listed(path: Path) -> Listed:
    return Listed(sha256=files.digest_file(path), bytes=path.stat().st_size)


def _unchanged(path: Path, known: Listed | None) -> bool:
    if known is None or path.is_symlink() or not path.is_file() or path.stat().st_size != known.bytes:
        return False
    return files.digest_file(path) == known.sha256


def paths_below(folder: Path) -> Iterator[str]:
    """Relative paths of everything but folders, and of folders that are empty. Links are not followed."""
    for root, folders, names in os.walk(folder):
        place = Path(root)
        links = [f for f in folders if (place / f).is_symlink()]
        yield from (str((place / name).relative_to(folder)) for name in (*names, *links))
        if not folders and not names and place != folder:
            yield str(place.relative_to(folder))


def ours(folder: Path, record: Record | None = None) -> set[str]:
    """Relative paths of what Strop wrote and nobody changed: the list itself, files on it, and Python's caches of those."""
    record = record or read_record(folder) or Record()
    found = {name for name, known in record.files.items() if _unchanged(folder / name, known)}
    caches = {path for path in paths_below(folder) if _source_of(path) in found}
    return {LIST} | found | caches


def _source_of(path: str) -> str | None:
    """The module whose compiled form this is."""
    cache = PurePath(path)
    if cache.suffix != ".pyc" or cache.parent.name != "__pycache__":
        return None
    return str(cache.parent.parent / f"{cache.name.partition('.')[0]}.py")


def carry(old: Path, draft: Path) -> list[Kept]:
    """Link into the draft what is not Strop's own in the old folder; what would be in the way gets a name of its own."""
    record = read_record(old) or Record()
    own, wrote = ours(old, record), {PurePath(name).parts[0] for name in record.files}
    foreign = {PurePath(path).parts[0] for path in paths_below(old) if path not in own}
    kept = []
    for name in sorted(foreign):
        as_name = name
        if name in wrote or os.path.lexists(draft / name):
            as_name = free_name(draft, name, old)
            kept.append(Kept(name, as_name))
        _link(old / name, draft / as_name)
    return kept


def free_name(folder: Path, name: str, other: Path | None = None) -> str:
    """`NAME.kept-1`, or the first number that is not taken in either folder."""
    for number in range(1, 1 << 20):
        made = f"{name}.kept-{number}"
        if not any(os.path.lexists(place / made) for place in (folder, other or folder)):
            return made
    raise OutputError(f"{folder / name} was kept too often", "move some of its copies away")


def _link(source: Path, destination: Path) -> None:
    """The same file under a second name, or a copy where there are no hard links; a folder with all that is in it."""
    if source.is_symlink():
        destination.symlink_to(source.readlink())
    elif source.is_dir():
        destination.mkdir()
        for child in source.iterdir():
            _link(child, destination / child.name)
        shutil.copystat(source, destination)
    elif source.is_file():
        try:
            os.link(source, destination)
        except OSError:
            shutil.copy2(source, destination)


def swap(draft: Path, target: Path) -> None:
    """The draft becomes the target in one step. What the target was has the draft's name then, or that with `-old`."""
    if not target.exists() or not any(target.iterdir()):
        draft.rename(target)  # replaces an empty folder
    else:
        shutil.copymode(target, draft)
        if not _exchange(draft, target):
            target.rename(draft.with_name(f"{draft.name}-old"))
            draft.rename(target)
    files.sync_folder(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Two names change places at once, where kernel and file system can do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return not libc.renamex_np(*names, 2)
    if hasattr(libc, "renameat2"):
        here = -100  # AT_FDCWD
        return not libc.renameat2(here, names[0], here, names[1], 2)
    return False


def recover(target: Path) -> None:
    """Tidy up what a killed delivery left beside the target; nothing that is not elsewhere too is removed."""
    left = re.compile(re.escape(f"{PARTIAL}{target.name}-") + r"[0-9a-f]{8}(-old)?")
    if target.parent.is_dir():
        for folder in sorted(target.parent.iterdir(), reverse=True):  # `-old` first: it may have to become the target again
            if left.fullmatch(folder.name) and folder.is_dir():
                clear(folder.with_name(folder.name.removesuffix("-old")), target)


def recover_unless_busy(target: Path) -> None:
    """`recover`, before the work; left to the delivery itself while another one may be in progress."""
    if target.parent.is_dir():
        with contextlib.suppress(BlockingIOError), _held(target.parent, wait=False):
            recover(target)


def clear(draft: Path, target: Path) -> None:
    """Remove a draft that did not become the target, or take apart what the target was before it."""
    token = draft.name.rpartition("-")[2]
    for folder in (draft.with_name(f"{draft.name}-old"), draft):
        if not folder.is_dir():
            continue
        record = read_record(folder)
        if folder == draft and (record is None or record.delivery == token):
            shutil.rmtree(folder)  # never was the target: it holds new files, and links to what the target holds
        elif record is None:
            _remove_empty(folder)  # killed when all files of it were gone
        elif not target.exists():
            folder.rename(target)  # killed between two renames
        else:
            retire(folder, target)


def retire(old: Path, target: Path) -> None:
    """Take apart a folder that was replaced. What is neither Strop's own nor in the new folder already is moved there."""
    record = read_record(old) or Record()
    own = ours(old, record) | {str(above) for name in record.files for above in PurePath(name).parents}
    there = {path: target / path for path in paths_below(target)}
    known = {(s.st_dev, s.st_ino) for p in there.values() if not p.is_symlink() and (s := p.lstat())}
    for path in sorted(paths_below(old), key=lambda path: path == LIST):  # the list last: without it nothing is Strop's own
        place = old / path
        if path in own or _is_in(place, path, there, known):
            place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
            continue
        moved = target / path
        if os.path.lexists(moved):
            moved = moved.with_name(free_name(moved.parent, moved.name))
        moved.parent.mkdir(parents=True, exist_ok=True)
        place.rename(moved)
    _remove_empty(old)


def _remove_empty(folder: Path) -> None:
    """Remove folders that hold nothing; one that got something meanwhile stays for the next delivery to move."""
    for root, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(root).rmdir()


def _is_in(place: Path, path: str, there: Mapping[str, Path], known: set[tuple[int, int]]) -> bool:
    """Whether the new folder has this file: as a link to it, or as a copy under its own or its kept name."""
    about = place.lstat()
    if (about.st_dev, about.st_ino) in known:
        return True
    top, _, rest = path.partition(os.sep)
    pattern = re.compile(re.escape(top) + r"(\.kept-\d+)?" + re.escape(os.sep + rest if rest else ""))
    for name, other in there.items():
        if pattern.fullmatch(name) is None or other.is_symlink() != place.is_symlink() or other.is_dir() != place.is_dir():
            continue
        if place.is_symlink():
            if place.readlink() == other.readlink():
                return True
        elif place.is_dir() or (place.is_file() and files.digest_file(place) == files.digest_file(other)):
            return True
    return False


@contextlib.contextmanager
def _held(folder: Path, wait: bool = True) -> Iterator[None]:
    """One delivery at a time into the folders of this one; where folders cannot be locked, without.

    Raises:
        BlockingIOError: there is another one, and `wait` is False.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(handle)
