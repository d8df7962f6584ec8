"""How often does a model compared with itself look different? `python -m benchmarks aa`; a killed run goes on.

Forty comparisons, two models at one and two threads, each as large as a run's confirmation: 95 % should contain 1.0.
"""

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from benchmarks.comparison import compare, one_by_one, planned, subject, two_models
from benchmarks.models import Model
from benchmarks.options import Options
from benchmarks.results import Figures
from strop.run.machine import this_machine

REPEATS = 10
THREADS = (1, 2)


def run(options: Options) -> int:
    models = two_models(options)
    threads = [n for n in THREADS if n <= this_machine().cores]
    tasks = [
        ({"model": model.name, "threads": n, "repeat": repeat}, partial(with_itself, model, n, repeat, options.smoke))
        for repeat, model, n in product(range(1 if options.smoke else REPEATS), models, threads)
    ]
    done = one_by_one("aa", options, tasks, models)
    options.write("aa", figures(done, models, threads))
    return 0


def with_itself(model: Model, threads: int, repeat: int, smoke: bool) -> dict[str, Any]:
    a, b = subject(model, threads), subject(model, threads, "itself")
    return compare(a, b, planned(a, b, smoke), seed=repeat)


def figures(done: list[dict[str, Any]], models: list[Model], threads: list[int]) -> Figures:
    groups = {
        f"{model.name}, {n} thread{'s' if n > 1 else ''}": [r for r in done if (r["model"], r["threads"]) == (model.name, n)]
        for model, n in product(models, threads)
    }
    totals = {f"all, {n} thread{'s' if n > 1 else ''}": [r for r in done if r["threads"] == n] for n in threads}
    summary = {name: summed(rows) for name, rows in {**groups, **totals, "all": done}.items()}
    return {"summary": summary, "comparisons": done}


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
