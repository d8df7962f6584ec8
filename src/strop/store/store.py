"""The store: builds shared by all runs, data shards, and runs with their candidates."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from strop.core.errors import StoreError
from strop.core.events import Event
from strop.core.foreign import ForeignError, parse_json, writable
from strop.core.noun import SCHEMA, Noun
from strop.core.strict import to_json
from strop.store import files
from strop.store.migration import migrated

N = TypeVar("N", bound=Noun)
USED = "used.json"
REFUSED: Event = "stopped"
"""The event of an attempt that an error ended."""
MOST_RECORD = 1 << 30
"""Bytes of a record; those with raw samples are large."""
MADE = re.compile(r"(\.partial-)?[0-9a-f]{64}(-\w+)?")
LOCK = re.compile(r"(build|data)-[0-9a-f]{32}")
REMOVE = "remove it with its folder; it will be made again"


def read_json(path: Path) -> dict[str, Any]:
    """A record, in the present schema.

    Raises:
        StoreError: damaged, or written by a newer Strop.
    """
    try:
        value = parse_json(path.read_bytes(), MOST_RECORD)
    except ForeignError as error:
        raise StoreError(f"{path} is damaged: {error}", REMOVE) from error
    if not isinstance(value, dict) or not isinstance(value.get("schema", 0), int):
        raise StoreError(f"{path} is damaged: not a record of Strop's", REMOVE)
    schema = value.pop("schema", 0)
    if schema > SCHEMA:
        raise StoreError(f"{path} was written by a newer Strop", "upgrade Strop, or use another --store")
    try:
        return migrated(path.name, value, schema)
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: marked as schema {schema}, but not of its form", REMOVE) from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    files.write_text(path, to_json({"schema": SCHEMA, **value}, indent=1) + "\n")


def load(path: Path, kind: type[N]) -> N | None:
    """The noun stored at `path`, or None where it is not there.

    Raises:
        StoreError: damaged, or written by a newer Strop.
    """
    if not path.exists():
        return None
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path} is damaged: {key}: {first['msg']}", REMOVE) from error


def save(path: Path, noun: Noun) -> None:
    files.write_text(path, to_json({"schema": SCHEMA, **noun.model_dump(mode="json")}) + "\n")


class Store:
    """A folder, by default `.strop/`.

    Args:
        root: the folder; made when something is first written.

    Example:
        >>> [run.name for run in strop.Store(Path(".strop")).list_runs()]
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def once(self, area: str, key: str, make: Callable[[Path], None]) -> Path:
        """The folder `area/key`, made by `make(draft)` where it is not there yet. Holds a lock while making."""
        target = self.root / area / key
        if target.exists():
            return target
        with files.lock(self.root / "locks" / f"{area}-{key[:32]}", wait=True, busy=""):
            if not target.exists():
                files.sweep(target.parent, target.name)
                with files.whole_folder(target) as draft:
                    make(draft)
        return target

    def run(self, name: str) -> "RunFolder":
        return RunFolder(self.runs / name)

    def list_runs(self) -> list["RunFolder"]:
        """All runs, newest first."""
        found = [RunFolder(path.parent) for path in self.runs.glob("*/run.json")]
        return sorted(found, key=lambda run: -(run.folder / "run.json").stat().st_mtime)

    def find_run(self, name: str) -> "RunFolder":
        """The run of that name, or the only one that starts so.

        Raises:
            StoreError: none, or several.
        """
        matches = [run for run in self.list_runs() if name and run.name.startswith(name)]
        exact = [run for run in matches if run.name == name]
        if len(exact or matches) != 1:
            what = "no run" if not matches else f"{len(matches)} runs"
            raise StoreError(f"{what} named {name!r} in {self.root}", "`strop runs list` shows them")
        return (exact or matches)[0]

    def cache_bytes(self) -> int:
        """Size of all builds and data shards."""
        return sum(p.stat().st_size for made in self._made() for p in made.rglob("*") if p.is_file())

    def _made(self) -> list[Path]:
        """Folders of builds and data shards: their names are digests. A store in a user's folder may have others beside them."""
        areas = [self.root / "build", self.root / "data"]
        return [made for area in areas if area.is_dir() for made in area.iterdir() if MADE.fullmatch(made.name)]

    def prune(self, runs: bool = False) -> int:
        """Remove all builds and data shards, return the bytes freed. Runs keep their reports and samples.

        Args:
            runs: remove all runs, too.

        Raises:
            StoreError: a run is in progress, which needs them.
        """
        with contextlib.ExitStack() as held:
            for run in self.list_runs():
                held.enter_context(run.hold())
            freed = self.cache_bytes()
            for run in self.list_runs() if runs else ():
                freed += sum(p.stat().st_size for p in run.folder.rglob("*") if p.is_file() and not p.is_symlink())
                shutil.rmtree(run.folder, ignore_errors=True)
            for made in self._made():
                shutil.rmtree(made, ignore_errors=True)
            for lock in (self.root / "locks").glob("*-*"):
                if LOCK.fullmatch(lock.name):
                    lock.unlink(missing_ok=True)
            for area in ("build", "data", "locks"):
                with contextlib.suppress(OSError):  # not empty: the rest is not Strop's
                    (self.root / area).rmdir()
            return freed


class RunFolder:
    """One run: `run.json`, `events.jsonl`, `candidates/<name>/…`, `report.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return self.folder.name

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Exclusive use of this run."""
        with files.lock(self.folder / "lock", wait=False, busy=f"run {self.name} is in progress in another process"):
            yield

    def candidate(self, name: str) -> Path:
        return self.folder / "candidates" / name

    def event(self, kind: Event, **details: Any) -> None:
        """Append one line to the journal, synced."""
        line = to_json({"at": round(time.time(), 3), "event": kind, **details})
        path = self.folder / "events.jsonl"
        with files.disk(path), path.open("ab+") as f:
            if f.tell():
                f.seek(-1, os.SEEK_END)
                line = line if f.read() == b"\n" else "\n" + line  # a kill cut the last line off
            f.write(f"{writable(line)}\n".encode())
            f.flush()
            os.fsync(f.fileno())

    def note_used(self, uses: list[str], installed: list[str]) -> None:
        """Which backends the run's plan uses, and which could be started when it was made."""
        write_json(self.folder / USED, {"uses": uses, "installed": installed})

    def used(self) -> dict[str, list[str]] | None:
        """What `note_used` wrote; None where the run has no plan yet."""
        path = self.folder / USED
        return read_json(path) if path.exists() else None

    def refused(self) -> str | None:
        """Why the last attempt stopped, where it was an error that said so; None for a run that is over or was cut off."""
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        try:
            last = json.loads(lines[-1]) if lines else {}
        except ValueError:  # a kill cut it off
            return None
        return str(last["why"]) if last.get("event") == REFUSED else None

    def finished(self) -> dict[str, Any] | None:
        """The final report, or None while the run is not over."""
        path = self.folder / "report.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def remove(self) -> None:
        with self.hold():
            shutil.rmtree(self.folder, ignore_errors=True)
