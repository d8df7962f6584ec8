"""In which types a compiled model computes, read from its own kernels: a precision that is asked for is only a hint. Child side;
never part of a bundle."""

from collections import Counter
from typing import Any

from .operators import LAYOUT, TYPES

IDLE = (
    "Input", "Output", "Const", "Constant", "Parameter", "Result", "Concat", "Gather", "ShapeOf", "Broadcast", "Convert", *LAYOUT,
)  # fmt: skip
"""What holds, converts or moves values."""


def ran(session: Any) -> str:
    """Kernels that compute, by type, the commonest first: `int8 26, fp32 3`; empty where OpenVINO does not say."""
    compiled = getattr(session, "compiled", None)
    if compiled is None:
        return ""
    found: Counter[str] = Counter()
    try:
        nodes = compiled.get_runtime_model().get_ops()
    except RuntimeError as error:
        print(f"the device does not say in which types it computes: {error}")
        return ""
    for node in nodes:
        about = node.get_rt_info()
        if "runtimePrecision" not in about or "layerType" not in about:
            continue
        if str(about["layerType"].astype(str)) not in IDLE:
            kind = str(about["runtimePrecision"].astype(str))
            found[TYPES.get(kind, kind)] += 1
    return ", ".join(f"{kind} {count}" for kind, count in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
