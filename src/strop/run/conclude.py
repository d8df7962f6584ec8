"""From judged trials to the outcome: comparisons beside the tuned baseline, the frontier, what the run cost."""

from collections.abc import Collection, Sequence
from pathlib import Path

from strop.core.candidate import Result, Timing
from strop.core.choose import Choice
from strop.core.errors import BudgetError, WorkerError
from strop.core.frontier import Figures, frontier
from strop.core.inspection import Advice
from strop.core.model import Model
from strop.core.outcome import CleanUp, Noise, Outcome
from strop.core.prospects import Untimed, prospects
from strop.core.recipe import Offer
from strop.core.statistics import combine
from strop.core.task import Task
from strop.core.throughput import throughput_of
from strop.core.verdict import EXACTLY_ONE, Interval
from strop.plan.outputs import TEXT
from strop.report.budget import budget_notes
from strop.run.answers import cut_for
from strop.run.baseline import may_be_faster, variants_within
from strop.run.checking import shards, subject
from strop.run.context import Run
from strop.run.denominator import agrees
from strop.run.family import family_of
from strop.run.machine import environment
from strop.run.pairing import Subject
from strop.run.planning import AS_IS_PAIRS, AS_IS_QUADS, budget_use, costs
from strop.run.timing import measure, timing_of
from strop.run.trial import Trial, find, memory_resolution, only_informs

BATCH_PAIRS, BATCH_QUADS = 3, 8
"""Of further batch sizes, which are asked for by name: as many pairs as fit."""


def conclude(
    run: Run, model: Model, task: Task, found: Sequence[Offer], trials: Sequence[Trial], baseline: str, noise: Timing | None,
    choice: Choice | None, advice: Advice | None,
) -> Outcome:  # fmt: skip
    """Everything the report says, from what was measured.

    Args:
        noise: the baseline against itself; None where nothing was timed, since the target is elsewhere.
    """
    run.budget.enter("beside")
    tuned = find(trials, baseline)
    results = tuple(_over_by_now(t) for t in trials)
    best = _best_unquantized(results, baseline)
    as_is = next((t.name for t in trials if only_informs(t, tuned) and t.result.speedup is not None), None)
    chosen = find(trials, choice.name) if choice is not None else None
    verdict = chosen.result.verdict if chosen is not None else None
    used = budget_use(run, model, task, trials, found)
    return Outcome(
        run=run.folder.name, outcome=verdict.outcome if verdict is not None else "none", model=model,
        task=answered(model, task, tuned.check_folder),
        gates=run.gates, weights=run.request.weights, offers=tuple(found), results=results, baseline=baseline,
        reference=tuned.reference.name if tuned.reference is not None else "", as_is=as_is, choice=choice,
        against_as_is=_over_as_is(run, trials, chosen, as_is, baseline),
        against_best_unquantized=_over(chosen, results, best), best_unquantized=best,
        frontier=tuple(pareto([t.result for t in trials if not only_informs(t, tuned)])),
        noise=Noise(
            speedup=noise.speedup if noise else None, clock=noise.clock if noise else "wall time",
            half_width=_half_width(noise.speedup) if noise else None,
            excluded=noise.excluded if noise else 0.0, memory_resolution_bytes=memory_resolution(tuned.peaks),
            rough=noise.rough if noise else None, latency_ms=noise.latency_ms if noise else {},
        ),
        target=run.target, advice=advice, place=run.place.kind,
        held_to=run.place.held if run.place.kind == "imitated" else "",
        environment=environment(run.place.machine, list(run.backends.values()), run.request.seed), timing=run.spent(),
        notes=(*run.kept, *budget_notes(used), *(_warnings(noise) if noise and noise.pairs else ())),
        batches=_batches(run, task, tuned, chosen) if noise else {}, company=run.company, budget=used,
        prospects=prospects(results, chosen.result if chosen is not None else None) if noise else (),
        cleanup=_cleanup(trials, tuned, model) if noise else None,
        untimed=_untimed(trials, tuned, {r.name for r in variants_within(run, found)}) if noise else (),
    )  # fmt: skip


