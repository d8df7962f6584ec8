"""How do models of realistic sizes fare? `python -m benchmarks sizes`.

Folders of random weights in the shapes of SmolLM2-135M and Llama-3.2-1B (`folders.py`), through every framework, under a limit of
8 GB: seconds and peak memory of building, size, load, paces, and memory with the cache beside what was reckoned beforehand. The
figures of a session are those that a run takes (`strop.run.checking.footprint`); quality cannot be told by random weights.
"""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.llm.folders import make
from benchmarks.options import Options
from benchmarks.results import SCRATCH, Figures
from strop.core.events import nobody
from strop.core.model import Model
from strop.core.recipe import Recipe
from strop.core.task import Task
from strop.plan.precision import language_footprint
from strop.plan.space import by_role
from strop.run.build import pick
from strop.run.building import build
from strop.run.checking import footprint, subject
from strop.run.context import Run
from strop.run.families.language.calls import token_paces
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.reading import read_inspection
from strop.run.request import make_request

RECIPES = (
    "transformers-fp32", "gguf-q8-0", "gguf-q4-k-m", "gguf-q4-0", "openvino-int8", "openvino-int4-sym", "genai-int8",
    "genai-int4", "mlx-4bit-g64",
)  # fmt: skip
LIMIT_MB = 8000
PROMPT, ANSWER, CONTEXT = 64, 16, 4096


class Peak:
    """The most private memory that this process and all below it held at once, bytes, looked at ten times a second."""

    def __enter__(self) -> "Peak":
        self.bytes, self._over = 0, threading.Event()
        self._before = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, self._now() - self._before)

    @staticmethod
    def _now() -> int:
        """Resident pages that are of no file."""
        total, me = 0, psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                found = process.memory_info()
            except psutil.Error:
                continue
            total += found.rss - getattr(found, "shared", 0)
        return total


def run(options: Options) -> int:
    shapes = ("tiny",) if options.smoke else ("135m", "1b")
    rows = [row for shape in shapes for row in rows_of(shape)]
    options.write("sizes", {"rows": rows, "limit_mb": LIMIT_MB, "prompt": PROMPT, "answer": ANSWER, "context": CONTEXT})
    return int(any(row["failure"] for row in rows))


def rows_of(shape: str) -> list[dict[str, Any]]:
    """Every recipe on one shape, each built afresh."""
    place = SCRATCH / "language"
    folder, text = make(shape, place / shape), place / "text.txt"
    text.write_text("Once upon a time there was a dog. " * 3000, encoding="utf-8")
    store = place / "sizes-store"
    shutil.rmtree(store, ignore_errors=True)
    request = make_request(
        str(folder), None, data=str(text), eval_tokens=1024, prompt_tokens=PROMPT, output_tokens=ANSWER, context=CONTEXT,
        threads=2, memory_limit_mb=LIMIT_MB, store=str(store), out=str(place / "sizes-out"),
    )  # fmt: skip
    with opened(request, nobody, keep=False) as (run, given):
        task = run.family.read_task(run, given)
        found = plan_recipes(run, given, task, RECIPES).offers
        variants = [*by_role(found, "reference"), *by_role(found, "baseline-variant")]
        return [row(run, given, task, pick(run, found, variants, name), shape) for name in RECIPES]


def row(run: Run, given: Model, task: Task, recipe: Recipe, shape: str) -> dict[str, Any]:
    """One recipe: built, then measured alone in a fresh process."""
    begin = time.monotonic()
    with Peak() as peak:
        candidate = build(run, recipe, given, task)
    built = {"build_s": time.monotonic() - begin, "build_peak_mb": peak.bytes / 1e6}
    told: dict[str, Any] = {"shape": shape, "recipe": recipe.name, "failure": "", "doubt": bool(recipe.unrepresentative), **built}
    if candidate.failure is not None or candidate.artifact is None:
        return told | {"failure": str(candidate.failure)}
    of = subject(run, candidate, task)
    first = footprint(run, of, 0, brief=bool(recipe.unrepresentative))
    if first.failure is not None or first.memory is None:
        return told | {"failure": str(first.failure)}
    held = recipe.held if not recipe.unrepresentative else None  # the cache of those is not filled
    reckoned = language_footprint(held, recipe.precision, read_inspection(Path(run.request.model)), CONTEXT) if held else None
    told |= {
        "size_mb": candidate.artifact.bytes / 1e6, "load_s": first.memory.load_s, "memory_mb": first.memory.peak / 1e6,
        "reckoned_mb": reckoned.memory / 1e6 if reckoned is not None else None, **token_paces([first], of),
    }  # fmt: skip
    print(f"sizes: {shape} {recipe.name}: {told['build_s']:.0f} s, {told['memory_mb']:.0f} MB", flush=True)
    return told


def render(found: Figures) -> list[str]:
    """The table."""
    lines = [
        f"Random weights, two threads, a limit of {found['limit_mb']} MB. A prompt of {found['prompt']} tokens, an answer of",
        f"{found['answer']}, a cache of {found['context']}.",
        "*At most*: private memory of all processes while it was built. *Foretold*: the estimate by which a recipe that does not",
        "fit the target is dropped. †: not representative, and the cache was not filled.",
        "",
        "| shape | recipe | build, s | at most, MB | size, MB | load, s | prefill tok/s | decode tok/s | memory, MB | foretold |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["rows"]:
        if row["failure"]:
            lines.append(f"| {row['shape']} | {row['recipe']} | failed: {row['failure'][:120]} |" + " |" * 7)
            continue
        doubt = " †" if row["doubt"] else ""
        off = (
            "–" if row["reckoned_mb"] is None else f"{row['reckoned_mb']:.0f} ({row['reckoned_mb'] / row['memory_mb'] - 1:+.0%})"
        )
        lines.append(
            f"| {row['shape']} | {row['recipe']} | {row['build_s']:.0f} | {row['build_peak_mb']:.0f} | {row['size_mb']:.0f} | "
            f"{row['load_s']:.1f}{doubt} | {row['prefill tok/s']:.0f}{doubt} | {row['decode tok/s']:.1f}{doubt} | "
            f"{row['memory_mb']:.0f}{doubt} | {off} |"
        )
    return lines
