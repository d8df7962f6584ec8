"""Which Python runs a backend's child: Strop's own, or one of the backend's own environments."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution
from pathlib import Path

from pydantic import ValidationError

from strop.core.backend import Backend
from strop.core.errors import WorkerMissing
from strop.core.noun import Noun
from strop.worker.call import Work

HOME = "STROP_HOME"
NOT_INSTALLED = "not installed"


class Interpreter(Noun):
    """An environment that a backend runs in, as it was when it was installed or named.

    `site` are the folders that hold its packages, `managed` is False for one that the user brought, `bytes` its size on disk.
    """

    backend: str
    python: str
    python_version: str
    site: tuple[str, ...]
    managed: bool
    bytes: int
    versions: dict[str, str]

    @property
    def there(self) -> bool:
        """Whether its Python can still be started."""
        return os.access(self.python, os.X_OK)


def home() -> Path:
    """Where environments live: `$STROP_HOME`, else the user's data folder."""
    given = os.environ.get(HOME)
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share").absolute() / "strop"


def own_folder(backend: Backend) -> Path:
    """The environment that Strop makes for the backend's pinned packages; another pinned set is another folder."""
    assert backend.requirements is not None
    python = ".".join(map(str, sys.version_info[:2]))
    fetched = backend.fetch.read_bytes() if backend.fetch is not None else b""
    digest = hashlib.sha256(backend.requirements.read_bytes() + fetched + python.encode()).hexdigest()
    return home() / "interpreters" / f"{backend.environment or backend.name}-{digest[:10]}"


def records(backend: Backend) -> tuple[Path, Path]:
    """Where the user's and Strop's own environment of a backend are written down; the first that is there counts."""
    own = own_folder(backend)
    return home() / "interpreters" / f"{backend.environment or backend.name}.json", own.with_name(own.name + ".json")


def find(backend: Backend) -> Interpreter | None:
    """The environment of a backend that needs one; None where there is none, or its record is damaged."""
    for path in records(backend):
        try:
            return Interpreter.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            continue
    return None


def why_missing(backend: Backend) -> str:
    """Why a backend cannot be started here; empty where it can."""
    if backend.requirements is None:
        return ""
    found = find(backend)
    if found is None:
        return f"not installed: `strop backends install {backend.name}`"
    return "" if found.there else f"its interpreter {found.python} is gone: `strop backends install {backend.name}`"


def work_of(backend: Backend) -> Work:
    """A backend's child side and the Python that runs it.

    Raises:
        WorkerMissing: it has no environment here.
    """
    if backend.requirements is None:
        return Work(backend.work)
    found = find(backend)
    if found is None:
        raise WorkerMissing(f"{backend.name} is {why_missing(backend)}")
    return Work(backend.work, found.python)


def asked(python: str, code: str, *arguments: str) -> str:
    """What a line of code prints in an interpreter; run in the interpreter's own folder, since Python imports from the working
    directory first, which may be a downloaded model's.

    Raises:
        OSError, CalledProcessError: it cannot be started, or the code fails.
    """
    path = Path(python).absolute()  # not resolved: a virtual environment is known by its link
    return subprocess.run([path, "-c", code, *arguments], cwd=path.parent, capture_output=True, text=True, check=True).stdout


def versions_of(backend: Backend, packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of packages, in the environment the backend runs in; as recorded where that is gone."""
    places = sys.path
    if backend.requirements is not None:
        found = find(backend)
        if found is None:
            return dict.fromkeys(packages, NOT_INSTALLED)
        if not found.there:
            return {p: found.versions.get(p, NOT_INSTALLED) for p in packages}
        places = list(found.site)
    first = {p: next(iter(Distribution.discover(name=p, path=places)), None) for p in packages}
    return {p: d.version if d is not None else NOT_INSTALLED for p, d in first.items()}


def python_version_of(backend: Backend) -> str:
    """Version of the Python that runs the backend."""
    found = find(backend) if backend.requirements is not None else None
    return found.python_version if found is not None else sys.version.split()[0]