def _over_by_now(trial: Trial) -> Result:
    """The result of a trial; of a run that is over none is in progress."""
    if trial.result.status == "in progress":
        return trial.not_reached("the run ended before it was timed").result
    return trial.result


def answered(model: Model, task: Task, check: Path | None) -> Task:
    """The task with what the baseline's answers tell: where class 1 begins, and which outputs have no row for each example.

    Args:
        check: folder of the baseline's; None where it was not checked.
    """
    if check is None:
        return task
    found = shards(check)
    whole = task.output in found and family_of(task).ships_all
    apart = tuple(o.name for o in model.outputs if o.name not in found and o.dtype != TEXT) if whole else ()
    return task.model_copy(update={"cut": cut_for(check, task), "by_call": apart})


def _cleanup(trials: Sequence[Trial], tuned: Trial, model: Model) -> CleanUp | None:
    """What cleaning up the export brought alone: that which the baseline has, else the fastest that was timed."""
    timed = [(t, t.result.cleanup) for t in trials if t.result.cleanup is not None and agrees(t)]
    if not timed:
        return None
    mine = [entry for entry in timed if entry[0].candidate.recipe.steps == tuned.candidate.recipe.steps]
    trial, found = max(mine or timed, key=lambda entry: figure.value if (figure := entry[1].speedup) is not None else 0.0)
    return CleanUp(
        name=trial.name, speedup=found.speedup, clock=found.clock, rough=found.rough, taken=bool(mine),
        faults=tuple(f.name for f in model.faults if trial.candidate.recipe.takes_out(f.name)),
    )  # fmt: skip


def _untimed(trials: Sequence[Trial], tuned: Trial, variants: Collection[str]) -> tuple[Untimed, ...]:
    """Settings that the baseline may have had, quicker in their first calls, but without a figure."""
    return tuple(
        Untimed(name=t.name, p50_ms=t.rough_p50_ns / 1e6, baseline_p50_ms=tuned.rough_p50_ns / 1e6)
        for t in trials
        if t.name in variants and may_be_faster(t, tuned) and t.rough_p50_ns is not None and tuned.rough_p50_ns is not None
    )


def _half_width(figure: Interval | None) -> float | None:
    return None if figure is None else (figure.high - figure.low) / 2 / figure.value


def _warnings(noise: Timing) -> list[str]:
    figure = noise.speedup
    if figure is None or noise.clock == "CPU time":
        return [f"The machine was too busy to time reliably: {noise.excluded:.0%} of the A/A quads were disturbed."]
    if not figure.low <= 1.0 <= figure.high:
        shown = f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
        return [f"The baseline against itself gave {shown}: distrust small differences."]
    return []


def _best_unquantized(results: Sequence[Result], baseline: str) -> str:
    """The fastest unquantized candidate of any framework, surely faster than the baseline, else the baseline."""
    found = [
        (r.speedup.value, r.name)
        for r in results
        if r.status == "measured" and _is_unquantized(r) and r.speedup is not None and r.speedup.low > 1.0
    ]
    return max(found)[1] if found else baseline


def _is_unquantized(result: Result) -> bool:
    """The given files, or what converting and cleaning up makes of them without another precision."""
    recipe = result.candidate.recipe
    return not recipe.steps or (recipe.precision == "fp32" and all(step.stage == "convert" for step in recipe.steps))


def _over(chosen: Trial | None, results: Sequence[Result], other: str | None) -> Interval | None:
    """Speed-up of the choice over another candidate, both measured against the tuned baseline."""
    if chosen is None or other is None or chosen.result.speedup is None:
        return None
    theirs = next(r.speedup for r in results if r.name == other)
    if theirs is None:
        return None
    return EXACTLY_ONE if chosen.name == other else combine(chosen.result.speedup, theirs)


