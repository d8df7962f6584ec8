"""Screening one candidate: build, look, check, time; its race ends as soon as another leaves it nothing to win."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from strop.core.candidate import Candidate, Failure, Result, Timing
from strop.core.errors import BaselineError, BudgetError, WorkerError
from strop.core.gate import judge_one
from strop.core.measurement import Pair
from strop.core.model import Artifact, Model
from strop.core.recipe import Recipe
from strop.core.rivalry import Racer, ends_race
from strop.core.task import Task
from strop.core.verdict import Gate, Interval
from strop.plan.ladder import quads_that_fit
from strop.run.answers import advantage, language_quality, unlabeled_quality
from strop.run.building import build, failure_of, write_reproduce
from strop.run.checking import check, footprint, shards, subject
from strop.run.context import Run
from strop.run.planning import costs, pairs_and_quads
from strop.run.timing import measure, timing_of
from strop.run.trial import Trial, accuracy_of, known_figures, memory_ratio, pace_of

Stage = Callable[[Run, Model, Task, Trial, Trial, Sequence[Trial]], Trial]
OF_DIFFERENCE = ("accuracy_retained", "accuracy", "difference")
"""Gate metrics that the channel which differs most decides, where the metric is `difference`."""
SLOWER = 0.5
"""A first look at a few calls drops only what is surely slower than this share of the baseline's speed."""


