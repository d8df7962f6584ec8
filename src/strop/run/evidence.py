"""Evidence for the reports, read from a run's folder: samples of timings, answers, inputs, the bundle's requirements."""

import shlex
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from strop.core.choose import DEFAULT_WEIGHTS
from strop.core.errors import StoreError
from strop.core.gate import DEFAULT_GATES
from strop.core.measurement import Check, Pair
from strop.core.metrics import Array
from strop.core.noun import Scalar
from strop.core.outcome import Outcome
from strop.core.statistics import SIDES, Ratios, all_latencies, latencies
from strop.core.tail import tail_percentile
from strop.core.task import Task
from strop.report.evidence import Curve, Evidence, Examples, InputRange
from strop.report.examples import candidate_to_compare, compare
from strop.report.picture import as_picture, data_uri, how_drawn
from strop.run.answers import scored_array
from strop.run.checking import CHECK, open_array
from strop.run.command import to_argv
from strop.run.confirm import SELF
from strop.run.family import family_of
from strop.run.options import OPTIMIZE
from strop.run.profiling import stored_profiles
from strop.run.request import Request
from strop.store.store import RunFolder, load, read_json

LOOKED_AT = 16 << 20
"""Bytes of an input that its range is taken from: the first examples."""
COMMAND = "run.json"


def gather(outcome: Outcome, run: RunFolder) -> Evidence:
    """What the reports show beside the outcome; what is not there any more is named in `missing`.

    Raises:
        StoreError: a file of the run is damaged.
    """
    missing = []
    dataset = outcome.task.evaluation
    if not Path(dataset.folder).is_dir():
        missing.append("the evaluation data were pruned from the store: no labels, no pictures, no ranges of inputs")
    examples = examples_of(outcome, run)
    if examples is None and candidate_to_compare(outcome) is not None:
        missing.append("the answers to the evaluation data are not in the run's folder: no examples")
    samples, why_none = family_of(outcome.task).samples(outcome, run)
    missing += [why_none] if why_none else []
    return Evidence(
        curves=tuple(curves(outcome, run)), examples=examples, inputs=tuple(input_ranges(outcome)),
        requirements=requirements(run.folder / outcome.bundle_name), profiles=tuple(stored_profiles(outcome, run)),
        samples=samples, sessions=sessions(outcome, run),
        missing=tuple(missing), command=command(run.folder / COMMAND),
    )  # fmt: skip


def sessions(outcome: Outcome, run: RunFolder) -> dict[str, dict[str, Scalar]]:
    """What sessions said of themselves when they were checked, where the family's reports show that."""
    if not family_of(outcome.task).session_shown:
        return {}
    checks = {r.name: load(run.candidate(r.name) / "check" / CHECK, Check) for r in outcome.results}
    return {name: check.properties for name, check in checks.items() if check is not None and check.properties}


def curves(outcome: Outcome, run: RunFolder) -> list[Curve]:
    """Latency distributions of the confirmations and of the A/A comparison, from the quads that were kept."""
    found = []
    for result in outcome.results:
        folder, timing, noise = run.candidate(result.name), result.confirmation, outcome.noise
        if result.name == outcome.baseline:
            found.append(curve(result.name, folder / SELF, by_wall=noise.speedup is not None and noise.clock == "wall time"))
        elif timing is not None:
            by_wall = timing.speedup is not None and timing.clock == "wall time"
            found.append(curve(result.name, folder / "confirmation", timing.pairs, by_wall))
    return [c for c in found if c is not None]


def curve(name: str, folder: Path, count: int | None = None, by_wall: bool = True) -> Curve | None:
    """One comparison's distribution, of the samples that its figures are of; None without any.

    Args:
        count: how many pairs entered the figures; all that are there where not given. by_wall: whether the comparison is by wall
            time, so that disturbed quads are left out.
    """
    found = (load(path, Pair) for path in sorted(folder.glob("pair-*.json")))
    pairs = sorted((p for p in found if p is not None), key=lambda pair: pair.index)[:count]
    quads = [quad for kept in Ratios(pairs).kept for quad in kept]
    of = {side: (latencies(quads, side) if by_wall else all_latencies(pairs, side)) / 1e6 for side in SIDES}
    baseline, candidate = of["A"], of["B"]
    if not len(baseline) or not len(candidate):
        return None
    last = tail_percentile(min(len(baseline), len(candidate))) or 50
    percent = tuple(range(1, last + 1))
    return Curve(
        name=name, calls=(len(baseline), len(candidate)), percent=percent,
        baseline_ms=_at(baseline, percent), candidate_ms=_at(candidate, percent),
    )  # fmt: skip


