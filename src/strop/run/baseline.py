"""The tuned baseline: the given model, unquantized, in its own runtime, under the best settings inside the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from strop.core.candidate import Result, Timing
from strop.core.errors import BaselineError, BudgetError, WorkerError
from strop.core.measurement import Check
from strop.core.metrics import UNLABELED, better_than_chance, chance_of
from strop.core.model import Model
from strop.core.recipe import Offer, Recipe
from strop.core.statistics import Ratios, combine, product, ratio_interval
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Interval
from strop.plan.batch import batch_to_test, require_apart
from strop.plan.space import by_role
from strop.run.answers import labels_of, language_quality, question_rows, scored_array, unlabeled_quality
from strop.run.budget import least_of
from strop.run.building import build, failure_of, write_reproduce
from strop.run.checking import Visit, check, footprint, open_array, shards, subject
from strop.run.context import Run
from strop.run.planning import affordable, settle
from strop.run.preparing import not_reached
from strop.run.screen import admit, refuse_baseline_failure, retime
from strop.run.timing import LANGUAGE_PAIRS, SEARCH_PAIRS, SEARCH_QUADS, measure, timing_of
from strop.run.trial import Trial, accuracy_of, memory_ratio, pace_of

DENOMINATOR_LEVEL, WORTH_CORES = 0.80, 1.05


def tune(run: Run, model: Model, task: Task, found: Sequence[Offer]) -> tuple[Trial, list[Trial]]:
    """The tuned baseline, and every unquantized variant with its speed-up over it.

    Raises:
        BaselineError: the given model does not run, or is no better than chance.
        BudgetError: the budget ended before that was known.
    """
    with least_of(run.budget.asked):
        reference = establish(run, model, task, by_role(found, "reference")[0])
    settle(run, model, task, found, reference)
    trials, champion = [reference], reference
    over_reference = {reference.name: EXACTLY_ONE}
    variants = variants_within(run, found)
    for place, recipe in enumerate(variants):
        if not affordable(run, [recipe], model, task, trials):
            trials.append(not_reached(recipe))
            continue
        run.budget.share(len(variants) - place)
        _, others = rebase(champion, trials, over_reference, task)  # one denominator for all who are compared
        trial = admit(run, model, task, recipe, champion, others)
        trials.append(trial)
        champion = _succeeded(trial, champion, over_reference)
    for index, trial in enumerate(trials):
        if may_be_faster(trial, champion) and run.budget.left() > 0:
            trials[index] = timed_again(run, model, task, trial, champion)
            champion = _succeeded(trials[index], champion, over_reference)
    run.emit("baseline-tuned", recipe=champion.name)
    return rebase(champion, trials, over_reference, task)


def _succeeded(trial: Trial, champion: Trial, over_reference: dict[str, Interval]) -> Trial:
    """The champion after a variant was timed against it, and the variant's figure over the reference kept."""
    speedup = trial.result.speedup
    if speedup is None:
        return champion
    over_reference[trial.name] = product(speedup, over_reference[champion.name])
    return trial if trial.alive and better_denominator(trial, champion) else champion


def may_be_faster(trial: Trial, champion: Trial) -> bool:
    """A setting that could not be timed, though its first calls were quicker: the speed-up over the champion may be too high."""
    mine, best = trial.rough_p50_ns, champion.rough_p50_ns
    return trial.alive and trial.result.speedup is None and mine is not None and best is not None and mine < best


def timed_again(run: Run, model: Model, task: Task, trial: Trial, champion: Trial) -> Trial:
    """A variant whose pairs were too disturbed to give a figure, in further pairs of processes."""
    assert trial.subject is not None and champion.subject is not None
    count = SEARCH_PAIRS if task.language is None else LANGUAGE_PAIRS
    try:
        with run.spending("search"):
            pairs = measure(
                run, champion.subject, trial.subject, "search", range(count, 2 * count), SEARCH_QUADS,
                lambda _: run.budget.left() <= 0,
            )  # fmt: skip
    except WorkerError as error:
        refuse_baseline_failure(error, champion)
        return trial.failed(failure_of("timing", error), write_reproduce(run, trial.candidate.recipe, model))
    except BudgetError:
        return trial
    timing = timing_of(pairs, "search", run.folder.candidate(trial.name) / "search")
    return replace(trial, pairs=tuple(pairs)).with_result(search=timing)


