"""What does Strop's own work cost, and what does it save? `python -m benchmarks overhead`.

One cold run of `strop optimize` in a fresh store, the same command again, and what measuring everything to the full
would have taken: offered recipes × (mean build + mean check + mean memory + a full confirmation).
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.options import Options
from benchmarks.strop_run import optimize
from strop.plan.ladder import PAIRS


def run(options: Options) -> int:
    more = ("--recipe", "int8-static", "--budget", "60s") if options.smoke else ()
    with tempfile.TemporaryDirectory(prefix="strop-overhead-") as folder:
        cold = optimize(options.given, Path(folder), *more)
        if cold.report is None:
            print(f"overhead: strop failed: {cold.error}")
            return 1
        resumed = optimize(options.given, Path(folder), *more)
    if resumed.report is None or resumed.report["run"] != cold.report["run"]:
        print("overhead: the second command was another run: the model, the data or src/ changed in between")
        return 1
    report = cold.report
    timing = report["timing"]
    naive = naive_sum(report)
    options.write("overhead", {
        "model": options.given.name, "outcome": report["outcome"], "timing": timing,
        "parent_share": round(timing["parent"] / timing["total"], 4), "cold_s": round(cold.seconds, 2),
        "resumed_s": round(resumed.seconds, 2), "naive": naive,
        "share_of_naive": round(timing["total"] / naive["seconds"], 4),
    })  # fmt: skip
    return 0


def naive_sum(report: dict[str, Any]) -> dict[str, Any]:
    """Seconds that every offered recipe would have taken, measured to the full; means are those of this very run."""
    tried = [c for c in report["candidates"] if c["status"] != "not reached"]
    measured = [c["measurement"] for c in tried]
    timing = report["timing"]
    footprints = sum(len(m["memory"]) for m in measured)
    checked = sum(m["examples"] > 0 for m in measured)
    pairs = [m["confirmation"]["pairs"] for m in measured if m["confirmation"] is not None]
    means = {
        "build": sum(m["build_s"] for m in measured) / len(measured),
        "check": timing.get("check", 0.0) / max(checked, 1),
        "memory": timing.get("memory", 0.0) / max(footprints, 1),
        "confirmation": timing.get("confirm", 0.0) / sum(pairs) * min(PAIRS, *pairs) if pairs else timing.get("noise", 0.0),
    }
    count = len(report["candidates"])
    return {
        "recipes": count,
        "means_s": {name: round(value, 3) for name, value in means.items()},
        "seconds": round(count * sum(means.values()), 2),
    }


def render(figures: dict[str, Any]) -> list[str]:
    timing, naive = figures["timing"], figures["naive"]
    means = ", ".join(f"{name} {seconds:.2g} s" for name, seconds in naive["means_s"].items())
    return [
        f"`strop optimize` on {figures['model']} in a fresh store. *Strop's own*: the time that the parent did not spend",
        f"waiting for a child. *All to the full*: {naive['recipes']} recipes × the means of this run ({means}).",
        "",
        "| | seconds |",
        "|---|---:|",
        f"| first run, the whole command | {figures['cold_s']:.1f} |",
        f"| the same command again | {figures['resumed_s']:.1f} |",
        f"| Strop's own, of the run's {timing['total']:.1f} | {timing['parent']:.2f} ({figures['parent_share']:.1%}) |",
        f"| all to the full | {naive['seconds']:.1f} (the run took {figures['share_of_naive']:.0%} of it) |",
        "",
        "Where the first run's time went: "
        + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in timing.items() if name not in ("total", "parent"))
        + ".",
    ]
