"""`backends`: which there are, and what works here, asked of each in a child process."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from strop.core.backend import Backend
from strop.core.errors import OutputError, WorkerError
from strop.core.noun import Noun
from strop.core.spelling import spelled
from strop.core.target import Accelerator
from strop.plan.discover import backends
from strop.run.host import HERE
from strop.run.machine import hardware_id
from strop.store import files
from strop.worker.call import Limits, Work
from strop.worker.interpreter import find, home, versions_of, why_missing, work_of

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
    accelerators: tuple[Accelerator, ...] = ()
    python: str = ""
    bytes: int = 0


class Kept(Noun):
    """What the last probe of a backend found, and on what it was: another host or other versions make it stale."""

    host: str
    versions: dict[str, str]
    probe: Probe


@spelled
def list_backends() -> list[Probe]:
    """Every backend, probed; what they say is kept, so that `strop devices` knows the accelerators without a framework.

    Raises:
        BackendError: an entry point that cannot be loaded at all.

    Example:
        >>> [probe.name for probe in strop.list_backends() if probe.works]
    """
    found = []
    for backend in (b for b in backends().values() if not b.hidden):
        found.append(probe(backend))
        keep(backend, found[-1])
    return found


def _kept(backend: Backend) -> Path:
    return home() / "probes" / f"{backend.name}.json"


def keep(backend: Backend, found: Probe) -> None:
    """Writes a probe down; a home that cannot be written keeps nothing."""
    versions = versions_of(backend, backend.packages)
    kept = Kept(host=hardware_id(), versions=versions, probe=found)
    with contextlib.suppress(OutputError, OSError):
        files.write_text(_kept(backend), kept.model_dump_json(indent=1) + "\n")


def recall(backend: Backend) -> Probe | None:
    """The last probe of a backend, where it was made on this machine with the versions that are installed now."""
    try:
        kept = Kept.model_validate_json(_kept(backend).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    same = kept.host == hardware_id() and kept.versions == versions_of(backend, backend.packages)
    return kept.probe if same else None


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
        "accelerators": tuple(
            Accelerator.model_validate({"frameworks": (backend.name,), **found}) for found in said.get("accelerators", ())
        ),
    })  # fmt: skip


def ask(work: Work, log: Path) -> Any:
    """`probe()` of a child side.

    Raises:
        WorkerError: it could not answer.
    """
    with HERE.open(work, log, Limits(PROBE_S)) as child:
        return child.call("probe")
