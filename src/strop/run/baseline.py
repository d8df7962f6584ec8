"""The tuned baseline: the given model, unquantized, under the best settings inside the budget; a language model in its fastest
runtime."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from strop.core.candidate import Failure, Result, Timing
from strop.core.errors import BaselineError, BudgetError
from strop.core.metrics import UNLABELED, better_than_chance, told_of
from strop.core.model import Model
from strop.core.race import SETS
from strop.core.recipe import Offer, Recipe
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Interval
from strop.plan.batch import require_apart
from strop.plan.mislabeled import held, likely_cause
from strop.plan.space import by_role
from strop.run.answers import labels_of, scored_array
from strop.run.budget import least_of
from strop.run.building import build
from strop.run.checking import Visit, check, footprint, shards, subject
from strop.run.context import Run
from strop.run.denominator import agrees, as_denominator, beyond_rounding, is_rebuilt, may_be_denominator, note_denominator
from strop.run.planning import affordable_together, settle
from strop.run.preparing import fail, finish, not_reached, prepare, with_answers_judged
from strop.run.race import Racing
from strop.run.trial import Trial, accuracy_of, is_setting, memory_ratio

DENOMINATOR_LEVEL, WORTH_CORES, WORTH_TRYING = 0.80, 1.05, 1.02
ITSELF = Timing(stage="search", speedup=EXACTLY_ONE)


def tune(run: Run, model: Model, task: Task, found: Sequence[Offer]) -> tuple[Trial, list[Trial]]:
    """The tuned baseline, and every unquantized variant with its speed-up over it.

    Raises:
        BaselineError: the given model does not run, or is no better than chance.
        BudgetError: the budget ended before that was known.
    """
    with least_of(run.budget.asked):
        reference = establish(run, model, task, by_role(found, "reference")[0])
    settle(run, model, task, found, reference)
    variants, trials = variants_within(run, found), [reference]
    others = run.family.other_runtimes
    rebuilt = any(is_rebuilt(recipe) for recipe in variants)
    if rebuilt:
        run.budget.enter("search")  # what speed-ups are over comes before any candidate
    half = run.budget.left() / 2 if rebuilt and run.budget.total is not None else 0.0
    can_pay = affordable_together(run, variants, model, task, trials, half, seated=not others)
    for trial in prepare(run, model, task, can_pay, reference, trials):
        kept = trial if others else without_other_answers(trial)
        trials.append(trial if kept is trial else finish(run, task, kept))
    trials += [not_reached(recipe) for recipe in variants if recipe not in can_pay]
    racing, trials = tuning_race(run, model, task, trials)
    tuned, trials = judged_champion(run, model, task, racing, trials)
    run.emit("baseline-tuned", recipe=tuned.name)
    note_denominator(run, found, tuned, trials)
    return rebase(tuned, trials, racing, task)


def judged_champion(run: Run, model: Model, task: Task, racing: Racing, trials: list[Trial]) -> tuple[Trial, list[Trial]]:
    """The best denominator whose answers were judged, and the trials with what that showed."""
    while (best := champion(racing.over, [racing.baseline, *others_than(racing.baseline, trials)])).unjudged:
        try:
            after = with_answers_judged(run, model, task, best, racing.baseline)
        except BudgetError:
            after = best.not_reached("the budget ended while it was checked")
        trials = [after if t.name == best.name else t for t in trials]
    return best, trials


def without_other_answers(trial: Trial) -> Trial:
    """The trial, dropped where its files are not the given ones and answer differently: its speed must end nobody's race."""
    where, far = beyond_rounding(trial) if trial.ready and is_rebuilt(trial.candidate.recipe) else ("", 0.0)
    return trial.dropped(f"{where} differs from the given model's by {far:.2g} of its spread; not timed") if where else trial


def tuning_race(run: Run, model: Model, task: Task, trials: list[Trial]) -> tuple[Racing, list[Trial]]:
    """The variants against each other and the reference, `trials[0]`.

    PyTorch, the reference of a language model, is slow and only informs where another runtime can be the baseline: it then takes
    part in one set, and the others are compared with the first of them that does not fail.

    Raises:
        BaselineError: the reference failed.
    """
    reference = trials[0]
    for seated in [t for t in trials if t.ready and agrees(t)] if run.family.other_runtimes else []:
        try:
            return _raced(run, model, task, trials, seated)
        except BaselineError as error:
            failure = Failure(stage="timing", kind="baseline", message=error.message)
            trials = [finish(run, task, fail(run, model, t, failure)) if t.name == seated.name else t for t in trials]
    return _raced(run, model, task, trials, reference)


