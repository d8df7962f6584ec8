"""Builds every peer's answer by its own command in its own environment, races them against Strop's pick, writes the table."""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.options import Options
from benchmarks.peers.race import Entry, answers, race, ratio
from benchmarks.strop_run import last_line, optimize
from strop.plan.discover import backends
from strop.worker.interpreter import work_of

HERE = Path(__file__).parent
KEPT = 0.95
"""The must on accuracy that peers are held to, as Strop's pick is."""
NO_GOALS = ("--goal", "speedup>=0.01", "--goal", "memory_ratio<=100")
BUDGET = "210s"
REPEATS, ROUNDS = 8, 24
PEERS = {
    "ort-static": "ONNX Runtime `quantize_static`, defaults",
    "ort-dynamic": "ONNX Runtime `quantize_dynamic`, defaults",
    "nncf-default": "`nncf.quantize`, defaults, in OpenVINO",
    "nncf-accuracy": "`nncf.quantize_with_accuracy_control`, defaults, in OpenVINO",
    "olive": "`olive auto-opt --precision int8`",
}


def python(name: str) -> str:
    return work_of(backends()[name]).python


def run(options: Options) -> int:
    given = options.given
    names = dict(pair.split("=", 1) for pair in given.mapping)
    with tempfile.TemporaryDirectory(prefix="strop-peers-") as scratch:
        folder = Path(scratch)
        entries, notes = built(options, folder, names)
        accuracy = {}
        for entry in list(entries):
            try:
                accuracy[entry.name] = top1(options, entry, names)
            except RuntimeError as error:
                entries.remove(entry)
                notes[entry.name] = f"does not run: {error}"
        quick = (3, 3) if options.smoke else (REPEATS, ROUNDS)
        logs = race(entries, given.data, names, *quick)
    rows = {
        e.name: {
            "accuracy": round(accuracy[e.name], 5),
            "passes": accuracy[e.name] >= KEPT * accuracy["original"],
            "over_original": ratio(logs[e.name], logs["original"]),
            "pick_over_it": ratio(logs["strop"], logs[e.name]) if "strop" in logs else None,
            "ms": round(math.exp(float(np.median(logs[e.name]))) / 1e6, 5),
        }
        for e in entries
    }
    known = results.read("peers", options.folder)
    models = known["figures"]["models"] if known is not None else {}
    command = results.command_of("peers", list(options.arguments))
    models[given.name] = {"command": command, "machine": results.machine(), "rows": rows, "notes": notes}
    options.write("peers", {"models": models})
    return 0


def built(options: Options, folder: Path, names: dict[str, str]) -> tuple[list[Entry], dict[str, str]]:
    """The original, Strop's pick and every peer that builds; and what there is to say of the others."""
    given, ort, ov = options.given, sys.executable, python("openvino")
    mapping = json.dumps(names)
    model, calibration = str(given.model.absolute()), str(given.calibration.absolute())
    commands = {
        **{
            f"ort-{kind}": [ort, str(HERE.parent / "ort_defaults.py"), kind, model, str(folder / f"ort-{kind}.onnx"), calibration,
                            *given.mapping]
            for kind in ("static", "dynamic")
        },
        **{
            f"nncf-{kind}": [ov, str(HERE / "nncf_peer.py"), kind, model, str(folder / f"nncf-{kind}.xml"), calibration, mapping,
                             given.labels]
            for kind in ("default", "accuracy")
        },
        "olive": [python("olive"), "-m", "olive", "auto-opt", "-m", model, "--device", "cpu", "--provider",
                  "CPUExecutionProvider", "--precision", "int8", "-o", str(folder / "olive"), "--log_level", "1"],
    }  # fmt: skip
    entries, notes = [Entry("original", ort, given.model.absolute())], {}
    for name, command in commands.items():
        print(f"building {name}", flush=True)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=quiet())
        found = sorted(p for p in folder.rglob("*") if p.stem in (name, "model") and p.suffix in (".onnx", ".xml")
                       and (p.stem == name or p.is_relative_to(folder / name)))  # fmt: skip
        if done.returncode or not found:
            notes[name] = f"exit code {done.returncode}, no model: {last_line(done.stderr)[:200]}"
            continue
        entries.append(Entry(name, ov if found[0].suffix == ".xml" else ort, found[0]))
    print("strop optimize", flush=True)
    more = ("--budget", "60s") if options.smoke else ("--budget", BUDGET)
    done_by_strop = optimize(given, folder / "strop", "--prefer", "speed=1", "--threads", "1", *NO_GOALS, *more)
    if done_by_strop.report is None or done_by_strop.report["chosen"] is None:
        notes["strop"] = f"nothing chosen: {done_by_strop.error}"
        return entries, notes
    chosen = done_by_strop.report["chosen"]
    notes["strop"] = f"{chosen['name']} ({chosen['backend']}), {done_by_strop.report['outcome']}"
    runtime = ov if chosen["backend"] == "openvino" else ort
    return [*entries, Entry("strop", runtime, folder / "strop" / "strop-out" / "bundle")], notes


