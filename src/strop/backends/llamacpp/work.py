"""llama.cpp's child side: probe, inspect, build, open. Run by path; imports nothing of Strop."""

import os
import sys
from typing import Any

import runner
from runner import open

_ = open  # `work.open` is the runner's: what is measured is what is shipped


def warm_import(_artifact: str) -> Any:
    """The libraries and their CPU variant are loaded by now: the empty process that memory is counted from."""
    return runner.library()


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    from importlib.metadata import version

    try:
        found = runner.library()
    except (runner.LlamaError, OSError) as error:
        return {"works": False, "why_not": str(error), "versions": {}, "devices": [], "python": sys.version.split()[0]}
    return {
        "works": True,
        "why_not": "",
        "versions": {"llama.cpp": found.version, "gguf": version("gguf")},
        "devices": [f"CPU ({found.variant})"],
        "python": sys.version.split()[0],
    }


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    import steps

    return getattr(steps, step["name"])(artifact, os.path.join(out_dir, "model.gguf"), data, **step["params"])
