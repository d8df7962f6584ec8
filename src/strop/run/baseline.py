"""The tuned baseline: the given model, unquantised, in its own runtime, under the best settings inside the budget."""

from collections.abc import Sequence

import numpy as np

from strop.core.candidate import Result, Timing
from strop.core.errors import BaselineError, BudgetError
from strop.core.metrics import better_than_chance
from strop.core.model import Model
from strop.core.recipe import Offer, Recipe
from strop.core.statistics import combine
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Interval
from strop.plan.space import by_role
from strop.run.building import build
from strop.run.checking import check, footprint, open_array, shards, subject
from strop.run.context import CONFIRM_SHARE, PACK_S, Run
from strop.run.pairing import pair_seconds
from strop.run.screen import admit, retime
from strop.run.timing import SEARCH_QUADS
from strop.run.trial import Trial, accuracy_of, memory_ratio

START_S = 2.0
LEAST_PAIRS, LEAST_QUADS = 3, 4


def tune(run: Run, model: Model, task: Task, found: Sequence[Offer]) -> tuple[Trial, list[Trial]]:
    """The tuned baseline, and every unquantised variant with its speed-up over it.

    Raises:
        BaselineError: the given model does not run, or is no better than chance.
        BudgetError: the budget is below the minimum, which is printed.
    """
    reference = establish(run, model, task, by_role(found, "reference")[0])
    require_budget(run, reference)
    trials = [reference]
    for recipe in by_role(found, "baseline-variant"):
        trials.append(admit(run, model, task, recipe, reference, trials))
    tuned = best_of(reference, trials)
    run.emit("baseline-tuned", recipe=tuned.name)
    return rebase(reference, tuned, trials, task)


def establish(run: Run, model: Model, task: Task, recipe: Recipe) -> Trial:
    """The reference: it must run and beat chance, or nothing can be said of any candidate."""
    candidate = build(run, recipe, model, task)
    of = subject(run, candidate, task)
    with run.spending("memory"):
        first = footprint(run, of, 0)
    if first.failure is not None:
        raise BaselineError(f"the given model does not run: {first.failure.message}", "try it in its own runtime first")
    with run.spending("check"):
        done, folder = check(run, of, None, None)
    if done.failure is not None:
        raise BaselineError(f"the given model cannot be a baseline: {done.failure}", "a baseline must answer alike twice")
    if task.output not in done.shards:
        raise BaselineError(f"output {task.output!r} has no row for each example", "choose another with --output")
    trial = Trial(Result(candidate=candidate, status="measured"), of, done, folder, (first,))
    values = open_array(shards(folder)[task.output])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BaselineError("the given model answers NaN or infinity on the evaluation data", "check the preprocessing")
    if task.evaluation.labels is not None and task.metric not in ("agreement", "unmeasured"):
        require_better_than_chance(trial, task)
    found = accuracy_of(trial, trial, task)
    peak = first.memory.peak if first.memory is not None else 0
    return Trial(
        trial.result.model_copy(update={
            "accuracy": found.value, "retained": found.retained, "examples": done.examples, "memory_ratio": EXACTLY_ONE,
            "memory": tuple(m for m in [first.memory] if m is not None),
            "search": Timing(stage="search", speedup=EXACTLY_ONE),
        }),
        of._replace(reference=shards(folder), memory_bytes=peak), done, folder, (first,),
    )  # fmt: skip


def require_better_than_chance(trial: Trial, task: Task) -> None:
    assert trial.check_folder is not None and task.evaluation.labels is not None
    labels = np.load(f"{task.evaluation.folder}/{task.evaluation.labels}", allow_pickle=False)
    outputs = np.asarray(open_array(shards(trial.check_folder)[task.output]))
    beats, chance = better_than_chance(task.metric, outputs, labels, task.k)
    if not beats:
        value = accuracy_of(trial, trial, task).value
        raise BaselineError(
            f"the given model is no better than chance on the evaluation data: {task.metric} {value:.4g}, "
            f"shuffled labels give {chance:.4g}",
            "wrong preprocessing, wrong labels or the wrong output? fix the data and run again",
        )


def minimum_budget(run: Run, reference: Trial) -> float:
    """Seconds below which no honest answer is possible: what is spent, one candidate, a small confirmation, packing."""
    assert reference.check is not None
    slow = reference.rough_ns[1]
    pair = pair_seconds((slow, slow), LEAST_QUADS, START_S)
    one = reference.check.seconds + 3 * START_S + pair_seconds((slow, slow), SEARCH_QUADS, START_S)
    confirmation = 2 * LEAST_PAIRS * pair
    return run.budget.spent + PACK_S + max(one + confirmation, confirmation / CONFIRM_SHARE / 2)


def require_budget(run: Run, reference: Trial) -> None:
    least = minimum_budget(run, reference)
    if run.budget.total is not None and run.budget.total < least:
        raise BudgetError(
            f"a budget of {run.budget.total:.0f} s is below the minimum of {least:.0f} s for this model and data",
            f"give --budget {least * 1.1:.0f}s or more",
        )


def best_of(reference: Trial, trials: Sequence[Trial]) -> Trial:
    """The fastest variant among those surely faster than the reference, else the reference."""

    def faster(trial: Trial) -> Interval | None:
        speedup = trial.result.speedup
        return speedup if trial.alive and speedup is not None and speedup.low > 1.0 else None

    better = [(speedup.value, trial) for trial in trials if (speedup := faster(trial)) is not None]
    return max(better, key=lambda entry: entry[0])[1] if better else reference


def rebase(reference: Trial, tuned: Trial, trials: Sequence[Trial], task: Task) -> tuple[Trial, list[Trial]]:
    """Every variant's figures over the tuned one instead of the reference."""
    base = tuned.result.speedup
    assert base is not None
    moved = []
    for trial in trials:
        if trial.name == tuned.name:
            search = trial.result.search.model_copy(update={"speedup": EXACTLY_ONE}) if trial.result.search else None
            found = accuracy_of(trial, trial, task)
            moved.append(trial.with_result(search=search, memory_ratio=EXACTLY_ONE, retained=found.retained))
        elif trial.alive and tuned.name != reference.name and trial.result.speedup is not None:
            moved.append(retime(trial, combine(trial.result.speedup, base)).with_result(memory_ratio=memory_ratio(trial, tuned)))
        else:
            moved.append(trial)
    return next(t for t in moved if t.name == tuned.name), moved