def _raced(run: Run, model: Model, task: Task, trials: list[Trial], seated: Trial) -> tuple[Racing, list[Trial]]:
    """The race of all that are ready, and the reference, against one of them."""
    reference, own = trials[0], seated.with_result(status="measured", search=ITSELF)
    racing = Racing(run, model, task, own, "tuning")
    racing.enter([reference.with_result(status="in progress", search=None)] if seated is not reference else [])
    racing.told.add(reference.name)
    racing.enter([t for t in trials if t.ready and t is not seated])
    racing.first_sets()
    racing.further_sets(partial(others_than, reference), SETS - 1)
    racing.further_sets(lambda able: in_doubt(others_than(reference, able)))
    trials = _with_combined(run, model, task, racing, trials) if seated is reference else trials
    closed = racing.closed(trials)
    if seated is reference:
        return racing, closed
    if not racing.sets and not racing.alone:  # no time: the reference is all there is
        untimed = seated.not_reached("its answers were judged; the budget left no time to time it")
        others = [untimed if t.name == seated.name else t for t in closed[1:]]
        return Racing(run, model, task, reference, "tuning"), [reference, *others]
    finish(run, task, own)
    known = closed[0]
    if not known.alive and known.result.failure is None:  # not timed: it is the reference all the same
        known = reference.with_result(search=None)
    return racing, [known, *(own if t.name == own.name else t for t in closed[1:])]


def _with_combined(run: Run, model: Model, task: Task, racing: Racing, trials: list[Trial]) -> list[Trial]:
    """With the cleaned-up file under the settings that the given file is fastest with, where both pay: neither was tried with the
    other, and a denominator that lacks one flatters every candidate.
    """
    reference, known = racing.baseline, racing.merged(trials)
    settings = _best_settings(racing, reference, others_than(reference, known))
    cleaned = champion(racing.over, [reference, *(t for t in known if is_rebuilt(t.candidate.recipe))])
    both = combined(cleaned.candidate.recipe, settings.candidate.recipe, reference.candidate.recipe)
    if not both:
        return trials
    can_pay = affordable_together(run, both, model, task, known)
    made = prepare(run, model, task, can_pay, reference, known)
    racing.enter([t for t in made if t.ready])
    racing.first_sets()
    return [*trials, *made, *(not_reached(recipe) for recipe in both if recipe not in can_pay)]


def _best_settings(racing: Racing, reference: Trial, trials: Sequence[Trial]) -> Trial:
    """The given file under other settings that are worth trying with another file, by value: even one that dropped out, since it
    did so by what cleaned-up files took.
    """
    best = reference
    for trial in trials:
        if (
            trial.candidate.recipe.role == "baseline-variant"
            and is_setting(trial.candidate.recipe, reference.candidate.recipe)
            and trial.result.search is not None
            and trial.result.failure is None
        ):
            over = racing.over(trial.name, reference.name, 1 - DENOMINATOR_LEVEL)
            worth = over is not None and over.value >= WORTH_TRYING
            best = trial if worth and better_denominator(trial, best, racing.over) else best
    return best


def combined(cleaned: Recipe, settings: Recipe, reference: Recipe) -> list[Recipe]:
    """The cleaned-up file under these settings; none where one of the two is the reference itself, or the runtimes differ.

    Example:
        >>> [recipe.name for recipe in combined(fp32_clean, fp32_1thread, fp32)]
        ['fp32-clean+1thread']
    """
    if reference.name in (cleaned.name, settings.name) or cleaned.runtime != settings.runtime:
        return []
    name = f"{cleaned.name}+{settings.name.partition('-')[2] or settings.name}"
    return [cleaned.model_copy(update={"name": name, "settings": {**cleaned.settings, **settings.settings}})]


def others_than(reference: Trial, trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if t.name != reference.name]


def in_doubt(trials: Sequence[Trial]) -> list[Trial]:
    """Those that may be the fastest."""
    best = max((t.result.speedup.value for t in trials if t.result.speedup is not None), default=1.0)
    return [t for t in trials if t.result.speedup is None or t.result.speedup.high >= max(best, 1.0)]


Speed = Callable[[str, str, float], Interval | None]
"""Speed of one over another, with an interval that misses with that probability."""


def champion(speed: Speed, trials: Sequence[Trial]) -> Trial:
    """The best denominator: each variant in turn is compared with the best of those before, within the rounds of the race."""
    best = trials[0]
    for trial in trials[1:]:
        if may_be_denominator(trial) and better_denominator(trial, best, speed):
            best = trial
    return best


def may_be_faster(trial: Trial, champion: Trial) -> bool:
    """A setting that could not be timed, though its first calls were quicker: the speed-up over the champion may be too high."""
    mine, best = trial.rough_p50_ns, champion.rough_p50_ns
    return may_be_denominator(trial) and trial.result.speedup is None and mine is not None and best is not None and mine < best


