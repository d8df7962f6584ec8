"""Olive's child side: probe and build. Imports nothing of strop.

Olive returns, and its process ends with 0, where its passes failed: only a model in its hands counts.
"""

import os
import sys
from typing import Any

os.environ["CI"] = "1"  # Olive sends its first event before any switch of its own is read


def probe() -> dict[str, Any]:
    """What works here, and why not. It is imported to know: it does not declare all that it needs."""
    from importlib.metadata import version

    why_not = ""
    try:
        import olive.workflows  # noqa: F401
    except Exception as error:
        why_not = f"it cannot be imported: {error}"
    return {
        "works": not why_not,
        "why_not": why_not,
        "versions": {} if why_not else {p: version(p) for p in ("olive-ai", "torch", "onnxruntime", "onnx")},
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def warm_build(step: dict[str, Any]) -> None:
    """What its steps import, for all of them; `auto_opt` starts a program that imports it again."""
    if step["name"] != "auto_opt":
        import olive.workflows  # noqa: F401


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the file to go on with and what Olive claims of it."""
    from . import steps

    return getattr(steps, step["name"])(artifact, out_dir, data, **step["params"])
