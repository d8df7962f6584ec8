"""The results as tables and one chart."""

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
CHART = "peers.svg"
Model = dict[str, Any]


def render(figures: dict[str, Any]) -> list[str]:
    models: dict[str, Model] = figures["models"]
    lines = [
        "One thread, one interleaved run a model, timed by `benchmarks/peers/race.py`, which shares no code with Strop; 95 %",
        "intervals over repeats with fresh processes. Peers run by their own command in their own environment. Strop is asked",
        "for speed alone (`--prefer speed=1`), its default musts. A peer that keeps less than 95 % of the accuracy is listed,",
        "and does not count. *The best single-framework answer* is the fastest peer that counts.", "",
        f"![Speed of Strop's pick over each peer, by model, on a logarithmic scale]({CHART})",
    ]  # fmt: skip
    for name, model in models.items():
        lines += ["", *table(name, model)]
    return [*lines, "", *summary(models)]


def table(name: str, model: Model, titles: dict[str, str] = PEERS, kind: str = "single-framework answer") -> list[str]:
    """One model: a row for each contestant of `titles`, and the gain over the best of them."""
    metric = METRICS[model.get("metric", "top1")]
    lines = [f"**{name}** (`{model['command']}`, {model['machine']['cpu']})", "",
             f"| | speed over the original | ms | {metric.title} | Strop's pick over it |",
             "|---|---:|---:|---:|---:|"]  # fmt: skip
    for row, found in model["rows"].items():
        title = titles.get(row, "the original" if row == "original" else f"**Strop: {model['notes'].get('strop', '')}**")
        mark = "" if found["passes"] else " (misses the must)"
        over = "–" if row == "strop" or found["pick_over_it"] is None else shown(found["pick_over_it"])
        score = f"{found['accuracy']:.2%}" if metric.percent else f"{found['accuracy']:.4f}"
        lines.append(f"| {title} | {shown(found['over_original'])} | {found['ms']:.4g} | {score}{mark} | {over} |")
    lines += [f"| {titles[n]} | {text.replace('|', '/')} | | | |" for n, text in model["notes"].items() if n in titles]
    if "strop" not in model["rows"]:
        return [*lines, "", f"Strop: {model['notes'].get('strop', 'took no part')}."]
    peer = best(model, titles)
    if peer is None:
        return [*lines, "", f"No {'peer' if titles is PEERS else 'candidate'} passes the must."]
    return [*lines, "", f"Strop's pick over the best {kind}, {titles[peer]}: "
            f"**{shown(model['rows'][peer]['pick_over_it'])}**."]  # fmt: skip


def best(model: Model, titles: dict[str, str] = PEERS) -> str | None:
    """The fastest of `titles` that passes the musts."""
    passing = {n: r["over_original"][1] for n, r in model["rows"].items() if n in titles and r["passes"]}
    return max(passing, key=lambda n: passing[n]) if passing else None


def gains(models: dict[str, Model], peer: str | None) -> list[list[float]]:
    """[low, value, high] of the pick over a peer on every model where that passes; over each model's best where it is None."""
    found = []
    for model in models.values():
        name = peer or best(model)
        row = model["rows"].get(name)
        if row is not None and row["passes"] and row["pick_over_it"] is not None:
            found.append(row["pick_over_it"])
    return found


def failures(models: dict[str, Model], peer: str) -> str:
    """On which models a peer made nothing that counts, and why."""
    parts = []
    for name, model in models.items():
        row = model["rows"].get(peer)
        if row is None:
            parts.append(f"{name}: {model['notes'].get(peer, 'not run').replace('|', '/')}")
        elif not row["passes"]:
            parts.append(f"{name}: keeps {row['accuracy'] / model['rows']['original']['accuracy']:.1%} of the accuracy")
    return "; ".join(parts) or "–"


def summary(models: dict[str, Model]) -> list[str]:
    """For each peer, and for the best of them: geometric mean of the pick over it, the least lower bound, where it fails."""
    lines = ["| peer | models | geometric mean of the pick over it | least lower bound | fails or misses the must |",
             "|---|---:|---:|---:|---|"]  # fmt: skip
    for peer, title in ((None, "**the best single-framework answer**"), *PEERS.items()):
        found = gains(models, peer)
        figures = "– | –"
        if found:
            mean = math.exp(sum(math.log(f[1]) for f in found) / len(found))
            figures = f"{mean:.3f} | {min(f[0] for f in found):.3f}"
        lines.append(f"| {title} | {len(found)} | {figures} | {failures(models, peer) if peer else '–'} |")
    return lines


def shown(figure: list[float]) -> str:
    low, value, high = figure
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
