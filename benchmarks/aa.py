"""How often does a model compared with itself look different? `python -m benchmarks aa`; a killed run goes on.

Forty comparisons a runtime, two models at one and two threads, each as large as a run's confirmation: 95 % should
contain 1.0.
"""

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.comparison import compare, one_by_one, planned, runtimes_here, subject, two_models
from benchmarks.models import Model
from benchmarks.options import Options
from benchmarks.results import Figures
from strop.run.machine import this_machine

REPEATS = 10
THREADS = (1, 2)


def run(options: Options) -> int:
    models, runtimes = two_models(options), runtimes_here()
    threads = [n for n in THREADS if n <= (this_machine().cores or 1)]
    tasks = [
        (
            {"runtime": runtime, "model": model.name, "threads": n, "repeat": repeat},
            partial(with_itself, runtime, model, n, repeat, options.smoke),
        )
        for repeat, runtime, model, n in product(range(1 if options.smoke else REPEATS), runtimes, models, threads)
    ]
    done = one_by_one("aa", options, tasks, models, {"runtimes": runtimes})
    summary = {name: summed(rows) for name, rows in groups(done).items()}
    options.write("aa", {"runtimes": runtimes, "summary": summary, "comparisons": done})
    return 0


def with_itself(runtime: str, model: Model, threads: int, repeat: int, smoke: bool) -> dict[str, Any]:
    a, b = (subject(model, threads, name, runtime=runtime) for name in ("original", "itself"))
    return compare(a, b, planned(a, b, smoke), seed=repeat)


def groups(done: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Comparisons by runtime, model and threads, then by runtime and threads, then by runtime, then all."""
    found: dict[str, list[dict[str, Any]]] = {}
    for parts in (("runtime", "model", "threads"), ("runtime", "threads"), ("runtime",), ()):
        for row in done:
            found.setdefault(group_name(row, parts), []).append(row)
    return found


def group_name(row: dict[str, Any], parts: tuple[str, ...]) -> str:
    """For example `onnxruntime, kws, 1 thread`; `all` of no parts."""
    if not parts:
        return "all"
    named = {**row, "threads": f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}"}
    return ", ".join(str(named[part]) for part in ("runtime", "model", "threads") if part in parts)


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
    }


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"


def render(figures: Figures) -> list[str]:
    lines = [
        "A model compared with itself, each comparison as large as a confirmation. *No number*: more than half of the quads",
        "were disturbed by others on the machine, so no interval is given. *Farthest*: the largest distance of a value from 1.",
        "",
        "| comparisons of | made | no number | interval contains 1.0 | median half-width | farthest | quads excluded |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {name} | {s['comparisons']} | {s['comparisons'] - s['numbers']} | {s['contain_one']} of {s['numbers']} "
        f"| {percent(s['half_width'], 2)} | {percent(s['farthest'], 2)} | {percent(s['excluded'])} |"
        for name, s in figures["summary"].items()
    ]
