"""How often does a model compared with itself look different? `python -m benchmarks aa`; a killed run goes on.

Comparisons as large as a run's confirmation, alone and beside seeded neighbors that keep the machine busy: 95 % should
contain 1.0.
"""

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.comparison import compare, one_by_one, planned, runtimes_here, subject, two_models
from benchmarks.models import Model
from benchmarks.neighbors import neighbors
from benchmarks.options import Options
from benchmarks.results import Figures
from strop.run.machine import this_machine

COMPANY = (
    # threads, neighbors, their kind, repeats of each runtime and model
    (1, 0, "cpu", 10),
    (1, 1, "cpu", 10),
    (1, 2, "cpu", 10),
    (1, 1, "memory", 2),
    (1, 1, "disk", 2),
    (2, 0, "cpu", 2),
    (2, 1, "cpu", 2),
)
MOST = max(repeats for *_, repeats in COMPANY)


def run(options: Options) -> int:
    models, runtimes = two_models(options), runtimes_here()
    cores = this_machine().cores or 1
    tasks = [
        (
            {"runtime": runtime, "model": model.name, "threads": threads, "neighbors": count, "kind": kind, "repeat": repeat},
            partial(with_itself, runtime, model, (threads, count, kind), repeat, options.smoke),
        )
        for repeat in range(1 if options.smoke else options.repeats or MOST)
        for threads, count, kind, repeats in COMPANY
        for runtime, model in product(runtimes, models)
        if threads <= cores and repeat < repeats
    ]
    done = one_by_one("aa", options, tasks, models, {"runtimes": runtimes})
    summary = {name: summed(rows) for name, rows in groups(done).items()}
    options.write("aa", {"runtimes": runtimes, "summary": summary, "comparisons": done})
    return 0


def with_itself(runtime: str, model: Model, company: tuple[int, int, str], repeat: int, smoke: bool) -> dict[str, Any]:
    threads, count, kind = company
    a, b = (subject(model, threads, name, runtime=runtime) for name in ("original", "itself"))
    plan = planned(a, b, smoke)
    with neighbors(count, kind, seed=repeat):
        return compare(a, b, plan, seed=repeat)


def groups(done: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Comparisons by threads and company, then by runtime and model too."""
    found: dict[str, list[dict[str, Any]]] = {}
    for parts in ((), ("runtime", "model")):
        for row in done:
            found.setdefault(group_name(row, parts), []).append(row)
    return found


def group_name(row: dict[str, Any], parts: tuple[str, ...]) -> str:
    """For example `1 thread, 2 neighbors` or `1 thread, 1 neighbor (disk), onnxruntime, kws`."""
    threads, count = row["threads"], row["neighbors"]
    kind = f" ({row['kind']})" if count and row["kind"] != "cpu" else ""
    company = f"{count} neighbor{'' if count == 1 else 's'}{kind}" if count else "alone"
    return ", ".join([f"{threads} thread{'s' if threads > 1 else ''}", company, *(str(row[part]) for part in parts)])


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts, and medians over those comparisons that gave a number."""
    numbers = [r for r in rows if r["speedup"] is not None]
    excluded = [r["excluded"] for r in rows if "excluded" in r]
    return {
        "comparisons": len(rows),
        "numbers": len(numbers),
        "contain_one": sum(r["speedup"][0] <= 1.0 <= r["speedup"][2] for r in numbers),
        "half_width": round(float(np.median([r["half_width"] for r in numbers])), 5) if numbers else None,
        "farthest": round(max(abs(r["speedup"][1] - 1) for r in numbers), 5) if numbers else None,
        "excluded": round(float(np.mean(excluded)), 4) if excluded else None,
        "refused": round(float(np.mean([r["refused"] for r in rows if "refused" in r])), 4) if excluded else None,
        "delay": round(float(np.median(delays)), 5)
        if (delays := [r["delay"] for r in rows if r.get("delay") is not None])
        else None,
        "rough_contains_one": sum(r["rough"][0] <= 1.0 <= r["rough"][2] for r in rows if r.get("rough") is not None),
    }


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def render(figures: Figures) -> list[str]:
    lines = [
        "A model compared with itself, each comparison as large as a confirmation. A *neighbor* is a process that is busy for",
        "some 50 ms and sleeps for some 10 ms, on any core. *No number*: more than half of the quads were disturbed, so only a",
        "rough figure is given. *Farthest*: the largest distance of a value from 1. *Repeated*: blocks that were disturbed and",
        "taken again. *Delay*: the share of its time that a thread of the median block waited for a CPU.",
        "",
        "| comparisons | made | no number | contains 1.0 | median half-width | farthest | quads left out | repeated | delay |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {name} | {s['comparisons']} | {s['comparisons'] - s['numbers']} | {s['contain_one']} of {s['numbers']} "
        f"| {percent(s['half_width'], 2)} | {percent(s['farthest'], 2)} | {percent(s['excluded'])} | {percent(s['refused'])} "
        f"| {percent(s['delay'], 2)} |"
        for name, s in figures["summary"].items()
    ]
