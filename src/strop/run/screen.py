"""Screening one candidate: prepared, then timed; its race ends as soon as another leaves it nothing to win."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from strop.core.candidate import Timing
from strop.core.errors import BaselineError, BudgetError, WorkerError
from strop.core.measurement import Pair
from strop.core.model import Model
from strop.core.recipe import Recipe
from strop.core.rivalry import Racer, ends_race
from strop.core.task import Task
from strop.core.verdict import Gate, Interval
from strop.plan.ladder import quads_that_fit
from strop.run.answers import advantage
from strop.run.building import failure_of
from strop.run.context import Run
from strop.run.planning import costs, pairs_and_quads
from strop.run.preparing import fail, finish, prepare, prepare_elsewhere
from strop.run.timing import measure, timing_of
from strop.run.trial import Trial, known_figures


def admit(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """A recipe's trial against `baseline`, as far as it gets. Failures and drops are results."""
    (trial,) = prepare(run, model, task, [recipe], baseline, others)
    if not trial.ready:
        return trial
    try:
        trial = _time(run, model, task, trial, baseline, others)
    except BudgetError:
        return finish(run, task, trial.with_result(reason="the budget ended while it was timed"))
    over = trial.result.status != "not reached" or trial.result.reason
    return finish(run, task, trial if over else trial.with_result(status="measured"))


def assess(run: Run, model: Model, task: Task, recipe: Recipe, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """A recipe's trial for a target that is elsewhere: built, and its answers judged; nothing is timed."""
    (trial,) = prepare_elsewhere(run, model, task, [recipe], baseline, others)
    return finish(run, task, trial.with_result(status="measured")) if trial.ready else trial


def _time(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial, others: Sequence[Trial]) -> Trial:
    """Up to three pairs against the baseline; ends early where another leaves it nothing to win."""
    assert trial.subject is not None and baseline.subject is not None
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
        return fail(run, model, trial, failure_of("timing", error))
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
