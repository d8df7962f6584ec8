"""ONNX Runtime GenAI's child side: probe, build, open. Imports nothing of strop."""

import os
import sys
from typing import Any

from . import runner
from .runner import open

_ = open  # `work.open` is the runner's: what is measured is what is shipped


def warm_import(_artifact: str) -> Any:
    """The runtime and its libraries are loaded by now: the empty process that memory is counted from."""
    return runner.__name__


def probe() -> dict[str, Any]:
    """What is installed here; a package that is missing is the error."""
    from importlib.metadata import version

    packages = ("onnxruntime-genai", "onnxruntime", "onnx", "torch", "transformers")
    return {
        "works": True,
        "why_not": "",
        "versions": {package: version(package) for package in packages},
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def warm_build(_step: dict[str, Any]) -> Any:
    """What its steps import, for all of them."""
    from onnxruntime_genai.models import builder

    return builder


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads the folder of `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    from . import steps

    return getattr(steps, step["name"])(os.path.dirname(artifact), out_dir, **step["params"])
