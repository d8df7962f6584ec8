"""`bench`: the same fair table for models and bundles that the user already has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np

from strop.bundle.pack import MANIFEST
from strop.bundle.verify import verify_bundle
from strop.core.candidate import Timing
from strop.core.difference import largest_difference
from strop.core.errors import ConfigError, ModelError, UsageError, WorkerError
from strop.core.events import Observer, nobody
from strop.core.measurement import Environment, Memory
from strop.core.model import Model
from strop.core.noun import Noun
from strop.core.spelling import PathText, spelled
from strop.core.statistics import range_ratio
from strop.core.target import THIS
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Interval
from strop.plan.batch import require_apart
from strop.plan.ladder import PAIR_S, PAIRS, QUADS
from strop.plan.space import by_role
from strop.report.verdict import company_lines
from strop.run.answers import accuracy
from strop.run.checking import Footprint, Visit, check, footprint, open_array, shards, threads_of
from strop.run.context import Run
from strop.run.datasets import paths
from strop.run.forms import listed
from strop.run.intake import read_model
from strop.run.keywords import BenchFlags
from strop.run.machine import environment
from strop.run.open_run import opened
from strop.run.pairing import Subject, plan_quads
from strop.run.request import make_request
from strop.run.timing import measure, timing_of
from strop.run.trial import MEMORY_FLOOR
from strop.worker.call import BUNDLE_WORK
from strop.worker.interpreter import work_of


class Row(Noun):
    """One contestant. Ratios are over the first, which has 1 in all of them; `failure` says why there are none.

    largest_difference: of its answers from the first's, as a share of the range of the output; the worst output's. 0 of the
        first; None where no output has a row for each example.
    """

    name: str
    path: str
    failure: str = ""
    accuracy: float | None = None
    retained: Interval | None = None
    largest_difference: float | None = None
    speedup: Interval | None = None
    timing: Timing | None = None
    first_latency_ms: float | None = None
    """Median of the calls of a process alone, milliseconds, unpaired."""
    memory: Memory | None = None
    memory_ratio: Interval | None = None
    bytes: int = 0


class Comparison(Noun):
    """What `bench` found."""

    rows: tuple[Row, ...]
    metric: str
    batch: int
    environment: Environment
    notes: tuple[str, ...]


@spelled
def bench(
    contestants: Sequence[PathText] | PathText, *, config: PathText | None = None, observer: Observer = nobody,
    **flags: Unpack[BenchFlags],
) -> Comparison:  # fmt: skip
    """Compare models and bundles, paired with the first, on the same data, cores and clock. Nothing is built.

    Args:
        contestants: two or more paths: models that are read here, or folders of bundles. The first is the baseline and
            must be a model, since data are checked against its inputs; models run with their runtime's reference settings.
        flags: as for `optimize`: data, metric, batches, threads …

    Raises:
        UsageError: fewer than two. ModelError, DataError, BundleError: as for each path.

    Example:
        >>> strop.bench(["model.onnx", "strop-out/latest/bundle"], data="eval.npz").rows[1].speedup
    """
    given = listed("contestants", contestants)
    if len(given) < 2:
        raise UsageError("bench compares two or more", "for example: strop bench model.onnx other.onnx")
    request = make_request(given[0], config, **flags)
    if request.target != THIS:
        raise ConfigError(f"[target] device = {request.target!r}: bench times on this machine only", "leave the device out")
    with opened(request, observer, keep=False) as (run, model):
        if why := run.family.why_no_bench():
            raise UsageError(why, "strop optimize compares those")
        task = run.family.read_task(run, model)
        names = [f"{chr(65 + i)}-{Path(c).stem or Path(c).name}" for i, c in enumerate(given)]
        entered = [enter(run, model, task, name, path) for name, path in zip(names, given, strict=True)]
        first = entered[0].subject
        with Visit(run, first) as visit:
            base = footprint(run, first, 0, visit=visit)
            base_check, base_folder = check(run, first, None, None, task, mixing=run.family.mixing(run, model, task), visit=visit)
        require_apart(base_check.mixing)
        if base_check.failure is not None:
            raise ModelError(f"{given[0]}: {base_check.failure}", "the first must run, the others are compared with it")
        first = first._replace(reference=shards(base_folder))
        rows = [row(run, task, first, base_folder, base, contestant) for contestant in entered]
        env = environment(run.place.machine, list(run.backends.values()), run.request.seed)
        company = company_lines(run.company) if run.company is not None else ()
        notes = (*company, *run.kept)
        return Comparison(rows=tuple(rows), metric=task.metric, batch=task.workload.batch, environment=env, notes=notes)


class Contestant(NamedTuple):
    """Something to be timed, where it came from, and its size."""

    subject: Subject
    path: str
    bytes: int


def enter(run: Run, first: Model, task: Task, name: str, path: str) -> Contestant:
    """A model under its reference settings, or a bundle by its own runner.

    Raises:
        ModelError: it takes other inputs than the first.
    """
    data = paths(task.evaluation)
    log = run.folder.candidate(name) / "log.txt"
    shared: dict[str, Any] = {
        "name": name,
        "inputs": data["inputs"],
        "examples": data["count"],
        "batch": task.workload.batch,
        "log": log,
        "host": run.place.host,
        "family": run.family.name,
        "called": run.family.called(task),
    }
    if (Path(path) / MANIFEST).exists():
        manifest = verify_bundle(path)
        require_same_inputs(first, {i.name for i in manifest.inputs}, path)
        backend = run.backend(manifest.recipe.runtime)
        of = Subject(
            work=BUNDLE_WORK._replace(python=work_of(backend).python),
            artifact=str((Path(path) / "infer.py").absolute()), settings={},
            threads=threads_of(run, backend, manifest.settings), spins=backend.spins(manifest.settings), **shared,
        )  # fmt: skip
        return Contestant(of, path, sum(p.stat().st_size for p in Path(path).rglob("*") if p.is_file()))
    model = read_model(run.backends, Path(path), log, run.limits(), run.store, run.request.batch_axes)
    require_same_inputs(first, {i.name for i in model.inputs}, path)
    backend = run.backend(model.reader)
    settings = by_role(list(backend.offer(model, run.target, task)), "reference")[0].settings
    of = Subject(
        work=work_of(backend), artifact=model.artifact.path, settings=dict(settings),
        threads=threads_of(run, backend, settings), spins=backend.spins(settings), **shared,
    )  # fmt: skip
    return Contestant(of, path, model.artifact.bytes)


def require_same_inputs(first: Model, names: set[str], path: str) -> None:
    wanted = {i.name for i in first.inputs}
    if names != wanted:
        raise ModelError(
            f"{path} takes {', '.join(sorted(names))}; the first takes {', '.join(sorted(wanted))}",
            "compare models of one task",
        )


def row(run: Run, task: Task, first: Subject, base_folder: Path, base: Footprint, contestant: Contestant) -> Row:
    """One contestant against the first."""
    of = contestant.subject
    run.tell("candidate-started", candidate=of.name)
    made = Row(name=of.name, path=contestant.path, bytes=contestant.bytes)
    same = of.name == first.name
    with Visit(run, of) as visit:
        mine = base if same else footprint(run, of, 0, visit=visit)
        found, folder = check(run, of, None if same else base_folder, None, task, visit=visit)
    if found.failure is not None:
        return made.model_copy(update={"failure": found.failure})
    scored = accuracy(folder, base_folder, task)
    ratio = None
    if mine.memory is not None and base.memory is not None:
        ratio = EXACTLY_ONE if same else range_ratio([mine.memory.peak], [base.memory.peak], MEMORY_FLOOR)
    made = made.model_copy(update={
        "accuracy": scored.value, "retained": EXACTLY_ONE if same and scored.retained else scored.retained,
        "largest_difference": difference(folder, base_folder),
        "first_latency_ms": float(np.median(mine.latencies_ns)) / 1e6 if mine.latencies_ns else None,
        "memory": mine.memory, "memory_ratio": ratio, "speedup": EXACTLY_ONE if same else None,
    })  # fmt: skip
    if same:
        return made
    latency = (float(np.median(base.latencies_ns)), float(np.median(mine.latencies_ns)))
    quads = plan_quads(latency, PAIRS, PAIR_S, *QUADS)
    try:
        pairs = measure(run, first, of._replace(reference=shards(folder)), "confirmation", range(PAIRS), quads)
    except WorkerError as error:
        return made.model_copy(update={"failure": error.message})
    timing = timing_of(pairs, "confirmation", run.folder.candidate(of.name) / "confirmation")
    return made.model_copy(update={"timing": timing, "speedup": timing.speedup})


def difference(mine: Path, theirs: Path) -> float | None:
    """The largest difference of two checks' outputs, both folders of checks whose outputs have the same form."""
    got = shards(mine)
    found = [largest_difference(open_array(got[name]), open_array(path)) for name, path in shards(theirs).items()]
    return max(found, default=None)
