"""Builds every peer's answer by its own command in its own environment, and races them against Strop's pick."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.options import Given, Options
from benchmarks.peers.interpreters import python
from benchmarks.peers.metrics import METRICS
from benchmarks.peers.pick import pick
from benchmarks.peers.race import REPEATS, Entry, Logs, answers, milliseconds, race, ratio
from benchmarks.strop_run import last_line

HERE = Path(__file__).parent
KEPT = 0.95
"""The must on accuracy that peers are held to, as Strop's pick is."""
PEER_S = 1800
Commands = Callable[[Given, Path, dict[str, str]], dict[str, list[str]]]
"""Given, folder and input → array: contestant → the command that leaves NAME.onnx or NAME.xml in the folder, or a folder NAME."""
Entries = tuple[list[Entry], dict[str, str]]
"""Who takes part, and what there is to say of anybody."""


def run(options: Options) -> int:
    return contest("peers", options, commands)


def contest(benchmark: str, options: Options, made_by: Commands) -> int:
    """Builds and races one model's contestants, and adds the figures to the results of `benchmark`."""
    given = options.given
    names = dict(pair.split("=", 1) for pair in given.mapping)
    with tempfile.TemporaryDirectory(prefix="strop-peers-") as scratch:
        entries, notes = built(options, Path(scratch), names, made_by)
        accuracy = scored(given, entries, notes, names)
        entries = [e for e in entries if e.name in accuracy]
        print("race", flush=True)
        logs = race(entries, given.data, names, *((3, 3) if options.smoke else (options.repeats or REPEATS,)))
    known = results.read(benchmark, options.folder)
    models = known["figures"]["models"] if known is not None else {}
    command = results.command_of(benchmark, list(options.arguments))
    rows = {e.name: row(e.name, accuracy, logs) for e in entries}
    models[given.name] = {
        "command": command, "machine": results.machine(), "metric": given.metric, "rows": rows, "notes": notes,
        "repeats": len(logs["original"]), "rounds": len(logs["original"][0]),
    }  # fmt: skip
    options.write(benchmark, {"models": models})
    return 0


def row(name: str, accuracy: dict[str, float], logs: dict[str, Logs]) -> dict[str, Any]:
    """One contestant's figures."""
    return {
        "accuracy": round(accuracy[name], 5),
        "passes": accuracy[name] >= KEPT * accuracy["original"],
        "over_original": ratio(logs[name], logs["original"]),
        "pick_over_it": ratio(logs["strop"], logs[name]) if "strop" in logs else None,
        "ms": milliseconds(logs[name]),
    }


def scored(given: Given, entries: list[Entry], notes: dict[str, str], names: dict[str, str]) -> dict[str, float]:
    """Accuracy on the evaluation data of all that run; a note on those that do not."""
    with np.load(given.data, allow_pickle=False) as found:
        arrays = {n: found[n] for n in found.files}
    scores = {}
    for entry in entries:
        print(f"accuracy of {entry.name}", flush=True)
        try:
            answer = answers(entry, given.data, names)
            scores[entry.name] = METRICS[given.metric].score(answer, arrays, arrays[given.labels])
        except (RuntimeError, ValueError) as error:
            if entry.name == "original":
                raise
            notes[entry.name] = f"does not run: {error}"
    return scores


def built(options: Options, folder: Path, names: dict[str, str], made_by: Commands) -> Entries:
    """The original, Strop's pick and every contestant that builds."""
    given, ort, ov = options.given, sys.executable, python("openvino")
    entries, notes = [Entry("original", ort, given.model.absolute())], {}
    for name, command in made_by(given, folder, names).items():
        print(f"building {name}", flush=True)
        made, why = build(name, command, folder)
        if made is None:
            notes[name] = why
        else:
            entries.append(Entry(name, ov if made.suffix == ".xml" else ort, made))
    print("strop optimize", flush=True)
    found = pick(given, options.smoke)
    notes["strop"] = found.note
    if found.bundle is not None:
        entries.append(Entry("strop", ov if found.backend == "openvino" else ort, found.bundle))
    return entries, notes


def commands(given: Given, folder: Path, names: dict[str, str]) -> dict[str, list[str]]:
    """Each peer's own command, by its name."""
    model, calibration = str(given.model.absolute()), str(given.calibration.absolute())
    return {
        **{
            f"ort-{kind}": [sys.executable, str(HERE.parent / "ort_defaults.py"), kind, model, str(folder / f"ort-{kind}.onnx"),
                            calibration, *given.mapping]
            for kind in ("static", "dynamic")
        },
        **{
            f"nncf-{kind}": [python("openvino"), "-m", "benchmarks.peers.nncf_peer", kind, model,
                             str(folder / f"nncf-{kind}.xml"), calibration, json.dumps(names), given.labels, given.metric]
            for kind in ("default", "accuracy")
        },
        "olive": [python("olive"), "-m", "olive", "auto-opt", "-m", model, "--device", "cpu", "--provider",
                  "CPUExecutionProvider", "--precision", "int8", "-o", str(folder / "olive"), "--log_level", "1"],
    }  # fmt: skip


def build(name: str, command: list[str], folder: Path) -> tuple[Path | None, str]:
    """The model that a peer's command left, or why there is none."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=quiet(), timeout=PEER_S)
    except subprocess.TimeoutExpired:
        return None, f"no model after {PEER_S // 60} minutes"
    found = sorted(p for p in folder.rglob("*") if p.stem in (name, "model") and p.suffix in (".onnx", ".xml")
                   and (p.stem == name or p.is_relative_to(folder / name)))  # fmt: skip
    if done.returncode or not found:
        return None, f"exit code {done.returncode}, no model: {last_line(done.stderr)[:200]}"
    return found[0], ""


def quiet() -> dict[str, str]:
    """No telemetry, no network; this package can be imported."""
    return {**os.environ, "CI": "1", "NNCF_CI": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(results.ROOT)}
