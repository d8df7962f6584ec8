"""How long is the way to the answer for language models of realistic sizes? `python -m benchmarks shapes`; a killed run goes on.

`strop optimize` as a user runs it, in a fresh store, without a budget: eight recipes of two runtimes on folders of random weights
in the shapes of SmolLM2-135M and Llama-3.2-1B (`folders.py`: bf16, the tokenizer of Strop's test model), from the command to the
bundle.

Time and memory do not depend on the values of the weights. Quality does, and random weights have none: their perplexity is near
the size of the vocabulary. So the musts on quality are set where nothing misses them, and every recipe is built, scored, timed
and judged as a trained model's would be that keeps its quality. No figure of quality is reported.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.comparison import unfinished
from benchmarks.llm.folders import TOKENIZER, make
from benchmarks.options import Options
from benchmarks.results import ROOT, SCRATCH, Figures
from benchmarks.strop_run import last_line

RECIPES = (
    "gguf-q8-0", "gguf-q5-k-m", "gguf-q4-k-m", "gguf-q4-0", "openvino-int8", "openvino-int8-kv8", "openvino-int4",
    "openvino-int4-sym",
)  # fmt: skip
RUNTIMES = ("llamacpp", "openvino")
GOALS_S = {"tiny": 360.0, "135m": 360.0, "1b": 1500.0}
"""Shape → seconds that the whole run may take on two cores."""
THREADS = 2
OPEN = ("--must", "accuracy_retained>=0.01", "--must", "kl<=100", "--goal", "same_top>=0")
"""Gates on quality that no candidate misses."""
STAGES = ("data", "build", "memory", "check", "search", "noise", "confirm", "bundle")
"""Of a run's own account of its time, in the order of a run."""


def run(options: Options) -> int:
    found = unfinished("shapes", options, {})
    for shape in ("tiny",) if options.smoke else ("135m", "1b"):
        for repeat in range(options.repeats or 1):
            key = {"shape": shape, "repeat": repeat}
            if any(key.items() <= row.items() for row in found):
                continue
            found.append({**key, **timed(shape, make(shape, SCRATCH / "language" / shape))})
            options.write("shapes", {"comparisons": found}, complete=False)
            print(f"shapes: {found[-1]}", flush=True)
    options.write("shapes", {"comparisons": found})
    return 0 if all(row["seconds"] <= row["goal_s"] and not row["error"] for row in found) else 1


def timed(shape: str, model: Path) -> dict[str, Any]:
    """One run: seconds in all and by stage, what came of it, and what became of its recipes."""
    place = SCRATCH / "shapes" / shape
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    begin = time.monotonic()
    done = subprocess.run(command_for(model, place), cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    path = place / "out" / "report.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    baseline = report.get("baseline", {})
    candidates = [c for c in report.get("candidates", []) if c["name"] in RECIPES]
    chosen = next((c for c in candidates if c["name"] == (report.get("chosen") or {}).get("name")), None)
    return {
        "goal_s": GOALS_S[shape], "seconds": round(seconds, 1), "exit": done.returncode, "outcome": report.get("outcome"),
        "chosen": chosen and chosen["name"], "speedup": chosen and chosen["measurement"]["speedup"],
        "baseline": baseline.get("name"), "quality_reference": baseline.get("quality_reference"),
        "stages": {name: round(spent, 1) for name, spent in report.get("timing", {}).items()},
        "status": {c["name"]: c["status"] for c in candidates},
        "error": "" if path.exists() else last_line(done.stderr),
    }  # fmt: skip


def command_for(model: Path, place: Path) -> list[str]:
    """The command line of a run whose store and output are in `place`."""
    flags = [part for flag, names in (("--backend", RUNTIMES), ("--recipe", RECIPES)) for name in names for part in (flag, name)]
    return [
        sys.executable, "-m", "strop", "optimize", str(model), "--data", str(TOKENIZER / "eval.txt"), "--threads", str(THREADS),
        *flags, *OPEN, "--budget", "none", "--quiet", "--out", str(place / "out"),
        "--store", str(place / "store"),
    ]  # fmt: skip


def render(found: Figures) -> list[str]:
    """The table."""
    lines = [
        f"{len(RECIPES)} recipes of {' and '.join(RUNTIMES)} on random weights, {THREADS} threads, no budget, fresh stores, from",
        "the command to the bundle. Gates on quality are open, since random weights have no quality to lose: no recipe is",
        "dropped for it. *Baseline*: the unquantized model in the runtime found fastest.",
        "",
        f"| shape | goal, s | whole run, s | {' | '.join(STAGES)} | baseline | recipes timed |",
        f"|---|---:|---:|{'---:|' * len(STAGES)}---|---:|",
    ]
    for row in found["comparisons"]:
        stages = " | ".join(f"{row['stages'].get(name, 0.0):.0f}" for name in STAGES)
        reached = sum(status in ("measured", "dropped") for status in row["status"].values())
        lines.append(
            f"| {row['shape']} | {row['goal_s']:.0f} | {row['seconds']:.0f} | {stages} | {row['baseline'] or row['error']} | "
            f"{reached} of {len(RECIPES)} |"
        )
    return lines
