"""What does Strop's session cost beside a framework's own loop? `python -m benchmarks loops`.

CPU time a token, one thread, of the same greedy text by both in one process, round after round (`own_loop.py`): llama.cpp's
C calls, openvino_genai's pipeline, onnxruntime_genai's generate_next_token, mlx_lm's generate_step. On a tiny model, where a
step's overhead shows, and on one of 135 M parameters; both of random weights, whose values cost nothing.
"""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import strop
from benchmarks.llm.folders import make
from benchmarks.options import Options
from benchmarks.results import SCRATCH, Figures
from strop.core.statistics import LEVEL
from strop.core.verdict import Interval
from strop.plan.discover import backends
from strop.worker.interpreter import work_of

OWN_LOOP = Path(__file__).parent / "own_loop.py"
RECIPES = {"llamacpp": "gguf-q8-0", "openvino": "openvino-int8", "onnxruntime-genai": "genai-int8", "mlx": "mlx-8bit-g64"}
MODELS = ("tiny", "135m")
PROCESSES = 3
"""Fresh ones: where its memory lies favours the one or the other for as long as a process lives."""
ROUNDS = {"tiny": 20, "135m": 6}
MLX_ROUNDS = {"tiny": 6, "135m": 1}
"""In a process; on a Linux CPU it is some fifty times slower."""
PINNED = ("openvino==2026.4.1", "openvino-genai==2026.4.1", "openvino-tokenizers==2026.4.1", "numpy==2.4.6")
MOST_SHARE, MOST_NS = 0.03, 30_000
"""What the session may add: a share of a step, or nanoseconds."""


def run(options: Options) -> int:
    rows = [row(model, backend, options) for model in MODELS[: 1 if options.smoke else 2] for backend in RECIPES]
    options.write("loops", {"rows": rows})
    return int(any(not entry["within"] for entry in rows))


def row(model: str, backend: str, options: Options) -> dict[str, Any]:
    """One backend on one model."""
    place = SCRATCH / "language"
    text = place / "text.txt"
    folder = make(model, place / model)
    text.write_text("Once upon a time there was a dog. " * 3000, encoding="utf-8")
    out = place / f"{model}-{backend}"
    candidate = strop.build(
        str(folder), RECIPES[backend], data=str(text), eval_tokens=1024, threads=1, out=str(out), store=str(place / "store")
    )
    assert candidate.artifact is not None
    known = backends()[backend]
    told = {
        "backend": backend, "runner_path": str(known.runner), "model": candidate.artifact.path,
        "settings": dict(candidate.recipe.settings),
        "rounds": 2 if options.smoke else (MLX_ROUNDS if backend == "mlx" else ROUNDS)[model],
    }  # fmt: skip
    found = [of_a_process(backend, model, told) for _ in range(1 if options.smoke else PROCESSES)]
    own = median_interval([float(np.median(f["own"])) for f in found])
    extra = median_interval([float(np.median(np.subtract(f["session"], f["own"]))) for f in found])
    within = extra.value <= max(MOST_SHARE * own.value, MOST_NS)
    print(f"loops: {model} {backend}: own {own.value / 1e3:.1f} µs, session adds {extra.value / 1e3:.1f} µs", flush=True)
    return {
        "model": model, "backend": backend, "recipe": RECIPES[backend], "processes": len(found), "rounds": told["rounds"],
        "own_us": own.value / 1e3,
        "added_us": {"value": extra.value / 1e3, "low": extra.low / 1e3, "high": extra.high / 1e3},
        "share": extra.value / own.value, "same_text": all(f["same"] for f in found), "within": within,
    }  # fmt: skip


def of_a_process(backend: str, model: str, told: dict[str, Any]) -> dict[str, Any]:
    """Nanoseconds a token of every round, of the own loop and of the session, and whether they wrote the same."""
    done = subprocess.run([python(backend), OWN_LOOP, json.dumps(told)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"loops: {backend} on {model} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def median_interval(values: Sequence[float]) -> Interval:
    """A median with the order statistics around it, which no distribution is assumed for; the extremes of a few values."""
    count, ordered = len(values), sorted(values)
    reach = max(1, math.floor((count + 1) / 2 - 1.96 * math.sqrt(count / 4)))
    low, high = float(ordered[reach - 1]), float(ordered[count - reach])
    return Interval(value=float(np.median(ordered)), low=low, high=high, level=LEVEL)


def python(backend: str) -> str:
    """The backend's own interpreter; for OpenVINO one that has openvino_genai too, which Strop does not need."""
    if backend != "openvino":
        return work_of(backends()[backend]).python
    place = SCRATCH / "language" / "openvino-genai"
    if not (place / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "python", "-m", "pip", "install", "--quiet", *PINNED], check=True)
    return str(place / "bin" / "python")


def render(found: Figures) -> list[str]:
    """The table."""
    lines = [
        "CPU time a token of the same greedy text, one thread, by the framework's own loop and Strop's session in one process.",
        f"At most {MOST_SHARE:.0%} of a step or {MOST_NS / 1e3:.0f} µs is the aim. *Added* is the median, with the extremes, of",
        f"{PROCESSES} fresh processes, each with the median of its rounds' differences. MLX's speed on a Linux CPU is not",
        "representative; the difference is.",
        "",
        "| model | backend | own loop, µs | added, µs | share | same text |",
        "|---|---|---:|---:|---:|---|",
    ]
    for entry in found["rows"]:
        added = entry["added_us"]
        lines.append(
            f"| {entry['model']} | {entry['backend']} (`{entry['recipe']}`) | {entry['own_us']:.1f} | "
            f"{added['value']:.1f} [{added['low']:.1f}, {added['high']:.1f}] | {entry['share']:+.1%} | "
            f"{'yes' if entry['same_text'] else 'no'} |"
        )
    return lines
