"""`backends`: which there are, and what works here, asked of each in a child process."""

import tempfile
from pathlib import Path
from typing import Any

from strop.core.backend import Backend
from strop.core.errors import WorkerError
from strop.core.noun import Noun
from strop.plan.discover import backends
from strop.worker.call import Child, Limits, Work
from strop.worker.interpreter import find, why_missing, work_of

PROBE_S = 120.0


class Probe(Noun):
    """What a backend said of itself, or why it could not. `python` and `bytes` are those of an environment of its own."""

    name: str
    works: bool
    why_not: str = ""
    versions: dict[str, str] = {}
    devices: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    builds: tuple[str, ...] = ()
    python: str = ""
    bytes: int = 0


def list_backends() -> list[Probe]:
    """Every backend, probed.

    Raises:
        BackendError: an entry point that cannot be loaded at all.

    Example:
        >>> [probe.name for probe in strop.list_backends() if probe.works]
    """
    return [probe(backend) for backend in backends().values()]


def probe(backend: Backend) -> Probe:
    """Asks one backend; a crash is an answer too."""
    interpreter = find(backend) if backend.requirements is not None else None
    about = Probe(
        name=backend.name, works=False, reads=tuple(suffix for suffix, _ in backend.reads), runs=backend.runs,
        builds=backend.builds, python=interpreter.python if interpreter else "", bytes=interpreter.bytes if interpreter else 0,
    )  # fmt: skip
    missing = why_missing(backend)
    if missing:
        return about.model_copy(update={"why_not": missing})
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        try:
            said = ask(work_of(backend), Path(scratch) / "probe.log")
        except WorkerError as error:
            return about.model_copy(update={"why_not": error.message})
    return about.model_copy(update={
        "works": said["works"], "why_not": said["why_not"], "versions": said["versions"], "devices": tuple(said["devices"]),
    })  # fmt: skip


def ask(work: Work, log: Path) -> Any:
    """`probe()` of a child side.

    Raises:
        WorkerError: it could not answer.
    """
    with Child(work, log, Limits(PROBE_S)) as child:
        return child.call("probe")