def admit(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """A recipe's trial against `baseline`, as far as it gets. Failures and drops are results."""
    return _through((_look, _check, _time), run, model, task, recipe, baseline, others)


def assess(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """A recipe's trial for a target that is elsewhere: built, and its answers judged; nothing is timed."""
    return _through((_need_device, _check), run, model, task, recipe, baseline, others)


def _through(
    stages: Sequence[Stage], run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, others: Sequence[Trial]
) -> Trial:
    """Built, then through the stages until one ends it."""
    run.tell("candidate-started", candidate=recipe.name)
    try:
        with run.spending("build"):
            candidate = build(run, recipe, model, task)
    except BudgetError:
        return _finish(run, task, replace(not_reached(recipe, "the budget ended while it was built"), cut=True))
    trial = Trial(Result(candidate=candidate))
    if candidate.failure is not None:
        return _finish(run, task, trial.failed(candidate.failure, str(run.folder.candidate(recipe.name) / "reproduce.sh")))
    twin = _twin(trial, others)
    if twin is not None:
        return _finish(run, task, trial.with_result(status="duplicate", reason=f"same weights and settings as {twin}"))
    trial = replace(trial, subject=subject(run, candidate, task))
    for stage in stages:
        try:
            trial = stage(run, model, task, trial, baseline, others)
        except BudgetError:
            return _finish(run, task, trial.with_result(reason=f"the budget ended while it was {DOING[stage]}"))
        if trial.result.status != "not reached" or trial.result.reason:
            return _finish(run, task, trial)
    return _finish(run, task, trial.with_result(status="measured"))


def _need_device(_run: Run, _model: Model, _task: Task, trial: Trial, _baseline: Trial, _others: Sequence[Trial]) -> Trial:
    """What runs on an accelerator cannot be judged without it."""
    recipe = trial.candidate.recipe
    if recipe.device == "cpu":
        return trial
    why = f"built; not measurable on this machine: it has no {recipe.device} that {recipe.runtime} can use"
    return trial.with_result(status="not measurable", reason=why)


def not_reached(recipe: Recipe, reason: str = "the budget ended before its turn") -> Trial:
    """A recipe that the budget left no time for."""
    return Trial(Result(candidate=Candidate(recipe=recipe), reason=reason))


def _finish(run: Run, task: Task, trial: Trial) -> Trial:
    speedup = trial.result.speedup
    rough = trial.result.noisy
    run.emit(
        "candidate-done", candidate=trial.name, status=trial.result.status, reason=trial.result.reason,
        speedup=speedup and round(speedup.value, 4), rough=rough and round(rough.value, 4),
        accuracy=trial.result.accuracy, metric=task.metric,
    )  # fmt: skip
    return trial


def _twin(trial: Trial, others: Sequence[Trial]) -> str | None:
    mine = trial.candidate
    for other in others:
        theirs = other.candidate
        same = mine.artifact is not None and theirs.artifact is not None and _alike(mine.artifact, theirs.artifact)
        if same and mine.recipe.settings == theirs.recipe.settings and mine.recipe.runtime == theirs.recipe.runtime:
            return other.name
    return None


def _alike(one: Artifact, other: Artifact) -> bool:
    """The same bytes, or by what their builder says the same content."""
    return one.digest == other.digest or bool(one.content and one.content == other.content)


def _fail(run: Run, model: Model, trial: Trial, failure: Failure) -> Trial:
    return trial.failed(failure, write_reproduce(run, trial.candidate.recipe, model))


def _look(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """Memory and a first look at the latency, alone."""
    assert trial.subject is not None
    with run.spending("memory"):
        first = footprint(run, trial.subject, 0, brief=bool(trial.candidate.recipe.unrepresentative))
    if first.failure is not None:
        return _fail(run, model, trial, first.failure)
    ran_on = str(first.properties.get("device") or first.properties.get("provider") or "")
    if trial.candidate.recipe.device != "cpu" and ran_on.startswith("CPU"):
        message = f"it fell back to the CPU: no {trial.candidate.recipe.device} that {trial.candidate.recipe.runtime} can use"
        return _fail(run, model, trial, Failure(stage="check", kind="fallback", message=message))
    peak = first.memory.peak if first.memory is not None else 0
    trial = replace(trial, footprints=(first,), subject=trial.subject._replace(memory_bytes=peak))
    trial = trial.with_result(pace=pace_of([first], trial.subject))
    if trial.candidate.recipe.unrepresentative:
        return trial
    ratio = memory_ratio(trial, baseline)
    trial = trial.with_result(memory=tuple(m for m in [first.memory] if m is not None), memory_ratio=ratio)
    slowest_baseline = baseline.rough_ns[1]
    fastest = trial.rough_ns[0]
    serves = task.workload.concurrency > 1  # alone it may be slow, and best with several requests in flight
    if fastest and slowest_baseline / fastest < SLOWER and ratio is not None and not serves:
        rival = next((o for o in others if _is_rival(o) and _no_heavier(o, trial) and _keeps_accuracy(o)), None)
        if rival is not None:
            times = fastest / slowest_baseline
            text = f"at least {times:.1f}× slower than the baseline at a first look, and no lighter than {rival.name}"
            return trial.dropped(text)
    return trial


def _is_rival(trial: Trial) -> bool:
    """What was measured here and may be chosen."""
    return trial.alive and not trial.candidate.recipe.unrepresentative


def _no_heavier(one: Trial, other: Trial) -> bool:
    """`one` surely needs no more memory than `other`, within what can be told apart."""
    mine, theirs = one.result.memory_ratio, other.result.memory_ratio
    return mine is None or theirs is None or mine.low <= theirs.high


def _keeps_accuracy(trial: Trial) -> bool:
    retained = trial.result.retained
    return retained is None or retained.high >= 1.0


def _check(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, _others: Sequence[Trial]) -> Trial:
    """Validity and accuracy over the whole evaluation data."""
    assert trial.subject is not None and baseline.check is not None
    with run.spending("check"):
        slow = trial.candidate.recipe.unrepresentative or run.place.kind != "here"
        usual = math.inf if slow else baseline.check.seconds
        found, folder = check(run, trial.subject, baseline.check_folder, usual, task)
    if found.failure is not None:
        failure = Failure(stage="check", kind=found.failure_kind or "invalid", message=found.failure, log_tail=found.log_tail)
        return _fail(run, model, trial, failure)
    trial = replace(
        trial,
        check=found,
        check_folder=folder,
        subject=trial.subject._replace(reference=None if task.language is not None else shards(folder)),
    )
    scored = accuracy_of(trial, baseline, task)
    quality = {}
    if baseline.check_folder is not None:
        beside = language_quality if task.language is not None else unlabeled_quality
        quality = beside(folder, baseline.check_folder, task) | ({"difference": scored.figure} if scored.figure else {})
    trial = trial.with_result(
        accuracy=scored.value, retained=scored.retained, differs=scored.where, examples=found.examples, quality=quality
    )
    missed = next((m for gate in run.gates if (m := _surely_misses(gate, trial))), None)
    return trial.dropped(f"{missed}; not timed") if missed is not None else trial


def _surely_misses(gate: Gate, trial: Trial) -> str | None:
    """The figure of its answers or its files that misses a must by its whole interval, in words."""
    figure = known_figures(trial).get(gate.metric)
    if gate.kind != "must" or figure is None or judge_one(gate, figure).result != "FAIL":
        return None
    best = f"at most {figure.high:.4g}" if gate.direction == "at_least" else f"at least {figure.low:.4g}"
    where = f" ({trial.result.differs} differs most)" if trial.result.differs and gate.metric in OF_DIFFERENCE else ""
    return f"misses {gate} by its whole interval: {best}{where}"


def _time(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """Up to three pairs against the baseline; ends early where another leaves it nothing to win."""
    assert trial.subject is not None and baseline.subject is not None
    doubt = trial.candidate.recipe.unrepresentative
    if doubt:
        run.note(f"{trial.candidate.recipe.runtime}: its speed here is not representative: {doubt}. It is judged by its answers.")
        return trial.with_result(status="measured", reason="not timed: its speed here is not representative")
    planned, most = pairs_and_quads(task.language is not None)
    rivals, compared = choosable(others, baseline), answers_compared(trial, baseline, task)
    expected = costs(run, baseline, trial)
    quads = quads_that_fit(run.budget.left(), expected, most)
    if not quads:
        return trial.with_result(reason="its answers were judged; the budget left no time to time it")

    def beaten_by(speedup: Interval | None) -> str | None:
        return beaten(trial, speedup, rivals, run.gates, run.request.weights, compared)

    def hopeless(pairs: Sequence[Pair]) -> bool:
        late = run.budget.share_spent or quads_that_fit(run.budget.left(), expected, quads) < quads
        return late or beaten_by(timing_of(pairs, "search", "").speedup) is not None

    begin, fresh = time.monotonic(), not (run.folder.candidate(trial.name) / "search").exists()
    try:
        with run.spending("search"):
            pairs = measure(run, baseline.subject, trial.subject, "search", range(planned), quads, hopeless)
    except WorkerError as error:
        refuse_baseline_failure(error, baseline)
        return _fail(run, model, trial, failure_of("timing", error))
    except BudgetError:
        run.budget.observe(expected.pair + quads * expected.quad, time.monotonic() - begin)
        raise
    if fresh:
        run.budget.observe(len(pairs) * (expected.pair + quads * expected.quad), time.monotonic() - begin)
    timing = timing_of(pairs, "search", run.folder.candidate(trial.name) / "search")
    trial = replace(trial, pairs=tuple(pairs)).with_result(search=timing)
    rival = beaten_by(timing.speedup) if len(pairs) < planned else None
    if rival is not None:
        shown = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
        return trial.dropped(f"significantly slower than {rival} after {shown} of processes, and better in nothing that counts")
    return trial


DOING: dict[Stage, str] = {_need_device: "looked at", _look: "looked at", _check: "checked", _time: "timed"}


def refuse_baseline_failure(error: WorkerError, baseline: Trial) -> None:
    """A pair in which the baseline failed says nothing about the candidate.

    Raises:
        BaselineError: the error happened on the baseline's side.
    """
    if error.subject == baseline.name:
        raise BaselineError(
            f"the baseline {baseline.name!r} failed while it was timed: {error.message}",
            "see its log in the run's folder",
        ) from error


def beaten(
    trial: Trial, speedup: Interval | None, rivals: Sequence[Trial], gates: Sequence[Gate], weights: dict[str, float],
    compared: Callable[[Trial], Mapping[str, Interval]],
) -> str | None:  # fmt: skip
    """The name of a rival that leaves nothing to win; None too for the runtime's defaults, which are timed in any case.

    Args:
        speedup: of what was measured so far.
        compared: how much better a rival's answers are than the trial's, by metric.
    """
    if trial.candidate.recipe.role == "as-is":
        return None
    me = racer_of(trial)._replace(speedup=speedup)
    others = (o for o in rivals if o.name != trial.name)
    return next((o.name for o in others if ends_race(racer_of(o), me, gates, weights, partial(compared, o))), None)


def choosable(others: Sequence[Trial], baseline: Trial) -> list[Trial]:
    """Whom a candidate is compared with. Not the runtime's defaults, which may use more cores than the budget."""
    return [o for o in others if o.alive and (o.candidate.recipe.role != "as-is" or o.name == baseline.name)]


def answers_compared(trial: Trial, baseline: Trial, task: Task) -> Callable[[Trial], Mapping[str, Interval]]:
    """The paired comparison of any rival's answers with the trial's, read and computed once for each rival."""
    known: dict[str, Mapping[str, Interval]] = {}

    def compared(rival: Trial) -> Mapping[str, Interval]:
        if rival.name not in known:
            theirs, mine, before = rival.check_folder, trial.check_folder, baseline.check_folder
            assert theirs is not None and mine is not None and before is not None  # what is timed was checked
            known[rival.name] = advantage(theirs, mine, before, task)
        return known[rival.name]

    return compared


def racer_of(trial: Trial) -> Racer:
    """What the search knows of a trial."""
    result = trial.result
    energy = result.timing.energy_ratio if result.timing is not None else None
    return Racer(trial.name, result.speedup, result.memory_ratio, known_figures(trial), energy)


def retime(trial: Trial, speedup: Interval) -> Trial:
    """The same trial with its search figure over another baseline."""
    search = trial.result.search or Timing(stage="search", speedup=None)
    return trial.with_result(search=search.model_copy(update={"speedup": speedup}))
