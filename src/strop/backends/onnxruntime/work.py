"""ONNX Runtime's child side: probe, inspect, build, open. Imports nothing of strop."""

import os
import sys
from typing import Any

from strop_child import onnx_file

from .runner import open

_ = open  # `work.open` is the runner's: what is measured is what is shipped


def warm_import(_artifact: str) -> Any:
    """Everything the runtime needs without a model is imported by now: the empty process that memory is counted from."""
    import onnxruntime as ort

    return ort.__version__


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    import onnx
    import onnxruntime as ort

    from . import providers

    return {
        "works": True,
        "why_not": "",
        "versions": {"onnxruntime": ort.__version__, "onnx": onnx.__version__},
        "devices": [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()],
        "accelerators": providers.accelerators(),
        "python": sys.version.split()[0],
    }


def inspect(path: str) -> Any:
    """What this ONNX file is; refuses damaged, unsafe and unsupported ones."""
    return onnx_file.describe(path)


def batch_first(path: str, out_dir: str, axes: dict[str, int]) -> str:
    """The model with the examples along the first axis of all that `axes` names; returns the name of the file."""
    from . import batch_first

    return str(batch_first.rewrite(path, out_dir, axes))


def warm_build(_step: dict[str, Any]) -> Any:
    """What its steps import, for all of them."""
    from . import steps

    return steps.__name__


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    from . import steps

    return getattr(steps, step["name"])(artifact, os.path.join(out_dir, "model.onnx"), data, **step["params"])


def profile(path: str, settings: dict[str, Any]) -> Any:
    """A session that also tells what each operator takes."""
    from . import operators

    return operators.open(path, settings)
