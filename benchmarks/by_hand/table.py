"""The results as tables: each model's candidates, and the pick over the best of them."""

import math
from typing import Any

from benchmarks.peers.table import Model, best, shown, table

CANDIDATES = {
    "ort-clean": "ONNX Runtime, cleaned f32",
    "ort-static": "ONNX Runtime, cleaned f32, fixed shapes",
    "ort-qdq": "ONNX Runtime, the same, INT8 (QDQ)",
    "ov-f32": "OpenVINO, fixed shapes, f32",
    "ov-bf16": "OpenVINO, fixed shapes, bf16",
    "ov-int8": "OpenVINO, fixed shapes, `nncf.quantize`, the rest f32",
    "ov-int8-bf16": "OpenVINO, fixed shapes, `nncf.quantize`, the rest bf16",
}
LEAST = 0.97
"""Of the best known by hand, which the pick should reach."""


def render(figures: dict[str, Any]) -> list[str]:
    models: dict[str, Model] = figures["models"]
    lines = [
        "What about twenty lines of each framework's own API make of a model: `benchmarks/by_hand/in_onnxruntime.py` and",
        "`in_openvino.py`, which share no code with Strop. Timed as the peers are. *The best known by hand* is the fastest that",
        "keeps 95 % of the accuracy.", "",
    ]  # fmt: skip
    lines += summary(models)
    for name, model in models.items():
        lines += ["", *table(name, model, CANDIDATES, "known by hand")]
    return lines


def summary(models: dict[str, Model]) -> list[str]:
    """One row a model, and the geometric mean."""
    lines = ["| model | the best known by hand | over the original | Strop's pick | over the original | pick over the best |",
             "|---|---|---:|---|---:|---:|"]  # fmt: skip
    values = []
    for name, model in models.items():
        rows, hand, note = model["rows"], best(model, CANDIDATES), model["notes"].get("strop", "")
        over = rows[hand]["pick_over_it"] if hand is not None else None
        if hand is None or over is None:
            lines.append(f"| {name} | {CANDIDATES[hand] if hand else 'none keeps the accuracy'} | | {note} | | – |")
            continue
        values.append(over[1])
        figures = shown(rows[hand]["over_original"]), shown(rows["strop"]["over_original"])
        lines.append(f"| {name} | {CANDIDATES[hand]} | {figures[0]} | {note} | {figures[1]} | {shown(over)} |")
    if not values:
        return lines
    mean = math.exp(sum(map(math.log, values)) / len(values))
    reached = sum(value >= LEAST for value in values)
    return [*lines, "", f"On {reached} of {len(models)} models the pick reaches {LEAST:g} of the best known by hand; the least",
            f"of the ratios is {min(values):.3f}, the geometric mean {mean:.3f}."]  # fmt: skip
