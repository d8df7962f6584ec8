"""The null backend's child side. Imports nothing of strop."""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import runner
from .runner import open

_ = open

LARGE_MB = 1000
"""What a `large` model holds in memory."""


class ModelError(Exception):
    """The model is refused; `hint` says what to do next."""

    hint = "give a JSON file with inputs, outputs, seed and milliseconds"


def probe() -> dict[str, Any]:
    return {
        "works": True,
        "why_not": "",
        "versions": {"numpy": np.__version__},
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def inspect(path: str) -> dict[str, Any]:
    try:
        model = json.loads(Path(path).read_text())
        return {
            "files": [os.path.basename(path)],
            "inputs": model["inputs"],
            "outputs": model["outputs"],
            "parameters": 1,
            "traits": {"modes": model.get("offers", [])},
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a null model ({type(error).__name__}: {error})") from None


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> str:
    """`derive`: the same model in another mode, or with another computing time; some modes fail here already."""
    model, params = json.loads(Path(artifact).read_text()), step["params"]
    mode = params["mode"]
    if mode == "build-exception":
        raise RuntimeError("the null backend was asked to fail to build")
    if mode == "build-crash":
        runner.BEHAVIOUR["crash"](None, None)
    if mode == "build-hang":
        time.sleep(1e6)
    if mode == "build-memory":
        runner.BEHAVIOUR["memory"](SimpleNamespace(ballast=[]), None)
    if mode == "build-empty":
        return "model.null"
    model.update(mode=mode, milliseconds=model["milliseconds"] * params["factor"], after=params["after"], megabytes=LARGE_MB)
    (Path(out_dir) / "model.null").write_text(json.dumps(model))
    return "model.null"
