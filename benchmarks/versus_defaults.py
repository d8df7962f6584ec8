"""Strop's pick against ONNX Runtime's quantization as it comes: `python -m benchmarks versus_defaults`.

    python -m benchmarks versus_defaults --model M.onnx --data EVAL.npz --calibration CALIBRATION.npz [--map input=x]

Timed by `independent.py`, at one thread, over the original at ONNX Runtime's defaults limited to one thread; accuracy is
top-1 on the evaluation data. Results of several models gather in one file.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.options import Options
from benchmarks.strop_run import last_line, optimize

HERE = Path(__file__).parent
DEFAULTS = {"static": "`quantize_static`, its defaults", "dynamic": "`quantize_dynamic`, its defaults"}
Row = dict[str, Any]


def run(options: Options) -> int:
    with tempfile.TemporaryDirectory(prefix="strop-versus-") as text:
        folder = Path(text)
        rows = [default(options, kind, folder / f"{kind}.onnx") for kind in DEFAULTS]
        rows.append(strops_pick(options, folder / "strop"))
    known = results.read("versus_defaults", options.folder)
    models = known["figures"]["models"] if known is not None else {}
    command = results.command_of("versus_defaults", list(options.arguments))
    models[options.given.name] = {"command": command, "machine": results.machine(), "rows": rows}
    options.write("versus_defaults", {"models": models})
    return 0


def default(options: Options, kind: str, out: Path) -> Row:
    """One of ONNX Runtime's two, or why it does not build or run."""
    given = options.given
    command = [
        sys.executable,
        str(HERE / "ort_defaults.py"),
        kind,
        str(given.model),
        str(out),
        str(given.calibration),
        *given.mapping,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row: Row = {"name": DEFAULTS[kind]}
    if done.returncode or not out.exists():
        return {**row, "error": f"does not build: {last_line(done.stderr)}"}
    return {**row, "bytes": out.stat().st_size, **timed(options, out)}


def strops_pick(options: Options, folder: Path) -> Row:
    """What `strop optimize` chooses for speed at one thread, loaded as a user would, and what it said about it."""
    more = ("--recipe", "int8-static", "--budget", "60s") if options.smoke else ()
    done = optimize(options.given, folder, "--prefer", "speed=1", "--threads", "1", *more)
    row: Row = {"name": "Strop"}
    if done.report is None or done.report["chosen"] is None:
        return {**row, "error": f"nothing chosen: {done.error}"}
    chosen, bundle = done.report["chosen"], folder / "strop-out" / "latest" / "bundle"
    size = (bundle / json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["model"]).stat().st_size
    claim = [round(chosen["speedup"][end], 4) for end in ("low", "value", "high")]
    row |= {"name": f"Strop: {chosen['name']}", "outcome": done.report["outcome"], "claim": claim, "bytes": size}
    return {**row, **timed(options, bundle)}


def timed(options: Options, contestant: Path) -> Row:
    """The independent stopwatch's figures, or its error."""
    given = options.given
    maps = [part for pair in given.mapping for part in ("--map", pair)]
    small = ["--repeats", "3", "--quads", "4"] if options.smoke else []
    paths = [str(path) for path in (HERE / "independent.py", given.model, contestant, given.data)]
    command = [sys.executable, *paths, "--threads", "1", "--json", "--labels", given.labels, *maps, *small]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": f"does not run: {last_line(done.stderr)}"}
    found: Row = json.loads(done.stdout)
    return found


def render(figures: results.Figures) -> list[str]:
    lines = [
        "One thread; speed-up over the original model at ONNX Runtime's defaults limited to one thread, timed by",
        "`benchmarks/independent.py`, which shares no code with Strop. In brackets: the middle 95 % of the repeats. Last column:",
        "what Strop itself reported, over its tuned baseline.",
    ]
    for name, model in figures["models"].items():
        lines += ["", f"**{name}** (`{model['command']}`, {model['machine']['cpu']})", ""]
        lines += [
            "| | speed-up | ms | top-1 | MB | Strop's own figure |",
            "|---|---:|---:|---:|---:|---:|",
            *table(model["rows"]),
        ]
    return lines


def table(rows: list[Row]) -> list[str]:
    """The original first: every row was timed against it."""
    fine = [r for r in rows if "error" not in r]
    original = next((r for r in fine), None)
    lines = []
    if original is not None:
        lines.append(f"| the original | 1 | {original['original_ms']:.4g} | {top1(original, 'original')} | | |")
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['name']} | {row['error'].replace('|', '/')} | | | | |")
            continue
        claim = interval(row["claim"]) if "claim" in row else ""
        cells = [interval(row["speedup"]), f"{row['other_ms']:.4g}", top1(row, "other"), f"{row['bytes'] / 1e6:.3g}", claim]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def interval(figure: list[float]) -> str:
    low, value, high = figure
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def top1(row: Row, side: str) -> str:
    return f"{row['accuracy'][side]:.2%}" if row["accuracy"] else "–"
