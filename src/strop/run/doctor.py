"""`doctor`: what works here and what is missing for what, what the disk holds, how busy the machine is, and what helps."""

import importlib.util
import shlex
import time
from pathlib import Path

from strop.core.backend import Backend
from strop.core.noun import Noun
from strop.core.quantity import show_bytes
from strop.core.spelling import PathText, spelled
from strop.plan.discover import backends
from strop.run import hardware
from strop.run.company import Watch, busiest
from strop.store.store import Store
from strop.worker.interpreter import find, home, own_folder, records, versions_of, why_missing

EXTRAS = {"images": ("PIL", "pictures"), "text": ("tokenizers", "texts"), "parquet": ("pyarrow", "Parquet tables")}
"""Extra of Strop's package → the module that it brings, and what that is for."""
WATCH_S = 1.0
LITTLE_DISK, LITTLE_MEMORY = 2 << 30, 1 << 30


class Part(Noun):
    """Something that is there or missing: a backend, or an extra. `fix` is the command that brings it."""

    name: str
    works: bool
    what: str
    versions: dict[str, str] = {}
    bytes: int = 0
    fix: str = ""


class Use(Noun):
    """What a part of the disk is used by, and the command that frees it."""

    name: str
    path: str
    bytes: int
    fix: str


class Health(Noun):
    """The answer of `doctor`. `busy_cores` are used by others, of `cores`; `problems` name what will disturb a run."""

    backends: tuple[Part, ...]
    extras: tuple[Part, ...]
    disk: tuple[Use, ...]
    free_disk_bytes: int
    free_memory_bytes: int
    cores: int
    busy_cores: float
    processes: tuple[str, ...]
    problems: tuple[str, ...]


@spelled
def doctor(store: PathText = ".strop") -> Health:
    """What is installed, what is missing for what, disk used, how busy this machine is now, and the commands that help.

    Takes about a second, in which other processes are watched. Nothing is started or changed.

    Args:
        store: the store whose size is told.

    Raises:
        BackendError: an entry point that cannot be loaded at all.

    Example:
        >>> [part.fix for part in strop.doctor().backends if not part.works]
    """
    with Watch() as watch:
        time.sleep(WATCH_S)
    cores, busy = watch.cpus, round(watch.others, 1)
    known = [backend for backend in backends().values() if not backend.hidden]
    health = Health(
        backends=tuple(map(_backend, known)), extras=tuple(_extra(*item) for item in EXTRAS.items()),
        disk=(*_environments(known), *_store(Store(Path(store)), store)), free_disk_bytes=hardware.free_storage(),
        free_memory_bytes=hardware.free_memory(), cores=int(cores), busy_cores=busy,
        processes=busiest() if busy >= 0.5 else (), problems=(),
    )  # fmt: skip
    return health.model_copy(update={"problems": tuple(_problems(health))})


def _backend(backend: Backend) -> Part:
    missing = why_missing(backend)
    found = find(backend) if backend.requirements is not None else None
    kinds = "builds" if not backend.runs else "runs language models" if backend.family == "llm" else "runs models"
    return Part(
        name=backend.name, works=not missing, what=kinds if not missing else missing.partition(":")[0],
        versions={} if missing else versions_of(backend, backend.packages), bytes=found.bytes if found is not None else 0,
        fix=f"strop backends install {backend.name}" if missing else "",
    )  # fmt: skip


def _extra(name: str, about: tuple[str, str]) -> Part:
    module, what = about
    there = importlib.util.find_spec(module) is not None
    return Part(name=name, works=there, what=f"for {what}", fix="" if there else f'pip install "strop[{name}]"')


def _environments(known: list[Backend]) -> list[Use]:
    """Those that backends use, and folders that none uses any more."""
    apart = {own_folder(b): b for b in known if b.requirements is not None}
    found = []
    for folder, backend in apart.items():
        own = find(backend) if records(backend)[1].exists() else None
        if own is not None and own.managed:
            name = f"environment of {backend.environment or backend.name}"
            found.append(Use(name=name, path=str(folder), bytes=own.bytes, fix=f"strop backends remove {backend.name}"))
    place = home() / "interpreters"
    left = sorted(p for p in place.iterdir() if p.is_dir() and p not in apart) if place.is_dir() else []
    return [*found, *(Use(name="no longer used", path=str(p), bytes=size(p), fix=f"rm -r {shlex.quote(str(p))}") for p in left)]


def _store(store: Store, given: PathText) -> list[Use]:
    flag = "" if str(given) == ".strop" else f" --store {shlex.quote(str(given))}"
    return [
        Use(name="builds and data", path=str(store.root), bytes=store.cache_bytes(), fix=f"strop runs prune{flag}"),
        Use(name="runs", path=str(store.runs), bytes=size(store.runs), fix=f"strop runs prune --all{flag}"),
    ]


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def _problems(health: Health) -> list[str]:
    """What will disturb or stop a run."""
    found = []
    if health.cores - health.busy_cores < 1:
        found.append("Other processes keep all cores busy: speeds will be rough; wait, stop them, or use --threads 1.")
    elif health.busy_cores >= 0.5:
        found.append(f"Other processes use {health.busy_cores:g} of {health.cores} cores: fewer --threads avoid them.")
    if health.free_memory_bytes < LITTLE_MEMORY:
        found.append(f"{show_bytes(health.free_memory_bytes)} of memory are free: large models will not fit.")
    if health.free_disk_bytes < LITTLE_DISK:
        found.append(f"{show_bytes(health.free_disk_bytes)} of disk are free: an environment takes up to 2 GB.")
    return found