def quiet() -> dict[str, str]:
    """No telemetry, no network."""
    return {**os.environ, "CI": "1", "NNCF_CI": "1", "HF_HUB_OFFLINE": "1"}


def top1(options: Options, entry: Entry, names: dict[str, str]) -> float:
    """Accuracy on the evaluation data: the share of examples whose largest answer is one of its classes."""
    got = answers(entry, options.given.data, names)
    with np.load(options.given.data, allow_pickle=False) as arrays:
        labels = arrays[options.given.labels]
    best = got.reshape(len(labels), -1).argmax(axis=1)
    return float(np.mean((best[:, None] == labels.reshape(len(labels), -1)).any(axis=1)))


def render(figures: dict[str, Any]) -> list[str]:
    models: dict[str, Any] = figures["models"]
    lines = [
        "One thread, one interleaved run a model, timed by `benchmarks/peers/race.py`, which shares no code with Strop; 95 %",
        "intervals over repeats with fresh processes. Peers run by their own command in their own environment. Strop is asked",
        "for speed alone (`--prefer speed=1`), its default musts. A peer that keeps less than 95 % of the accuracy is listed,",
        "and does not count.",
    ]
    for name, model in models.items():
        lines += ["", f"**{name}** (`{model['command']}`, {model['machine']['cpu']})", "",
                  "| | speed over the original | ms | top-1 | Strop's pick over it |", "|---|---:|---:|---:|---:|"]  # fmt: skip
        for row, found in model["rows"].items():
            title = PEERS.get(row, "the original" if row == "original" else f"**Strop: {model['notes'].get('strop', '')}**")
            mark = "" if found["passes"] else " (misses the must)"
            over = "–" if row == "strop" or found["pick_over_it"] is None else shown(found["pick_over_it"])
            lines.append(
                f"| {title} | {shown(found['over_original'])} | {found['ms']:.4g} | {found['accuracy']:.2%}{mark} | {over} |"
            )
        lines += [f"| {PEERS[n]} | {text.replace('|', '/')} | | | |" for n, text in model["notes"].items() if n in PEERS]
    return [*lines, "", *summary(models)]


def summary(models: dict[str, Any]) -> list[str]:
    """Geometric mean of the pick over each peer, where that passes; the least lower bound; the gain over the best of them."""
    lines = ["| peer | models | geometric mean of the pick over it | least lower bound |", "|---|---:|---:|---:|"]
    for peer, title in PEERS.items():
        found = [m["rows"][peer]["pick_over_it"] for m in models.values() if peer in m["rows"] and m["rows"][peer]["passes"]]
        found = [f for f in found if f is not None]
        if found:
            mean = math.exp(sum(math.log(f[1]) for f in found) / len(found))
            lines.append(f"| {title} | {len(found)} | {mean:.3f} | {min(f[0] for f in found):.3f} |")
    return lines


def shown(figure: list[float]) -> str:
    low, value, high = figure
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
