"""One candidate alone: does it run, what does it answer, what memory does it take."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from strop.core.backend import Backend
from strop.core.candidate import MISSING, Candidate, Failure
from strop.core.errors import WorkerCrash, WorkerError, WorkerMemory
from strop.core.measurement import Check, Memory
from strop.core.metrics import Array
from strop.core.noun import Noun, Scalar
from strop.core.task import Task
from strop.run.building import failure_of
from strop.run.context import Run
from strop.run.datasets import ask, paths
from strop.run.family import family_named, family_of
from strop.run.pairing import Subject, open_request
from strop.store import files
from strop.store.store import load, save
from strop.worker.process import Process

R = TypeVar("R")
PATIENCE = 0.05
"""Of the budget that is left, what the calls of a first look may take."""
CHECK, SCORES = "check.json", "scores.npy"
SLOWEST = 25
"""A candidate's evaluation may take this many times the baseline's, and never less than a minute."""
TOGETHER, ENOUGH = 32, 256
"""Examples of a larger batch at most, and how many there have to be for one to be tried."""


class Footprint(Noun):
    """One process alone: its memory (None where the platform cannot tell), its first calls' latencies, ns; or why not.

    ready_s: from starting the process until the model is loaded; seconds: the whole. Both for planning only.
    """

    memory: Memory | None = None
    ready_s: float = 0.0
    seconds: float = 0.0
    latencies_ns: tuple[int, ...] = ()
    prompt_ns: tuple[int, ...] = ()
    token_ns: tuple[int, ...] = ()
    properties: dict[str, str | int | float | bool | None] = {}
    failure: Failure | None = None


def subject(run: Run, candidate: Candidate, task: Task, batch: int | None = None, reference: Path | None = None) -> Subject:
    """A candidate as something to be timed.

    Args:
        batch: where it differs from the workload's first.
        reference: folder of its own check, whose answers the timed ones are held against.
    """
    assert candidate.artifact is not None
    backend = run.backend(candidate.recipe.runtime)
    settings = run.place.settings(candidate.recipe.settings)
    data = paths(task.evaluation)
    return Subject(
        name=candidate.name, work=run.place.work_of(backend), artifact=candidate.artifact.path, settings=settings,
        inputs=data["inputs"], examples=data["count"], batch=batch or task.workload.batch,
        threads=threads_of(run, backend, settings, candidate.recipe.device),
        spins=backend.spins(settings), log=run.log(candidate.recipe), reference=shards(reference) if reference else None,
        called=family_of(task).called(task), family=task.family, concurrency=task.workload.concurrency,
        host=run.place.host,
    )  # fmt: skip


def threads_of(run: Run, backend: Backend, settings: Mapping[str, Scalar], device: str = "cpu") -> int:
    """How many threads a session has: by its settings, or by what its runtime takes where they say nothing. On an accelerator its
    threads wait, so that their CPU time says nothing: it counts as taking every core.
    """
    if device != "cpu":
        return run.place.machine.cores or 1
    return int(settings.get("threads") or (run.place.machine.cores or 1 if backend.takes_all_cores else 1))


def shards(folder: Path) -> dict[str, str]:
    """Output name → file, of a check that is there."""
    check = load(folder / CHECK, Check)
    assert check is not None
    return {name: str(folder / file) for name, file in check.shards.items()}


class Visit:
    """A candidate's process, alone: looked at first, then asked for its answers. Started when it is needed, and again where it
    died or was looked at before this run was resumed. A context manager."""

    def __init__(self, run: Run, of: Subject) -> None:
        self.run, self.of = run, of
        self._child: Process | None = None
        self._properties: Mapping[str, Scalar] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()

    def leave(self) -> None:
        """Ends the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def look(self, brief: bool = False) -> Footprint:
        """Memory and some calls of a fresh process, which then stays for the answers.

        Raises:
            WorkerError: what became of it.
        """
        self.leave()
        begin = time.monotonic()
        self._child = run_child(self.run, self.of)
        found = footprint_in(self._child, self.of, brief, begin, PATIENCE * self.run.budget.left())
        self._properties = found.properties
        return found.model_copy(update={"seconds": round(time.monotonic() - begin, 3)})

    def answers(self, seconds: float | None, **request: Any) -> Check:
        """Every evaluation example, in the process that was looked at, or in a fresh one; it is ended.

        Args:
            seconds: limit of the evaluation; None: that of any request. request: of the child's verb `evaluate`.

        Raises:
            WorkerError: what became of it.
        """
        try:
            if self._child is None:
                self._child = run_child(self.run, self.of)
                self._properties = self._child.ask("open", **open_request(self.of._replace(reference=None)))["properties"]
            raw = self._child.ask("evaluate", seconds, **request)
        finally:
            self.leave()
        return Check(
            shards=raw["shards"], examples=raw["examples"], seconds=raw["seconds"], rough_latency_ns=raw["rough_latency_ns"],
            properties={**self._properties, **({"ran": raw["ran"]} if raw.get("ran") else {})},
            mixing=raw.get("mixing", {}), batched=raw.get("batched", 1),
        )  # fmt: skip


