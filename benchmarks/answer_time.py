"""How long does a run take to its answer, beside the release before races? `python -m benchmarks answer_time`.

Both demos, or the given model: whole runs without a budget in fresh stores, by this source tree and by an earlier commit's, in
turn. The same Python and the same frameworks run both; `--repeats` says how often (3).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.budgets import DEMO, LANGUAGE, RECIPES
from benchmarks.comparison import unfinished
from benchmarks.options import Options
from benchmarks.results import ROOT, SCRATCH, Figures
from benchmarks.strop_run import inputs, last_line

BEFORE = "db449b3"
"""The last commit whose search compared each candidate with the baseline alone."""
REPEATS = 3
SIDES = ("before", "now")


def run(options: Options) -> int:
    cases = {"demo": [str(DEMO / "kws.onnx"), "--config", str(DEMO / "strop.toml")]} if options.smoke else all_cases(options)
    budget = "30s" if options.smoke else "none"
    sources = {"now": ROOT / "src", "before": checked_out(BEFORE) / "src"}
    rows = unfinished("answer_time", options, {"before": BEFORE})
    for repeat in range(1 if options.smoke else options.repeats or REPEATS):
        for number, (case, arguments) in enumerate(cases.items()):
            for side in SIDES if (repeat + number) % 2 else SIDES[::-1]:
                key = {"case": case, "side": side, "repeat": repeat}
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append({**key, **timed([*arguments, "--budget", budget], sources[side])})
                options.write("answer_time", {"before": BEFORE, "comparisons": rows}, complete=False)
                print(f"answer_time: {rows[-1]}", flush=True)
    options.write("answer_time", {"before": BEFORE, "comparisons": rows})
    return 0


def all_cases(options: Options) -> dict[str, list[str]]:
    """Name → arguments of `strop optimize`."""
    given = options.given
    if given.config is not None or given.model != DEMO / "kws.onnx":
        model = given.source or given.model
        return {model.parent.name if given.config is not None else given.name: inputs(given)}
    flags = [part for flag, names in (("--backend", LANGUAGE), ("--recipe", RECIPES)) for n in names for part in (flag, n)]
    stories = DEMO / "stories"
    return {
        "demo": [str(DEMO / "kws.onnx"), "--config", str(DEMO / "strop.toml")],
        "demo-llm": [str(stories), "--config", str(stories / "strop.toml"), *flags],
    }


def checked_out(commit: str) -> Path:
    """A source tree of that commit, made once."""
    place = SCRATCH / f"source-{commit}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=place.parent))
        archive = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(draft)], input=archive.stdout, check=True)
        draft.rename(place)
    return place


def timed(arguments: list[str], source: Path) -> dict[str, Any]:
    """One run of the command line by a source tree: seconds, what it chose, and what it did not reach."""
    with tempfile.TemporaryDirectory(prefix="strop-answer-") as folder:
        command = [sys.executable, "-m", "strop", "optimize", *arguments, "--allow-provisional", "--quiet",
                   "--out", f"{folder}/out", "--store", f"{folder}/store"]  # fmt: skip
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(source)}
        )
        seconds = time.monotonic() - begin
        path = Path(folder) / "out" / "report.json"
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        chosen = report.get("chosen") or {}
        found = report.get("candidates", [])
        return {
            "seconds": round(seconds, 1), "outcome": report.get("outcome"), "chosen": chosen.get("name"),
            "speedup": (chosen.get("speedup") or {}).get("value"), "candidates": len(found),
            "not_reached": sum(c["status"] == "not reached" for c in found), "stages": report.get("timing", {}),
            "error": "" if done.returncode == 0 else last_line(done.stderr),
        }  # fmt: skip


def render(figures: Figures) -> list[str]:
    rows = figures["comparisons"]
    lines = [
        f"Runs of `strop optimize --budget none` in fresh stores, in turn with those of commit {figures['before']}: medians,",
        "and the range of the ratios. *Chose*: by how many runs.",
        "",
        "| run | before | now | now over before | chose before | chose now |",
        "|---|---:|---:|---:|---|---|",
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        sides = {side: [r for r in rows if (r["case"], r["side"]) == (case, side)] for side in SIDES}
        before, now = ([r["seconds"] for r in sides[side]] for side in SIDES)
        ratios = [n / b for n, b in zip(now, before, strict=False)]
        lines.append(
            f"| {case} | {statistics.median(before):.0f} s | {statistics.median(now):.0f} s | {statistics.median(ratios):.0%} "
            f"({min(ratios):.0%}–{max(ratios):.0%}) | {chose(sides['before'])} | {chose(sides['now'])} |"
        )
    return lines


def chose(rows: list[dict[str, Any]]) -> str:
    names = [f"{r['chosen']} ({r['speedup']:.2f}×)" if r["speedup"] else str(r["chosen"]) for r in rows]
    return ", ".join(f"{name}: {names.count(name)}" for name in dict.fromkeys(names))
