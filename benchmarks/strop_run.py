"""The real command line, as a user runs it, in a folder of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.options import Given

TASKS = {"agreement": ["--task", "classification"], "token_accuracy": ["--task", "token-classification"]}
"""Metric → what a run must be told beside it."""


class Done(NamedTuple):
    """seconds: wall-clock of the command, starting Python included. report: what stood on stdout; None where it failed."""

    seconds: float
    code: int
    report: dict[str, Any] | None
    error: str


def optimize(given: Given, folder: Path, *more: str) -> Done:
    """`strop optimize` with store and output in `folder`."""
    command = [sys.executable, "-m", "strop", "optimize", *inputs(given), "--json", "--quiet", *more]
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    report = json.loads(done.stdout) if done.stdout.startswith("{") else None
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    return Done(seconds, done.returncode, report, last_line("\n".join(errors) or done.stderr))


def inputs(given: Given) -> list[str]:
    """Model and data: the configuration where there is one, else the arrays."""
    if given.config is not None:
        return [str((given.source or given.model).absolute()), "--config", str(given.config.absolute())]
    maps = [part for pair in given.mapping for part in ("--map", pair)]
    kind = TASKS.get(given.metric, []) + ([] if given.metric == "agreement" else ["--labels", given.labels])
    return [str(given.model.absolute()), "--data", str(given.data.absolute()), "--calibration", str(given.calibration.absolute()),
            *kind, *maps, "--metric", given.metric]  # fmt: skip


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
