"""OpenVINO's child side: probe, inspect, build, open. Imports nothing of strop."""

import os
import sys
from typing import Any

os.environ.update(CI="true", NNCF_CI="1")  # no telemetry

from . import runner
from .runner import open

_ = open  # `work.open` is the runner's: what is measured is what is shipped


def warm_import(_artifact: str) -> Any:
    """The runtime and its CPU plugin are loaded by now: the empty process that memory is counted from."""
    runner.warm()


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    from importlib.metadata import version

    import openvino as ov

    core = ov.Core()
    works = "CPU" in core.available_devices
    from . import devices

    return {
        "works": works,
        "why_not": "" if works else f"no CPU device; there are {core.available_devices}",
        "versions": {p: version(p) for p in ("openvino", "nncf", "onnx")},
        "devices": list(core.available_devices),
        "accelerators": devices.accelerators(core),
        "python": sys.version.split()[0],
    }


def inspect(path: str) -> Any:
    """What this IR is; refuses damaged and incomplete ones."""
    from . import ir

    return ir.describe(path)


def warm_build(step: dict[str, Any]) -> None:
    """What its steps import, for all of them; NNCF only where something is quantized."""
    from . import steps

    if step["name"] != "convert":
        steps.nncf()


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    from . import steps

    return getattr(steps, step["name"])(artifact, out_dir, data, **step["params"])


def ran(session: Any) -> str:
    """In which types the session's kernels compute."""
    from . import kernels

    return str(kernels.ran(session))


def profile(path: str, settings: dict[str, Any]) -> Any:
    """A session that also tells what each operator takes."""
    from . import operators

    return operators.open(path, settings)
