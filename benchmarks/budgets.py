"""Is a budget kept, and what does it give? `python -m benchmarks budgets`.

Runs the two demos with their budgets and each of the given models with 60 s, without a neighbor and with one or two, in
fresh stores.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import strop
from benchmarks.neighbors import neighbors
from benchmarks.options import Options
from benchmarks.results import ROOT
from benchmarks.strop_run import last_line

DEMO = Path(strop.__file__).parent / "demo"
NEIGHBORS, REPEATS, SHORT_S, OVERRUN = (0, 1, 2), 3, 60.0, 0.10
LANGUAGE = ("llamacpp", "openvino", "onnxruntime-genai", "mlx")
RECIPES = ("gguf-q8-0", "gguf-q4-k-m", "gguf-q4-0-im", "openvino-int8", "openvino-int4-sym", "genai-int8", "genai-int4",
           "mlx-4bit-g64")  # fmt: skip
"""Of the Makefile's demo-llm."""


class Case(NamedTuple):
    """A command to be run with a budget."""

    name: str
    arguments: tuple[str, ...]
    budget_s: float


def run(options: Options) -> int:
    cases = [c for c in all_cases(options) if not options.smoke or c.name == "demo, short"]
    counts, repeats = ((0, 1), 1) if options.smoke else (NEIGHBORS, options.repeats or REPEATS)
    rng = random.Random(0)
    found: list[dict[str, Any]] = []
    for repeat in range(repeats):
        order = [(case, count) for case in cases for count in counts]
        rng.shuffle(order)
        for case, count in order:
            with neighbors(count, seed=repeat):
                found.append({"case": case.name, "neighbors": count, "repeat": repeat, **timed(case)})
            print(f"budgets: {found[-1]}", flush=True)
    kept = [row for row in found if row["seconds"] <= (1 + OVERRUN) * row["budget_s"] and row["bundle"]]
    options.write("budgets", {"runs": found, "kept": len(kept), "load": round(os.getloadavg()[0], 2)})
    return 0 if len(kept) == len(found) else 1


def all_cases(options: Options) -> list[Case]:
    """The demos, both with 60 s too, and the given model where it is another one."""
    kws = (str(DEMO / "kws.onnx"), "--config", str(DEMO / "strop.toml"))
    flags = [part for flag, names in (("--backend", LANGUAGE), ("--recipe", RECIPES)) for n in names for part in (flag, n)]
    stories = (str(DEMO / "stories"), "--config", str(DEMO / "stories" / "strop.toml"))
    cases = [
        Case("demo", kws, 160.0), Case("demo-llm", (*stories, *flags), 300.0),
        Case("demo, short", kws, SHORT_S), Case("demo-llm, short", stories, SHORT_S),
    ]  # fmt: skip
    given = options.given
    if given.source is not None and given.config is not None:
        cases.append(Case(given.source.parent.name, (str(given.source), "--config", str(given.config)), SHORT_S))
    elif given.model != DEMO / "kws.onnx":
        maps = [part for pair in given.mapping for part in ("--map", pair)]
        files = ("--data", str(given.data), "--calibration", str(given.calibration), "--labels", given.labels)
        cases.append(Case(given.name, (str(given.model), *files, *maps, "--metric", given.metric), SHORT_S))
    return cases


def timed(case: Case) -> dict[str, Any]:
    """One run of the command line: seconds of its budget, what came of it, what it left out."""
    with tempfile.TemporaryDirectory(prefix="strop-budgets-") as folder:
        command = [sys.executable, "-m", "strop", "optimize", *case.arguments, "--budget", f"{case.budget_s:g}s",
                   "--allow-provisional", "--quiet", "--out", f"{folder}/out", "--store", f"{folder}/store"]  # fmt: skip
        begin = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
        path = Path(folder) / "out" / "report.json"
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        tried = [c for c in report.get("candidates", []) if c["status"] != "not reached"]
        return {
            "budget_s": case.budget_s, "seconds": round(seconds, 1), "share": round(seconds / case.budget_s, 3),
            "exit": done.returncode, "outcome": report.get("outcome"), "chosen": (report.get("chosen") or {}).get("name"),
            "tried": len(tried), "left_out": [saving["what"] for saving in (report.get("budget") or {}).get("left_out", [])],
            "bundle": (Path(folder) / "out" / "bundle" / "manifest.json").exists(),
            "error": "" if done.returncode == 0 else last_line(done.stderr),
        }  # fmt: skip


def render(figures: dict[str, Any]) -> list[str]:
    runs = figures["runs"]
    keys = dict.fromkeys((row["case"], row["budget_s"], row["neighbors"]) for row in runs)
    lines = [
        f"`strop optimize` in fresh stores, beside so many busy neighbors. Kept: a bundle, within the budget and "
        f"{OVERRUN:.0%}. {figures['kept']} of {len(runs)} runs.",
        "",
        "| command | budget | neighbors | share of the budget, worst | candidates tried | outcomes |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for case, budget, count in keys:
        rows = [r for r in runs if (r["case"], r["neighbors"]) == (case, count)]
        tried = sorted(r["tried"] for r in rows)
        outcomes = ", ".join(sorted({str(r["outcome"] or f"exit {r['exit']}") for r in rows}))
        worst = max(r["share"] for r in rows)
        lines.append(f"| {case} | {budget:.0f} s | {count} | {worst:.0%} | {tried[0]}–{tried[-1]} | {outcomes} |")
    return lines