def better_denominator(trial: Trial, champion: Trial) -> bool:
    """Faster by value where it takes no more of the machine; else by 5 %, or by an 80 % interval above 1.

    A denominator that is too slow would flatter every candidate, so 95 % is not asked for; but cores that bring nothing
    are not spent.
    """
    assert trial.subject is not None and champion.subject is not None
    speedup = trial.result.speedup
    if speedup is None or speedup.value <= 1.0:
        return False
    heavier = (trial.subject.threads, trial.subject.spins) > (champion.subject.threads, champion.subject.spins)
    per_pair = Ratios(trial.pairs).per_pair
    return (
        not heavier
        or speedup.value >= WORTH_CORES
        or (len(per_pair) > 1 and ratio_interval(per_pair, level=DENOMINATOR_LEVEL).low > 1.0)
    )


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
            done, folder = check(run, of, None, None, task, mixing=mixing_of(run, model, task), visit=visit)
    if done.failure is not None:
        raise BaselineError(f"the given model cannot be a baseline: {done.failure}", "a baseline must give the same answer twice")
    require_apart(done.mixing)
    if task.language is None and task.output not in done.shards:
        raise BaselineError(
            f"output {task.output!r} has no row for each example",
            "choose another with --output; where the examples lie along another axis than the first: --batch-axis INPUT=AXIS",
        )
    note_without_rows(run, model, done, task)
    run.tell("reference-done", candidate=recipe.name)
    trial = Trial(Result(candidate=candidate, status="measured"), of, done, folder, (first,))
    values = open_array(shards(folder)["nll" if task.language is not None else task.output])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BaselineError("the given model answers NaN or infinity on the evaluation data", "check the preprocessing")
    if task.evaluation.labels is not None and task.metric not in (*UNLABELED, "unmeasured", "scorer", "perplexity"):
        require_better_than_chance(trial, task)
    quality = (language_quality if task.language is not None else unlabeled_quality)(folder, folder, task)
    note_chance(run, quality, task)
    found = accuracy_of(trial, trial, task)
    peak = first.memory.peak if first.memory is not None else 0
    return Trial(
        trial.result.model_copy(update={
            "accuracy": found.value, "retained": found.retained, "examples": done.examples, "memory_ratio": EXACTLY_ONE,
            "memory": tuple(m for m in [first.memory] if m is not None), "pace": pace_of([first], of),
            "quality": quality,
            "search": Timing(stage="search", speedup=EXACTLY_ONE),
        }),
        of._replace(reference=None if task.language is not None else shards(folder), memory_bytes=peak), done, folder, (first,),
    )  # fmt: skip


def mixing_of(run: Run, model: Model, task: Task) -> int:
    """With how many examples the baseline is tested for answers that depend on each other."""
    return batch_to_test(model, task.workload.batch, run.request.batch_axes) if task.language is None else 0


def note_without_rows(run: Run, model: Model, done: Check, task: Task) -> None:
    """Outputs that nothing compares, because they do not have a row for each example."""
    left = [o.name for o in model.outputs if o.name not in done.shards] if task.language is None else []
    if left:
        run.note(f"Not compared, since it has no row for each example: output {', '.join(map(repr, left))}.", first=True)


def note_chance(run: Run, quality: Mapping[str, Interval], task: Task) -> None:
    """What a model keeps of guessing says nothing; told, since perplexity and divergence still hold."""
    right = quality.get("task_accuracy")
    chance = chance_of(question_rows(task)) if right is not None else 0.0
    if right is not None and right.low <= chance:
        run.note(
            f"The given model answers {right.value:.1%} [{right.low:.1%}, {right.high:.1%}] of the questions, guessing would "
            f"answer {chance:.1%}: what is retained of that says nothing. Give easier questions, or more."
        )


def require_better_than_chance(trial: Trial, task: Task) -> None:
    labels = labels_of(task.evaluation)
    assert trial.check_folder is not None and labels is not None
    outputs = np.asarray(scored_array(trial.check_folder, task))
    beats, chance = better_than_chance(task.metric, outputs, labels, task.k)
    if not beats:
        value = accuracy_of(trial, trial, task).value
        raise BaselineError(
            f"the given model is no better than chance on the evaluation data: {task.metric} {value:.4g}, "
            f"shuffled labels give {chance:.4g}",
            "wrong preprocessing, wrong labels or the wrong output? fix the data and run again",
        )


def rebase(tuned: Trial, trials: Sequence[Trial], over_reference: dict[str, Interval], task: Task) -> tuple[Trial, list[Trial]]:
    """Every variant's figures over the tuned one; each was timed against the champion of its turn."""
    moved = []
    for trial in trials:
        after = trial
        if trial.name == tuned.name:
            found = accuracy_of(trial, trial, task)
            after = retime(trial, EXACTLY_ONE).with_result(memory_ratio=EXACTLY_ONE, retained=found.retained)
        elif trial.name in over_reference:
            speedup = combine(over_reference[trial.name], over_reference[tuned.name])
            after = retime(trial, speedup).with_result(memory_ratio=memory_ratio(trial, tuned))
        moved.append(after)
    return next(t for t in moved if t.name == tuned.name), moved
