"""Is a candidate that is 5 % slower found out? `python -m benchmarks power`; a killed run goes on.

Both sides are the same model behind a runner that, after each honest call, waits until a multiple of its duration is over: 1 for
the baseline, 1.05 for the candidate. What the waiting itself costs is in both.
"""

import math
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.aa import percent
from benchmarks.comparison import compare, one_by_one, planned, subject, two_models
from benchmarks.models import Model
from benchmarks.neighbors import neighbors
from benchmarks.options import Options
from benchmarks.results import Figures
from strop.backends.onnxruntime.spec import BACKEND
from strop.worker.call import Work

REPEATS = 10
NEIGHBORS = (0, 1, 2)
PLANTED = 1.05
WORK = '''"""ONNX Runtime, each call stretched to {stretch} times its duration."""

import time

from . import runner


class Session(runner.Session):
    def run(self, feed):
        start = time.perf_counter_ns()
        answer = super().run(feed)
        end = start + {stretch} * (time.perf_counter_ns() - start)
        while time.perf_counter_ns() < end:
            pass
        return answer


def warm_import(_artifact):
    return runner.ort.__version__


def open(path, settings):
    return Session(path, settings)
'''


def write_work(folder: Path, stretch: float) -> Path:
    """The work module that stretches its calls, beside a copy of the honest runner."""
    assert BACKEND.runner is not None
    folder.mkdir()
    shutil.copy(BACKEND.runner, folder / "runner.py")
    (folder / "work.py").write_text(WORK.format(stretch=stretch), encoding="utf-8")
    return folder / "work.py"


def run(options: Options) -> int:
    models = two_models(options)
    with tempfile.TemporaryDirectory(prefix="strop-power-") as folder:
        works = Works(write_work(Path(folder) / "honest", 1.0), write_work(Path(folder) / "slower", PLANTED))
        tasks = [
            (
                {"model": model.name, "neighbors": count, "repeat": repeat},
                partial(with_slower, model, works, count, repeat, options.smoke),
            )
            for repeat in range(1 if options.smoke else options.repeats or REPEATS)
            for count in NEIGHBORS
            for model in models
        ]
        done = one_by_one("power", options, tasks, models)
    groups = {f"{count} neighbors": [r for r in done if r["neighbors"] == count] for count in NEIGHBORS}
    groups |= {f"{name}, {m.name}": [r for r in rows if r["model"] == m.name] for name, rows in groups.items() for m in models}
    summary = {name: summed(rows) for name, rows in groups.items()}
    options.write("power", {"planted": 1 / PLANTED, "summary": summary, "comparisons": done})
    return 0


class Works(NamedTuple):
    """Child sides whose calls take as long as they take, and 1.05 times as long."""

    honest: Path
    slower: Path


def with_slower(model: Model, works: Works, count: int, repeat: int, smoke: bool) -> dict[str, Any]:
    a, b = subject(model, 1, "honest", Work(works.honest)), subject(model, 1, "slower", Work(works.slower))
    plan = planned(a, b, smoke)
    with neighbors(count, seed=repeat):
        return compare(a, b, plan, seed=repeat)


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = [r["speedup"] for r in rows if r["speedup"] is not None]
    return {
        "comparisons": len(rows),
        "numbers": len(numbers),
        "found": sum(high < 1.0 for _, _, high in numbers),
        "wrong_direction": sum(low > 1.0 for low, _, _ in numbers),
        "contain_planted": sum(low <= 1 / PLANTED <= high for low, _, high in numbers),
        "recovered": round(math.exp(float(np.mean([math.log(v) for _, v, _ in numbers]))), 5) if numbers else None,
    }


def render(figures: Figures) -> list[str]:
    planted = figures["planted"]
    lines = [
        f"A candidate slowed down by 5 % on purpose, at one thread: its true speed-up is {planted:.4f}. *Found*: the interval",
        "lies wholly below 1; *wrong direction*: wholly above.",
        "",
        "| beside | comparisons | no number | found | wrong direction | contains the truth | speed-up, geometric mean | off by |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, s in figures["summary"].items():
        value = s["recovered"]
        lines.append(
            f"| {name} | {s['comparisons']} | {s['comparisons'] - s['numbers']} | {s['found']} of {s['numbers']} "
            f"| {s['wrong_direction']} | {s['contain_planted']} | {'–' if value is None else f'{value:.4f}'} "
            f"| {percent(None if value is None else value / planted - 1, 2)} |"
        )
    return lines
