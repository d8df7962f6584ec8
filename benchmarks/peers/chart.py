"""The pick over each peer, by model: an SVG on a logarithmic scale, the same bytes for the same figures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from benchmarks.peers.table import PEERS

COLORS = dict(zip(PEERS, ("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73"), strict=True))
"""Those of Okabe and Ito, which color-blind readers can tell apart."""


def draw(figures: dict[str, Any], path: Path) -> None:
    """A point with its interval for each peer that was raced; hollow where it misses the must."""
    models = figures["models"]
    figure = Figure(figsize=(8, 1 + 0.75 * len(models)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color="gray", linewidth=1)
    for place, (peer, title) in enumerate(PEERS.items()):
        height = 0.3 - 0.15 * place
        axes.plot([], [], "o", color=COLORS[peer], label=title.replace("`", ""))
        for index, model in enumerate(models.values()):
            row = model["rows"].get(peer)
            if row is None or row["pick_over_it"] is None:
                continue
            low, value, high = row["pick_over_it"]
            axes.errorbar(value, height - index, xerr=[[value - low], [high - value]], fmt="o", capsize=2, color=COLORS[peer],
                          markerfacecolor=COLORS[peer] if row["passes"] else "white")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks([-i for i in range(len(models))], list(models))
    axes.set_xlabel("speed of Strop's pick over the peer, 95 % interval\nhollow: the peer misses the must on accuracy")
    figure.legend(loc="outside upper left", ncols=2, fontsize="small", frameon=False)
    with mpl.rc_context({"svg.hashsalt": "strop"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