def footprint(run: Run, of: Subject, repeat: int, brief: bool = False, visit: Visit | None = None) -> Footprint:
    """Load, first inference, memory and some calls in a fresh process, no sibling alive.

    Args:
        brief: one request only, of a language model whose speed nothing is decided by.
        visit: whose process it is, so that it can be asked for its answers next; a process of its own where not given.
    """
    path = run.folder.candidate(of.name) / f"memory-{repeat}.json"
    known = load(path, Footprint)
    if known is not None and (known.failure is None or known.failure.kind != MISSING):
        return known
    with Visit(run, of) as own:
        try:
            found = _twice(lambda: (visit or own).look(brief))
        except WorkerError as error:
            found = Footprint(failure=failure_of("memory", error))
    save(path, found)
    return found


def footprint_in(
    child: Process, of: Subject, brief: bool = False, begin: float | None = None, patience: float = math.inf
) -> Footprint:
    """The footprint of the subject in a fresh child of its own child side, which was started at `begin`.

    Args:
        patience: seconds that its calls may take; where they are slow, fewer are made, but one at least.
    """
    opened = child.ask("open", **open_request(of._replace(reference=None)))
    ready = time.monotonic() - begin if begin is not None else 0.0
    told = family_named(of.family).look(child, of, brief, patience)
    if of.concurrency > 1:
        child.ask("load", concurrency=of.concurrency)
    sample = child.ask("memory")
    memory = None
    if sample["private"] is not None:
        empty = opened["empty"]
        memory = Memory(
            peak=max(0, sample["peak"] - empty), steady=max(0, sample["private"] + sample["own_files"] - empty), empty=empty,
            total_rss=sample["rss"],
            load_s=opened["load_s"], first_inference_s=opened["first_inference_s"],
        )  # fmt: skip
    return Footprint(
        memory=memory,
        properties=opened["properties"],
        ready_s=round(ready, 3),
        **{name: tuple(times) for name, times in told.items()},
    )


def run_child(run: Run, of: Subject, seconds: float | None = None) -> Process:
    """A child of the subject's own child side."""
    return run.place.open(of.work, of.log, run.limits(seconds, session=True))


def check(
    run: Run, of: Subject, expected: Path | None, baseline: Check | None, task: Task, longer: int = 0, mixing: int = 0,
    visit: Visit | None = None,
) -> tuple[Check, Path]:  # fmt: skip
    """Every evaluation example once, with the settings that are timed; then held against the baseline's form.

    Args:
        expected: folder of the baseline's check; None for the baseline itself.
        baseline: whose evaluation bounds the time of this one; None where it says nothing of it: the time limit bounds it then.
        task: whose scorer, where it has one, sees the outputs.
        longer: which further look it is: of a language model's windows, as many again as were scored before.
        mixing: of how many examples a batch is that shows whether they mix; 0: it is not asked.
        visit: whose process is asked; one of its own where not given.
    Returns:
        The check and its folder, where the output shards lie.

    Raises:
        BudgetError: the budget ended first; nothing is recorded.
    """
    folder = run.folder.candidate(of.name) / check_name(longer)
    known = load(folder / CHECK, Check)
    if known is not None and known.failure_kind != MISSING:
        return known, folder
    files.sweep(folder.parent)
    seconds = None if baseline is None else min(run.request.time_limit_s, max(60.0, SLOWEST * one_by_one_s(baseline)))
    request: dict[str, Any] = {"expected": str(expected.absolute()) if expected is not None else None}
    request |= run.family.window(of, longer)
    if mixing:
        request["mixing"] = mixing
    with files.whole_folder(folder) as draft, Visit(run, of) as own:
        try:
            found = _answers(visit or own, seconds, out=str(draft.absolute()), **request)
            problem = fault(draft, found, expected) or collapse(draft, found, expected, task)
            if problem is not None:
                found = found.model_copy(update={"failure": problem[1], "failure_kind": problem[0]})
            if task.scorer is not None and found.failure is None:
                user_scores(run, of, draft, found, task)
        except WorkerError as error:
            failed = failure_of("check", error)
            found = Check(failure=failed.message, failure_kind=failed.kind, log_tail=failed.log_tail)
        save(draft / CHECK, found)
    return found, folder