def better_denominator(trial: Trial, champion: Trial, speed: Speed) -> bool:
    """Faster by value where it takes no more of the machine and is the same files; else by 5 %, or by an 80 % interval above 1.

    A denominator that is too slow would flatter every candidate, so 95 % is not asked for; but cores that bring nothing
    are not spent, and files are not changed for nothing.
    """
    assert trial.subject is not None and champion.subject is not None
    figure = speed(trial.name, champion.name, 1 - DENOMINATOR_LEVEL)
    if figure is None or figure.value <= 1.0:
        return False
    heavier = (trial.subject.threads, trial.subject.spins) > (champion.subject.threads, champion.subject.spins)
    mine, best = trial.candidate.recipe, champion.candidate.recipe
    changed = bool(mine.steps) and not best.steps and mine.runtime == best.runtime
    return not (heavier or changed) or figure.value >= WORTH_CORES or figure.low > 1.0


def variants_within(run: Run, found: Sequence[Offer]) -> list[Recipe]:
    """The variants that a baseline may come from; the runtime's defaults among them only if they keep the budget."""
    as_is = by_role(found, "as-is") if run.target.threads == run.target.cores else []
    return [*by_role(found, "baseline-variant"), *as_is]


def establish(run: Run, model: Model, task: Task, recipe: Recipe) -> Trial:
    """The reference: it must run and beat chance, or nothing can be said of any candidate."""
    candidate = build(run, recipe, model, task)
    of = subject(run, candidate, task)
    run.builders.rest()
    with Visit(run, of) as visit:
        with run.spending("memory"):
            first = footprint(run, of, 0, visit=visit)
        if first.failure is not None:
            raise BaselineError(f"the given model does not run: {first.failure.message}", "try it in its own runtime first")
        with run.spending("check"):
            done, folder = check(run, of, None, None, task, mixing=run.family.mixing(run, model, task), visit=visit)
    if done.failure is not None:
        raise BaselineError(f"the given model cannot be a baseline: {done.failure}", "a baseline must give the same answer twice")
    require_apart(done.mixing)
    run.family.require_baseline(run, model, done, task)
    run.tell("reference-done", candidate=recipe.name)
    trial = Trial(Result(candidate=candidate, status="measured"), of, done, folder, (first,))
    values = run.family.answers(folder, task)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BaselineError("the given model answers NaN or infinity on the evaluation data", "check the preprocessing")
    if task.evaluation.labels is not None and task.metric not in (*UNLABELED, "unmeasured", "scorer", "perplexity"):
        require_better_than_chance(trial, task)
    quality = run.family.quality(folder, folder, task)
    run.family.note_baseline(run, quality, task)
    found = accuracy_of(trial, trial, task)
    peak = first.memory.peak if first.memory is not None else 0
    return Trial(
        trial.result.model_copy(update={
            "accuracy": found.value, "retained": found.retained, "examples": done.examples, "memory_ratio": EXACTLY_ONE,
            "memory": tuple(m for m in [first.memory] if m is not None), "pace": run.family.paces([first], of),
            "quality": quality, "ran": str(done.properties.get("ran") or ""),
            "search": ITSELF,
        }),
        of._replace(reference=shards(folder) if run.family.own_answers else None, memory_bytes=peak), done, folder, (first,),
    )  # fmt: skip


def require_better_than_chance(trial: Trial, task: Task) -> None:
    labels = labels_of(task.evaluation)
    assert trial.check_folder is not None and labels is not None
    outputs = np.asarray(scored_array(trial.check_folder, task))
    beats, chance = better_than_chance(task.metric, outputs, labels, task.k, told=told_of(task.metric, task.metric_options))
    if not beats:
        value = accuracy_of(trial, trial, task).value
        raise BaselineError(
            f"the given model is no better than chance on the evaluation data: {task.metric} {value:.4g}, "
            f"shuffled labels give {chance:.4g}; output {task.output!r} is {held(outputs)}, labels are {held(labels)}",
            likely_cause(task.metric, outputs, labels),
        )


def rebase(tuned: Trial, trials: Sequence[Trial], racing: Racing, task: Task) -> tuple[Trial, list[Trial]]:
    """Every variant's figures over the tuned one, by the rounds that hold both, and what cleaning up the export brought."""
    moved, given = [], racing.baseline.candidate.recipe
    for each in trials:
        recipe = each.candidate.recipe
        cleans = recipe.cleaned and recipe.settings == given.settings
        trial = each.with_result(cleanup=each.result.search) if cleans else each
        after, timing = trial, racing.timing(trial.name, tuned.name)
        if trial.name == tuned.name:
            after = as_denominator(trial.with_result(search=ITSELF), task)
        elif trial.name == racing.baseline.name:
            over = Timing(stage="search", speedup=racing.over(trial.name, tuned.name))
            after = trial.with_result(search=over, memory_ratio=memory_ratio(trial, tuned))
        elif timing is not None:
            after = trial.with_result(search=timing, memory_ratio=memory_ratio(trial, tuned))
        moved.append(after)
    return next(t for t in moved if t.name == tuned.name), moved