def _over_as_is(run: Run, trials: Sequence[Trial], chosen: Trial | None, as_is: str | None, baseline: str) -> Interval | None:
    """The choice over the model as it runs today. The runtime's defaults are timed directly; over PyTorch, which was timed once,
    it is the ratio of two speed-ups.
    """
    if chosen is None or as_is is None:
        return None
    default = find(trials, as_is)
    if chosen.name == as_is:
        return EXACTLY_ONE
    if as_is == baseline:
        return chosen.result.speedup
    each = costs(run, default, chosen)
    takes = AS_IS_PAIRS * (each.pair + AS_IS_QUADS * each.quad)
    timed_once = default.candidate.recipe.role == "reference"
    if timed_once or chosen.subject is None or default.subject is None or run.budget.left() < takes:
        return _over(chosen, [t.result for t in trials], as_is)
    place = "against-as-is"
    try:
        with run.spending("confirm"):
            pairs = measure(run, default.subject, chosen.subject, "confirmation", range(AS_IS_PAIRS), AS_IS_QUADS, folder=place)
    except BudgetError:
        return _over(chosen, [t.result for t in trials], as_is)
    except WorkerError as error:
        run.note(f"The model as it runs today could not be timed: {error.message}.")
        return None
    return timing_of(pairs, "confirmation", "", looks=1).speedup


def pareto(results: Sequence[Result]) -> list[str]:
    """The frontier over what was measured; a difference that its interval does not show counts as none."""

    def settled(figure: Interval | None) -> Interval | None:
        return EXACTLY_ONE if figure is not None and figure.low <= 1.0 <= figure.high else figure

    figures = {
        r.name: Figures(
            r.speedup,
            settled(r.retained),
            settled(r.memory_ratio),
            settled(r.timing.energy_ratio if r.timing else None),
        )
        for r in results
        if r.status == "measured" and r.speedup is not None
    }
    return frontier(figures)


def _in_batch(run: Run, trial: Trial, task: Task, batch: int) -> Subject:
    """The trial's subject with another batch; its memory grows with that at most as it would for texts."""
    of = subject(run, trial.candidate, task, batch)._replace(reference=None)
    known = trial.subject.memory_bytes if trial.subject is not None else 0
    return of._replace(memory_bytes=known * max(1, batch // task.workload.batch) if run.family.by_batch else known)


def _batches(run: Run, task: Task, tuned: Trial, chosen: Trial | None) -> dict[int, Timing]:
    """Further batch sizes of the workload, for the chosen candidate."""
    if chosen is None or chosen.name == tuned.name:
        return {}
    found = {}
    for batch in task.workload.batches[1:]:
        a, b = (_in_batch(run, t, task, batch) for t in (tuned, chosen))
        each, times = costs(run, tuned, chosen), batch / task.workload.batch
        a_pair = each.pair + BATCH_QUADS * times * each.quad
        room = int(min(BATCH_PAIRS, run.budget.left() / a_pair))
        if not room:
            run.note(
                f"Batch {batch} was not measured: a pair of processes takes some {a_pair:.0f} s, more than the budget leaves."
            )
            continue
        place = f"batch-{batch}"
        try:
            with run.spending("batches"):
                pairs = measure(run, a, b, "confirmation", range(room), BATCH_QUADS, folder=place)
        except BudgetError:
            run.note(f"Batch {batch} was not measured: the budget ended.")
            continue
        except WorkerError as error:
            run.note(f"Batch {batch} could not be measured: {error.message}.")
            continue
        load = run.family.load(task)._replace(concurrency=1, batch=batch)
        found[batch] = timing_of(pairs, "confirmation", run.folder.candidate(chosen.name) / place).model_copy(
            update={"throughput": throughput_of(pairs, load, "confirmation", tuned.name)}
        )
    return found