def one_by_one_s(check: Check) -> float:
    """Seconds that an evaluation takes, or would have taken one example at a time."""
    return max(check.seconds, check.examples * check.rough_latency_ns / 1e9) if check.batched > 1 else check.seconds


def _answers(visit: Visit, seconds: float | None, **request: Any) -> Check:
    """In larger batches where that may pay; without, where the process did not survive that."""
    of = visit.of
    if family_named(of.family).batches and of.batch == 1 and of.examples >= ENOUGH:
        try:
            return _twice(lambda: visit.answers(seconds, together=TOGETHER, **request))
        except (WorkerCrash, WorkerMemory) as error:
            if isinstance(error, WorkerCrash) and error.killed:
                raise
    return _twice(lambda: visit.answers(seconds, **request))


def check_name(longer: int) -> str:
    """Folder of a check, or of a further look."""
    return f"check-{longer}" if longer else "check"


def user_scores(run: Run, of: Subject, draft: Path, found: Check, task: Task) -> None:
    """The user's scorer over all outputs, in the data worker; one number an example becomes `scores.npy`.

    Raises:
        DataError: it failed, or gave something else.
    """
    assert task.scorer is not None
    ask(
        run, "score", scorer=task.scorer, folder=run.request.folder, inputs=of.inputs,
        outputs={name: str(draft / file) for name, file in found.shards.items()},
        labels=paths(task.evaluation)["labels"], group=task.evaluation.group, out=str(draft / SCORES),
    )  # fmt: skip


def _twice(action: Callable[[], R]) -> R:
    """Once more where the child was killed by somebody else (an operator, the OOM killer)."""
    try:
        return action()
    except WorkerCrash as error:
        if not error.killed:
            raise
        return action()


def fault(folder: Path, found: Check, expected: Path | None) -> tuple[str, str] | None:
    """(kind, text) of what is wrong with the outputs' form or values, or None."""
    if expected is None:
        return None
    theirs = shards(expected)
    for name, path in theirs.items():
        if name not in found.shards:
            return "shape", f"output {name!r} is missing, or has no row for each example"
        want, got = open_array(path), open_array(folder / found.shards[name])
        if got.shape != want.shape:
            return (
                "shape",
                f"output {name!r} has shape {list(got.shape[1:])} an example, the baseline's {list(want.shape[1:])}",
            )
        if got.dtype != want.dtype:
            return "dtype", f"output {name!r} is {got.dtype}, the baseline's {want.dtype}"
        if got.dtype.kind == "f" and bool((~np.isfinite(got) & np.isfinite(want)).any()):
            return "nan", f"output {name!r} holds NaN or infinity where the baseline has numbers"
    return None


def collapse(folder: Path, found: Check, expected: Path | None, task: Task) -> tuple[str, str] | None:
    """(kind, text) of an output that no longer follows the input, or None. Where inputs were generated, nothing is known of how
    they should be answered."""
    if expected is None or task.metric == "unmeasured":
        return None
    return family_of(task).collapse(folder, found, expected, task)


def open_array(path: str | Path) -> Array:
    """A shard, memory-mapped. Never unpickles."""
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
