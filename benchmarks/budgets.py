"""Is a budget kept, and what does it give? `python -m benchmarks budgets`; a killed run goes on, `--repeats` says how often.

Runs the two demos with their budgets, both and the given model with 60 s too, alone and beside busy neighbors, in fresh stores.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import strop
from benchmarks.aa import percent
from benchmarks.comparison import unfinished
from benchmarks.neighbors import neighbors
from benchmarks.options import Options
from benchmarks.results import ROOT, Figures
from benchmarks.strop_run import last_line

DEMO = Path(strop.__file__).parent / "demo"
OFTEN, FEW, SHORT_S, OVERRUN = 10, 2, 60.0, 0.10
LANGUAGE = ("llamacpp", "openvino", "onnxruntime-genai", "mlx")
RECIPES = ("gguf-q8-0", "gguf-q4-k-m", "gguf-q4-0-im", "openvino-int8", "openvino-int4-sym", "genai-int8", "genai-int4",
           "mlx-4bit-g64")  # fmt: skip
"""Of the Makefile's demo-llm."""


class Case(NamedTuple):
    """A command to be run with a budget, so often beside so many neighbors."""

    name: str
    arguments: tuple[str, ...]
    budget_s: float
    neighbors: int
    repeats: int = FEW


def run(options: Options) -> int:
    cases = [c for c in all_cases(options) if not options.smoke or c.name == "demo, short"]
    found = unfinished("budgets", options, {})
    for repeat in range(1 if options.smoke else options.repeats or OFTEN):
        for case in cases:
            key = {"case": case.name, "neighbors": case.neighbors, "repeat": repeat}
            if repeat >= (options.repeats or case.repeats) or any(key.items() <= row.items() for row in found):
                continue
            with neighbors(case.neighbors, seed=repeat):
                found.append({**key, **timed(case)})
            options.write("budgets", {"comparisons": found, "kept": len(kept(found))}, complete=False)
            print(f"budgets: {found[-1]}", flush=True)
    options.write("budgets", {"comparisons": found, "kept": len(kept(found))})
    return 0 if len(kept(found)) == len(found) else 1


def kept(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that gave a bundle within their budget."""
    return [row for row in runs if row["seconds"] <= (1 + OVERRUN) * row["budget_s"] and row["bundle"]]


def all_cases(options: Options) -> list[Case]:
    """The demos, at one thread beside two neighbors too, both with 60 s, and the given model where it is another one."""
    kws = (str(DEMO / "kws.onnx"), "--config", str(DEMO / "strop.toml"))
    flags = [part for flag, names in (("--backend", LANGUAGE), ("--recipe", RECIPES)) for n in names for part in (flag, n)]
    stories = (str(DEMO / "stories"), "--config", str(DEMO / "stories" / "strop.toml"))
    cases = [
        Case("demo, one thread", (*kws, "--threads", "1"), 160.0, 2, OFTEN),
        Case("demo", kws, 160.0, 1, OFTEN), Case("demo", kws, 160.0, 0),
        Case("demo-llm", (*stories, *flags), 300.0, 1, OFTEN), Case("demo-llm", (*stories, *flags), 300.0, 0),
        Case("demo, short", kws, SHORT_S, 0), Case("demo, short", kws, SHORT_S, 1),
        Case("demo-llm, short", stories, SHORT_S, 0), Case("demo-llm, short", stories, SHORT_S, 1),
    ]  # fmt: skip
    given = options.given
    if given.source is not None and given.config is not None:
        cases.append(Case(given.source.parent.name, (str(given.source), "--config", str(given.config)), SHORT_S, 0))
    elif given.model != DEMO / "kws.onnx":
        maps = [part for pair in given.mapping for part in ("--map", pair)]
        files = ("--data", str(given.data), "--calibration", str(given.calibration), "--labels", given.labels)
        cases.append(Case(given.name, (str(given.model), *files, *maps, "--metric", given.metric), SHORT_S, 0))
    return cases


def timed(case: Case) -> dict[str, Any]:
    """One run of the command line: seconds of its budget, what came of it, what it left out."""
    with tempfile.TemporaryDirectory(prefix="strop-budgets-") as folder:
        command = [sys.executable, "-m", "strop", "optimize", *case.arguments, "--budget", f"{case.budget_s:g}s",
                   "--quiet", "--out", f"{folder}/out", "--store", f"{folder}/store"]  # fmt: skip
        begin = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
        path = Path(folder) / "out" / "report.json"
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        tried = [c for c in report.get("candidates", []) if c["status"] != "not reached"]
        figures = [c["measurement"] for c in tried if c["name"] != report["baseline"]["name"]]
        return {
            "budget_s": case.budget_s, "seconds": round(seconds, 1), "share": round(seconds / case.budget_s, 3),
            "exit": done.returncode, "outcome": report.get("outcome"), "chosen": (report.get("chosen") or {}).get("name"),
            "tried": len(tried), "timed": sum(m["speedup"] is not None for m in figures),
            "noisy": sum(m["rough_speedup"] is not None for m in figures),
            "left_out": [saving["what"] for saving in (report.get("budget") or {}).get("left_out", [])],
            "bundle": (Path(folder) / "out" / "bundle" / "manifest.json").exists(),
            "error": "" if done.returncode == 0 else last_line(done.stderr),
        }  # fmt: skip


def render(figures: Figures) -> list[str]:
    runs = figures["comparisons"]
    keys = dict.fromkeys((row["case"], row["budget_s"], row["neighbors"]) for row in runs)
    lines = [
        "`strop optimize` in fresh stores, beside so many busy neighbors. *Within*: runs that gave a bundle within the budget",
        f"and {OVERRUN:.0%} more. *Timed*: of the candidates whose race began, the share that got a figure that may decide",
        "something; the others got a rough one.",
        "",
        "| command | budget | neighbors | runs | within | longest | candidates tried | timed | outcomes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for case, budget, count in keys:
        rows = [r for r in runs if (r["case"], r["neighbors"]) == (case, count)]
        tried = sorted(r["tried"] for r in rows)
        outcomes = ", ".join(sorted({str(r["outcome"] or f"exit {r['exit']}") for r in rows}))
        raced = sum(r["timed"] + r["noisy"] for r in rows)
        lines.append(
            f"| {case} | {budget:.0f} s | {count} | {len(rows)} | {len(kept(rows))} | {max(r['share'] for r in rows):.0%} "
            f"| {tried[0]}–{tried[-1]} | {percent(sum(r['timed'] for r in rows) / raced if raced else None, 0)} | {outcomes} |"
        )
    return lines
