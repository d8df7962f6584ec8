"""`backends`: which are installed, and what works here, asked of each in a child process."""

import tempfile
from pathlib import Path

from strop.core.backend import Backend
from strop.core.errors import WorkerError
from strop.core.noun import Noun
from strop.plan.discover import backends
from strop.worker.call import Child, Limits

PROBE_S = 60.0


class Probe(Noun):
    """What a backend said of itself, or why it could not."""

    name: str
    works: bool
    why_not: str = ""
    versions: dict[str, str] = {}
    devices: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def list_backends() -> list[Probe]:
    """Every installed backend, probed.

    Raises:
        BackendError: an entry point that cannot be loaded at all.

    Example:
        >>> [probe.name for probe in strop.list_backends() if probe.works]
    """
    return [probe(backend) for backend in backends().values()]


def probe(backend: Backend) -> Probe:
    """Asks one backend; a crash is an answer too."""
    reads, runs = tuple(suffix for suffix, _ in backend.reads), backend.runs
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        try:
            with Child(backend.work, Path(scratch) / "probe.log", Limits(PROBE_S)) as child:
                said = child.call("probe")
        except WorkerError as error:
            return Probe(name=backend.name, works=False, why_not=error.message, reads=reads, runs=runs)
    return Probe(
        name=backend.name, works=said["works"], why_not=said["why_not"], versions=said["versions"],
        devices=tuple(said["devices"]), reads=reads, runs=runs,
    )  # fmt: skip
