"""Is a session's memory the same, measured first or last among others? `python -m benchmarks memory_order`.

Sessions of ONNX Runtime and OpenVINO, each measured in a process of its own as a run measures it: in one order and in the
reverse, three times each, after a round that is not counted and fills the page cache and OpenVINO's model cache. Exits 1
where the medians of the two orders differ by more than the resolution that a run uses.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import strop
from benchmarks.comparison import limits, runtimes_here, subject, two_models
from benchmarks.models import Model
from benchmarks.options import Options
from benchmarks.results import SCRATCH, Figures, digest
from strop.run.checking import footprint_in
from strop.run.pairing import Subject
from strop.run.trial import memory_resolution
from strop.worker.call import Child

REPEATS = 3
"""As many as a run takes of its finalists."""
ORDERS = ("forward", "reverse")


class Kind(NamedTuple):
    """A session: its runtime, the recipe that builds its model, further settings."""

    name: str
    runtime: str
    recipe: str
    settings: Mapping[str, Any] = {}


BASELINE, *REST = (
    Kind("ONNX Runtime, f32", "onnxruntime", "fp32"),
    Kind("ONNX Runtime, INT8", "onnxruntime", "int8-static"),
    Kind("OpenVINO, f32", "openvino", "openvino-f32"),
    Kind("OpenVINO, INT8", "openvino", "nncf-int8"),
    Kind("OpenVINO, f32, model cache", "openvino", "openvino-f32", {"cache": True}),
)


def run(options: Options) -> int:
    runtimes, models = runtimes_here(), two_models(options)
    kinds = [kind for kind in (BASELINE, *REST) if kind.runtime in runtimes]
    rows = [row for model in models for row in measured(model, kinds, options)]
    options.write("memory_order", {
        "models": {model.name: digest(model.path) for model in models}, "runtimes": runtimes, "sessions": rows,
    })  # fmt: skip
    return 0 if all(row["differ"] <= row["resolution"] for row in rows) else 1


def measured(model: Model, kinds: list[Kind], options: Options) -> list[dict[str, Any]]:
    """A row a session: peak bytes of each repeat in either order."""
    subjects = {kind.name: session(model, kind, options) for kind in kinds}
    peaks: dict[str, dict[str, list[int]]] = {name: {order: [] for order in ORDERS} for name in subjects}
    for of in subjects.values():
        peak_of(of)
    for repeat in range(1 if options.smoke else REPEATS):
        for order, names in zip(ORDERS, (list(subjects), list(subjects)[::-1]), strict=True):
            for name in names:
                peaks[name][order].append(peak_of(subjects[name]))
            print(f"memory_order: {model.name}, {order}, repeat {repeat + 1}", flush=True)
    resolution = memory_resolution(peaks[BASELINE.name][ORDERS[0]])
    return [
        {
            "model": model.name, "session": name, "peaks": found, "resolution": resolution,
            "differ": float(abs(np.median(found[ORDERS[0]]) - np.median(found[ORDERS[1]]))),
        }
        for name, found in peaks.items()
    ]  # fmt: skip


def session(model: Model, kind: Kind, options: Options) -> Subject:
    """The model built by the session's recipe, to be run at one thread."""
    given = options.given
    more: dict[str, Any] = {"data": str(next(iter(model.inputs.values())))}
    if model.path == given.model.absolute():
        more = {
            "data": str(given.data),
            "calibration": str(given.calibration),
            "labels": given.labels,
            "map": list(given.mapping),
        }
    place = SCRATCH / "memory-order"
    built = strop.build(
        str(model.path),
        kind.recipe,
        threads=1,
        store=str(place / "store"),
        out=str(place / f"{model.name}-{kind.recipe}"),
        **more,
    )
    assert built.artifact is not None
    file = place / f"{model.name}-{kind.recipe}" / Path(built.artifact.path).name
    return subject(model, 1, kind.name, runtime=kind.runtime, **kind.settings)._replace(artifact=str(file))


def peak_of(of: Subject) -> int:
    """Peak bytes of one session in a fresh process."""
    with Child(of.work, of.log, limits()) as child:
        memory = footprint_in(child, of).memory
    if memory is None:
        raise SystemExit("memory_order: this platform gives no private memory")
    return memory.peak


def render(figures: Figures) -> list[str]:
    lines = [
        "Peak memory of a session, each in a fresh process, as a run measures it. *First to last*: measured in the order of the",
        "rows; *last to first*: in the reverse; both in turns, after an uncounted round that fills the page cache and the model",
        "cache. *Resolution*: differences under it mean nothing to a run; it is what the repeats of the model's first row differ",
        "by, at least 1 MB.",
        "",
        "| model | session | first to last, MB | last to first, MB | medians differ by, MB | resolution, MB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {row['model']} | {row['session']} | {megabytes(*row['peaks'][ORDERS[0]])} | {megabytes(*row['peaks'][ORDERS[1]])} "
        f"| {megabytes(row['differ'])} | {megabytes(row['resolution'])} |"
        for row in figures["sessions"]
    ]


def megabytes(*values: float) -> str:
    return ", ".join(f"{value / 1e6:.2f}" for value in values)
