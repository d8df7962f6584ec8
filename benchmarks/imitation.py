"""Where does INT8 stop paying? `python -m benchmarks imitation`.

OpenVINO's INT8 over its own f32 while oneDNN is held to fewer and fewer instruction sets, as a run does for a lesser target
(docs/how-to/targets.md). Only sets that this CPU has; one thread; accuracy is taken under the same limit.
"""

import json
import shutil
from pathlib import Path

import strop
from benchmarks.options import Options
from benchmarks.results import SCRATCH, Figures, digest
from strop.core.outcome import Outcome
from strop.run.machine import this_machine

BASE = ("sse4_2", "avx", "avx2", "fma", "f16c")
LEVELS = {
    "AVX2": BASE,
    "AVX-512": (*BASE, "avx512f"),
    "AVX-512 VNNI": (*BASE, "avx512f", "avx512_vnni"),
    "AVX-512 VNNI, BF16": (*BASE, "avx512f", "avx512_vnni", "avx512_bf16"),
    "AMX": (*BASE, "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"),
}
RECIPES = ["openvino-f32", "nncf-int8"]


def run(options: Options) -> int:
    here = this_machine(1)
    levels = {name: sets for name, sets in LEVELS.items() if here.has(*sets)}
    if not levels:
        raise SystemExit("imitation: this CPU has no AVX2 to be held to")
    rows = [row(name, options) for name in (list(levels)[:1] if options.smoke else levels)]
    options.write("imitation", {"model": options.given.model.name, "digest": digest(options.given.model), "levels": rows})
    return 0


def row(level: str, options: Options) -> dict[str, object]:
    """INT8 and f32 under one limit."""
    place = SCRATCH / "imitation"
    shutil.rmtree(place / "out", ignore_errors=True)
    outcome = strop.optimize(
        str(options.given.model), data=str(options.given.data), calibration=str(options.given.calibration),
        labels=options.given.labels, map=list(options.given.mapping), target=str(profile(place, level)), recipes=RECIPES,
        store=str(place / "store"), out=str(place / "out"), fresh=True,
    )  # fmt: skip
    print(f"imitation: {level}", flush=True)
    return figures(outcome, level)


def profile(place: Path, level: str) -> Path:
    """A device that has these instruction sets and one core."""
    name = "held-to-" + level.lower().replace(", ", "-").replace(" ", "-")
    path = place / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    isa = json.dumps(list(LEVELS[level]))
    path.write_text(f'name = "{name}"\n[cpu]\narchitecture = "{this_machine().architecture}"\nisa = {isa}\ncores = 1\n')
    return path


def figures(outcome: Outcome, level: str) -> dict[str, object]:
    plain, quantized = (outcome.result(name) for name in RECIPES)
    held = quantized.imitated
    return {
        "level": level, "speedup": held.speedup.model_dump() if held else None, "held_to": held.held_to if held else "",
        "accuracy": {"f32": plain.accuracy, "int8": quantized.accuracy},
    }  # fmt: skip


def render(found: Figures) -> list[str]:
    lines = [
        f"OpenVINO's INT8 (`nncf-int8`) over its own f32 on {found['model']}, one thread, while oneDNN is held to what stands on",
        "the left. A figure from three pairs of processes, for orientation: it decides no gate.",
        "",
        "| held to | INT8 over f32 | accuracy, f32 | accuracy, INT8 |",
        "|---|---:|---:|---:|",
    ]
    for entry in found["levels"]:
        speed = entry["speedup"]
        shown = f"{speed['value']:.2f}× [{speed['low']:.2f}, {speed['high']:.2f}]" if speed else "–"
        lines.append(f"| {entry['level']} | {shown} | {entry['accuracy']['f32']:.4f} | {entry['accuracy']['int8']:.4f} |")
    return lines
