"""The results as tables."""

import math
from typing import Any

from benchmarks.peers.metrics import METRICS

PEERS = {
    "ort-static": "ONNX Runtime `quantize_static`, defaults",
    "ort-dynamic": "ONNX Runtime `quantize_dynamic`, defaults",
    "nncf-default": "`nncf.quantize`, defaults, in OpenVINO",
    "nncf-accuracy": "`nncf.quantize_with_accuracy_control`, defaults, in OpenVINO",
    "olive": "`olive auto-opt --precision int8`",
}


def render(figures: dict[str, Any]) -> list[str]:
    models: dict[str, Any] = figures["models"]
    lines = [
        "One thread, one interleaved run a model, timed by `benchmarks/peers/race.py`, which shares no code with Strop; 95 %",
        "intervals over repeats with fresh processes. Peers run by their own command in their own environment. Strop is asked",
        "for speed alone (`--prefer speed=1`), its default musts. A peer that keeps less than 95 % of the accuracy is listed,",
        "and does not count.",
    ]
    for name, model in models.items():
        lines += ["", f"**{name}** (`{model['command']}`, {model['machine']['cpu']})", "",
                  "| | speed over the original | ms | top-1 | Strop's pick over it |", "|---|---:|---:|---:|---:|"]  # fmt: skip
        for row, found in model["rows"].items():
            title = PEERS.get(row, "the original" if row == "original" else f"**Strop: {model['notes'].get('strop', '')}**")
            mark = "" if found["passes"] else " (misses the must)"
            over = "–" if row == "strop" or found["pick_over_it"] is None else shown(found["pick_over_it"])
            lines.append(
                f"| {title} | {shown(found['over_original'])} | {found['ms']:.4g} | {found['accuracy']:.2%}{mark} | {over} |"
            )
        lines += [f"| {PEERS[n]} | {text.replace('|', '/')} | | | |" for n, text in model["notes"].items() if n in PEERS]
    return [*lines, "", *summary(models)]


def summary(models: dict[str, Any]) -> list[str]:
    """Geometric mean of the pick over each peer, where that passes; the least lower bound; the gain over the best of them."""
    lines = ["| peer | models | geometric mean of the pick over it | least lower bound |", "|---|---:|---:|---:|"]
    for peer, title in PEERS.items():
        found = [m["rows"][peer]["pick_over_it"] for m in models.values() if peer in m["rows"] and m["rows"][peer]["passes"]]
        found = [f for f in found if f is not None]
        if found:
            mean = math.exp(sum(math.log(f[1]) for f in found) / len(found))
            lines.append(f"| {title} | {len(found)} | {mean:.3f} | {min(f[0] for f in found):.3f} |")
    return lines


def shown(figure: list[float]) -> str:
    low, value, high = figure
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
