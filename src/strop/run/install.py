"""`backends install`: a backend's own environment, made from its pinned packages, or an interpreter that the user names."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from strop.core.backend import Backend
from strop.core.errors import BackendError, UsageError, WorkerError
from strop.core.spelling import PathText, known_names, spelled
from strop.plan.discover import backends
from strop.run.probe import ask
from strop.store import files
from strop.worker.call import Work
from strop.worker.interpreter import Interpreter, asked, find, own_folder, records

ABOUT = """
import json, sys, sysconfig
print(json.dumps([sys.version.split()[0], sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})]))
"""
TELLING = ("Collecting ", "Downloading ", "Installing collected", "Building wheel", "Successfully installed")
Progress = Callable[[str], None]


def silent(_line: str) -> None:
    """The progress of an installation that nobody watches."""


@spelled
def install_backend(name: str, *, python: PathText | None = None, progress: Progress = silent) -> Interpreter:
    """Make a backend's own environment, or take one that is there. Done already: nothing happens.

    Safe to interrupt: an environment counts once its record is written, which is last; what an interrupted one left is
    removed by the next.

    Args:
        name: a backend that needs an environment of its own.
        python: path of an interpreter that has the backend's packages; nothing is installed into it.
        progress: called with a line whenever there is something to tell.

    Raises:
        UsageError: the backend needs no environment, or is unknown.
        BackendError: the packages cannot be installed, or the backend does not work in it.
        StoreError: it is being installed by another process.

    Example:
        >>> strop.install_backend("openvino").versions["openvino"]
    """
    backend = _needs_one(name)
    user, own = records(backend)
    with files.lock(own.with_suffix(".lock"), wait=False, busy=f"{name} is being installed by another process"):
        if python is not None:
            made = _described(backend, str(Path(python).absolute()), managed=False)
            files.write_text(user, made.model_dump_json(indent=1) + "\n")
            return made
        known = find(backend)
        if known is not None and known.there:
            progress(f"{name}: already there")
            return known
        for record in (user, own):
            record.unlink(missing_ok=True)
        folder = own_folder(backend)
        shutil.rmtree(folder, ignore_errors=True)
        _make(backend, folder, progress)
        made = _described(backend, str(folder / "bin" / "python"), managed=True)
        files.write_text(own, made.model_dump_json(indent=1) + "\n")
        return made


@spelled
def remove_backend(name: str) -> None:
    """Remove a backend's own environment, and forget an interpreter that the user named.

    Args:
        name: a backend that needs an environment of its own.

    Raises:
        UsageError: the backend needs no environment, or is unknown. StoreError: it is being installed.

    Example:
        >>> strop.remove_backend("openvino")
    """
    backend = _needs_one(name)
    user, own = records(backend)
    with files.lock(own.with_suffix(".lock"), wait=False, busy=f"{name} is being installed by another process"):
        for record in (user, own):
            record.unlink(missing_ok=True)
        shutil.rmtree(own_folder(backend), ignore_errors=True)


def _needs_one(name: str) -> Backend:
    found = backends()
    able = sorted(b.name for b in found.values() if b.requirements is not None)
    if name not in able:
        what = "lives in Strop's own environment" if name in found else "is unknown"
        raise UsageError(f"backend {name!r} {what}", known_names(name, able, "there are"))
    return found[name]


def _make(backend: Backend, folder: Path, progress: Progress) -> None:
    assert backend.requirements is not None
    progress(f"{backend.name}: a new environment in {folder}")
    with files.disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    _told([sys.executable, "-P", "-m", "venv", str(folder)], backend, progress)
    pip = [str(folder / "bin" / "python"), "-P", "-m", "pip", "install", "--progress-bar", "off", "--disable-pip-version-check"]
    for packages in paragraphs(backend.requirements.read_text(encoding="utf-8")):
        _told([*pip, *packages], backend, progress)
    if backend.fetch is not None:
        _told([str(folder / "bin" / "python"), str(backend.fetch)], backend, progress)


def paragraphs(text: str) -> list[list[str]]:
    """Requirements, in groups that are installed one after another; comments left out."""
    lines = [line.partition("#")[0].strip() if not line.startswith("#") else None for line in text.splitlines()]
    groups: list[list[str]] = [[]]
    for line in lines:
        if line == "":
            groups.append([])
        elif line is not None:
            groups[-1].append(line)
    return [g for g in groups if g]


def _told(command: list[str], backend: Backend, progress: Progress) -> None:
    """Run a command, telling what it does.

    Raises:
        BackendError: it failed; with the last lines it wrote.
    """
    last: deque[str] = deque(maxlen=6)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    with _ended(process):
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            if line.strip().startswith(TELLING):
                progress(f"{backend.name}: {line.strip()[:100]}")
        code = process.wait()
    if code:
        errors = [line for line in last if line.startswith("ERROR")] or list(last)
        raise BackendError(
            f"{backend.name} cannot be installed: {errors[-1] if errors else f'exit code {code}'}",
            "is there a network, and enough disk? The same command begins again; "
            f"`strop backends install {backend.name} --python PATH` takes an interpreter that has it",
        )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _described(backend: Backend, python: str, managed: bool) -> Interpreter:
    """What is in an environment, asked of it; it must be able to do the backend's work.

    Raises:
        BackendError: it is no Python, or the backend does not work in it.
    """
    try:
        said = asked(python, ABOUT)
        version, site = json.loads(said)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise BackendError(f"{python} is no Python that can be started", "give the path of an interpreter") from error
    with tempfile.TemporaryDirectory(prefix="strop-") as scratch:
        try:
            found: dict[str, Any] = ask(Work(backend.work, python), Path(scratch) / "probe.log")
        except WorkerError as error:
            raise BackendError(f"{backend.name} does not work in {python}: {error.message}", error.log_tail) from error
    if not found["works"]:
        raise BackendError(f"{backend.name} does not work in {python}: {found['why_not']}", "install what it needs there")
    root = Path(python).parent.parent
    size = sum(p.stat().st_size for p in root.rglob("*") if p.is_file() and not p.is_symlink()) if managed else 0
    return Interpreter(
        backend=backend.name, python=python, python_version=version, site=tuple(site), managed=managed, bytes=size,
        versions=found["versions"],
    )  # fmt: skip
