"""Is a candidate that is 5 % slower found out? `python -m benchmarks power`; a killed run goes on.

The candidate is the same model behind a runner that, after each honest call, waits until 1.05 times its duration is over.
"""

import math
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.aa import percent
from benchmarks.comparison import compare, one_by_one, planned, subject, two_models
from benchmarks.models import Model
from benchmarks.options import Options
from benchmarks.results import Figures
from strop.backends.onnxruntime.spec import BACKEND
from strop.worker.call import Work

REPEATS = 10
PLANTED = 1.05
SLOW_WORK = f'''"""ONNX Runtime, each call stretched to {PLANTED} times its duration."""

import time

import runner


class Session(runner.Session):
    def run(self, feed):
        start = time.perf_counter_ns()
        answer = super().run(feed)
        end = start + {PLANTED} * (time.perf_counter_ns() - start)
        while time.perf_counter_ns() < end:
            pass
        return answer


def warm_import(_artifact):
    return runner.ort.__version__


def open(path, settings):
    return Session(path, settings)
'''


def write_slow_work(folder: Path) -> Path:
    """The work module that is slower on purpose, beside a copy of the honest runner."""
    assert BACKEND.runner is not None
    shutil.copy(BACKEND.runner, folder / "runner.py")
    (folder / "work.py").write_text(SLOW_WORK, encoding="utf-8")
    return folder / "work.py"


def run(options: Options) -> int:
    models = two_models(options)
    with tempfile.TemporaryDirectory(prefix="strop-power-") as folder:
        work = write_slow_work(Path(folder))
        tasks = [
            ({"model": model.name, "repeat": repeat}, partial(with_slower, model, work, repeat, options.smoke))
            for repeat in range(1 if options.smoke else REPEATS)
            for model in models
        ]
        done = one_by_one("power", options, tasks, models)
    groups = {model.name: [r for r in done if r["model"] == model.name] for model in models}
    summary = {name: summed(rows) for name, rows in {**groups, "all": done}.items()}
    options.write("power", {"planted": 1 / PLANTED, "summary": summary, "comparisons": done})
    return 0


def with_slower(model: Model, work: Path, repeat: int, smoke: bool) -> dict[str, Any]:
    a, b = subject(model, 1), subject(model, 1, "slower", Work(work))
    return compare(a, b, planned(a, b, smoke), seed=repeat)


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
        "| model | comparisons | no number | found | wrong direction | contains the truth | speed-up, geometric mean | off by |",
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
