"""Which devices beside the CPU give the CPU's answers. Child side."""

from typing import Any

import numpy as np
import openvino as ov

TOLERANCE = 1e-2
"""Of the output's largest value: an accelerator may compute in half precision, but no more off than that."""


def accelerators(core: Any) -> list[dict[str, Any]]:
    """Every device that OpenVINO sees beside the CPU, tried on one inference."""
    found = []
    for device in core.available_devices:
        if device == "CPU":
            continue
        why = smoke(core, device)
        name = str(core.get_property(device, "FULL_DEVICE_NAME"))
        found.append({
            "kind": device.split(".")[0].lower(), "name": f"{device}: {name}", "vendor": "Intel", "usable": not why, "why": why,
        })  # fmt: skip
    return found


def smoke(core: Any, device: str) -> str:
    """Why the device cannot be used; empty after an inference on it that gave the CPU's answers."""
    model, x = _convolution()
    try:
        expected, got = (core.compile_model(model, where)([x])[0] for where in ("CPU", device))
    except Exception as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    off = float(np.abs(got - expected).max() / np.abs(expected).max())
    return "" if off <= TOLERANCE else f"its answers differ from the CPU's by {off:.1%}"


def _convolution() -> tuple[Any, Any]:
    """A small convolution with its activation, and an input."""
    ops: Any = ov.opset13
    rng = np.random.default_rng(0)
    x = ops.parameter([1, 3, 16, 16], np.float32)
    weight = ops.constant(rng.standard_normal((8, 3, 3, 3)).astype(np.float32))
    y = ops.relu(ops.convolution(x, weight, [1, 1], [1, 1], [1, 1], [1, 1]))
    return ov.Model([y], [x]), rng.standard_normal((1, 3, 16, 16)).astype(np.float32)
