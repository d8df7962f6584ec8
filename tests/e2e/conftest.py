"""The real command line in a subprocess, on null models that misbehave on request and on real ONNX models."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import strop

DEMO = Path(strop.__file__).parent / "demo"
FEATURES = 16


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run_strop(cwd: Path, *arguments: object, timeout: float = 280, prefix: Sequence[str] = ()) -> Done:
    """`strop ARGUMENTS` in a subprocess; its folder is `cwd`."""
    command = [*prefix, sys.executable, "-m", "strop", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, "COLUMNS": "100"}
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., Done]:
    """The command line in a temporary folder."""

    def call(*arguments: object, **options: float) -> Done:
        return run_strop(tmp_path, *arguments, **options)

    return call


def null_model(folder: Path, offers: Sequence[str], milliseconds: float = 0.5, examples: int = 200) -> Path:
    """A null model that offers these modes, with labelled data that it gets right nine times in ten."""
    model = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", FEATURES]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch", 4]}],
        "seed": 0,
        "milliseconds": milliseconds,
        "offers": list(offers),
    }
    path = folder / "model.null"
    path.write_text(json.dumps(model))
    weights = np.random.default_rng(0).standard_normal((FEATURES, 4))
    rng = np.random.default_rng(5)
    for name, count in (("eval", examples), ("calibration", 50)):
        x = rng.standard_normal((count, FEATURES)).astype(np.float32)
        labels = (x @ weights).argmax(axis=1)
        wrong = rng.random(count) < 0.1
        labels[wrong] = rng.integers(0, 4, int(wrong.sum()))
        np.savez(folder / f"{name}.npz", x=x, labels=labels)
    return path


DATA = ("--data", "eval.npz", "--calibration", "calibration.npz")


def report(folder: Path) -> dict:
    """The report that a run left in `strop-out/latest`."""
    return json.loads((folder / "strop-out" / "latest" / "report.json").read_text())


def candidates(document: dict) -> dict[str, dict]:
    return {c["name"]: c for c in document["candidates"]}


def assert_faster(speedup: dict | None, timing: dict, least: float) -> None:
    """Surely faster by this factor; on a machine too busy to time, no number at all, and the excluded share says why."""
    if speedup is None:
        assert timing["excluded"] > 0.5
    else:
        assert speedup["low"] > least
