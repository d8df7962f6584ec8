"""Olive's child side: probe and build. Run by path; imports nothing of Strop.

Olive returns, and its process ends with 0, where its passes failed: only a model in its hands counts.
"""

import os
import sys
from typing import Any

os.environ["CI"] = "1"  # Olive sends its first event before any switch of its own is read


def probe() -> dict[str, Any]:
    """What works here, and why not. Olive itself takes seconds to import: finding its packages has to do."""
    from importlib.metadata import PackageNotFoundError, version

    found, missing = {}, []
    for package in ("olive-ai", "torch", "onnxruntime", "onnx"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    return {
        "works": not missing,
        "why_not": f"{', '.join(missing)} not installed" if missing else "",
        "versions": found,
        "devices": ["CPU"],
        "python": sys.version.split()[0],
    }


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the file to go on with and what Olive claims of it."""
    import steps

    return getattr(steps, step["name"])(artifact, out_dir, data, **step["params"])
