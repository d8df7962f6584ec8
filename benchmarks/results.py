"""Where results are kept: benchmarks/results/NAME.json, each with its command, machine, versions and date."""

import datetime
import hashlib
import json
import os
import platform
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import strop
from strop.run.machine import this_machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "benchmarks"
"""Generated models, stores and the results of smoke runs; ignored by git."""
PACKAGES = ("numpy", "onnxruntime", "onnx")

Figures = dict[str, Any]


def command_of(name: str, arguments: list[str]) -> str:
    """The command that repeats one benchmark of those that were run; of a file elsewhere its last folder and name."""
    return shlex.join(["python", "-m", "benchmarks", name, *map(_shown, arguments)])


def _shown(argument: str) -> str:
    inside = argument.removeprefix(f"{ROOT}{os.sep}")
    return "/".join(Path(inside).parts[-2:]) if Path(inside).is_absolute() else inside


def machine() -> dict[str, Any]:
    """What the figures were measured on and with."""
    return {
        "cpu": this_machine().cpu,
        "cores": this_machine().cores,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {"strop": strop.__version__, "commit": commit(), **{name: version(name) for name in PACKAGES}},
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit of the working tree, with a plus where src/ was changed after it."""
    found = _git("rev-parse", "--short", "HEAD")
    return found + ("+" if found != "unknown" and _git("status", "--porcelain", "--", "src") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def digest(path: Path) -> str:
    """Short SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def read(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """The document of one benchmark, or None where it was never run."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def write(name: str, command: str, figures: Figures, folder: Path = RESULTS, complete: bool = True) -> None:
    """Replace the document of one benchmark, whole or not at all."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    document = {
        "benchmark": name,
        "command": command,
        "date": now,
        "complete": complete,
        "machine": machine(),
        "figures": figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{name}.json.partial"
    draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / f"{name}.json")