def _at(samples: Array, percent: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in np.percentile(samples, percent))


def examples_of(outcome: Outcome, run: RunFolder) -> Examples | None:
    """Where the choice, or the fastest changed candidate, answers differently from the baseline, with pictures of the inputs."""
    name, task = candidate_to_compare(outcome), outcome.task
    if name is None or task.kind == "token-classification":
        return None
    theirs, mine = (answers(run.candidate(n) / "check", task) for n in (outcome.quality_reference, name))
    if theirs is None or mine is None:
        return None
    data = Path(task.evaluation.folder)
    labels = data / task.evaluation.labels if task.evaluation.labels is not None else None
    known = array(labels) if labels is not None and labels.exists() else None
    names = outcome.model.origin.labels if outcome.model.origin is not None else {}
    return with_pictures(compare(name, theirs, mine, known, task.metric, names), outcome)


def answers(folder: Path, task: Task) -> Array | None:
    """A candidate's answers to all evaluation examples as they are scored, or None where they are not kept."""
    found = load(folder / CHECK, Check)
    if found is None or task.output not in found.shards or not (folder / found.shards[task.output]).exists():
        return None
    if task.kind != "classification" and not Path(task.evaluation.folder).exists():
        return None  # embeddings are pooled over the tokens that are real, which the data say
    return scored_array(folder, task)


def array(path: Path) -> Array:
    try:
        return open_array(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error}", "remove the run, or its data, and run again") from error


def with_pictures(examples: Examples, outcome: Outcome) -> Examples:
    """The first input that looks like a picture, drawn for every example shown."""
    dataset = outcome.task.evaluation
    for file in dataset.inputs.values():
        path = Path(dataset.folder) / file
        if not path.exists() or not examples.shown:
            continue
        values = array(path)
        drawn = [as_picture(values[example.index]) for example in examples.shown]
        if drawn[0] is None:
            continue
        shown = [
            example.model_copy(update={"picture": data_uri(pixels)}) if pixels is not None else example
            for example, pixels in zip(examples.shown, drawn, strict=True)
        ]
        how = how_drawn(values[[example.index for example in examples.shown]])
        return examples.model_copy(update={"shown": tuple(shown), "drawing": how})
    return examples


def input_ranges(outcome: Outcome) -> list[InputRange]:
    """Range, mean and spread of every numeric input over the evaluation data; none for generated data, or for tokens."""
    dataset = outcome.task.evaluation
    found = []
    for name, file in dataset.inputs.items() if family_of(outcome.task).numbers else ():
        path = Path(dataset.folder) / file
        if dataset.generated or not path.exists():
            continue
        values = array(path)
        part = np.asarray(values[: max(1, LOOKED_AT // max(1, values[:1].nbytes))], dtype=np.float64)
        found.append(
            InputRange(
                name=name, low=float(part.min()), high=float(part.max()), mean=float(part.mean()),
                deviation=float(part.std()), examples=len(part),
            )
        )  # fmt: skip
    return found


def requirements(bundle: Path) -> tuple[str, ...]:
    """The pinned packages of the bundle; empty where none was packed."""
    path = bundle / "requirements.txt"
    return tuple(path.read_text(encoding="utf-8").split()) if path.exists() else ()


def command(path: Path) -> str:
    """The command that asks this run's question again, from what the run recorded; empty where it did not."""
    if not path.exists():
        return ""
    asked = {"model": "MODEL", "gates": DEFAULT_GATES, "weights": DEFAULT_WEIGHTS, **read_json(path).get("request", {})}
    try:
        request = Request.model_validate(asked)
    except ValidationError:  # of another version
        return ""
    asked_again = [option for option in OPTIMIZE if option.name not in ("seed", "out", "store", "fresh", "replace", "profile")]
    parts = ["strop", "optimize", request.model, *to_argv(request, asked_again)]
    parts += ["--config", request.config] if request.trusted and request.config is not None else []
    return shlex.join([*parts, "--seed", str(request.seed), "--fresh"])
