"""The confirmation: fresh samples of a size that was fixed beforehand; only these enter a verdict."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from strop.core.budget import Saving
from strop.core.candidate import Timing
from strop.core.choose import score
from strop.core.errors import BudgetError, WorkerError
from strop.core.finalists import Standing, first_finalists
from strop.core.gate import judge
from strop.core.measurement import Pair
from strop.core.model import Model
from strop.core.statistics import LOOKS
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Gate
from strop.plan.ladder import (
    LEAST_PAIRS,
    LEAST_QUADS,
    PAIR_S,
    PAIRS,
    QUADS,
    REPEATS,
    Plan,
    plan_confirmation,
    savings,
    seconds_of,
    those_in_time,
)
from strop.run.building import failure_of, write_reproduce
from strop.run.checking import Footprint, footprint
from strop.run.context import Run
from strop.run.finalists import contender_of, entrant_of, replace_fallen, standing_of
from strop.run.judging import TIMED, figures_of_timing, why_no_accuracy
from strop.run.pairing import Subject, plan_quads
from strop.run.planning import costs, delivery_s
from strop.run.preparing import with_answers_judged
from strop.run.throughput import confirmed_under_load, with_own_throughput, with_server_itself
from strop.run.timing import measure, refuse_baseline_failure, timing_of
from strop.run.trial import (
    Trial,
    find,
    memory_ratio,
    misses_must,
)

SELF = "self"


def confirm(run: Run, model: Model, task: Task, baseline: Trial, queue: Sequence[Trial]) -> tuple[list[Trial], Timing]:
    """Fresh comparisons of the first of the queue and of the baseline against itself (A/A); then of those who take the place
    of finalists that fell.

    Where the budget leaves no time for that, the finalists are given back as they are, and the comparison has no pairs.
    """
    entrants = [e for t in queue if (e := entrant_of(t, run.request.weights, run.gates)) is not None]
    finalists = fit_to_confirm(run, model, task, baseline, [find(queue, e.name) for e in first_finalists(entrants)])
    lost = [t for t in finalists if fell(run, t)]
    finalists = [t for t in finalists if t not in lost]
    plan = planned(run, baseline, finalists)
    run.emit("confirmation-planned", **plan._asdict())
    found = compared(run, model, baseline, finalists[: plan.finalists], plan)
    if found.rounds < LEAST_PAIRS:
        return unconfirmed(run, model, lost, finalists, found)
    done = [*lost, *confirmed_under_load(run, model, task, baseline, found.trials)]
    baseline = with_own_throughput(run, model, task, baseline, done)
    done = with_server_itself(task, baseline, done)
    pairs = measure_self(run, baseline, found)
    noise = timing_of(pairs, "confirmation", run.folder.candidate(baseline.name) / SELF)
    slowest = max(finalists, key=lambda t: t.warm_ns, default=baseline)

    def comparison_s() -> float:
        each = costs(run, baseline, slowest)
        return plan.pairs * (each.pair + plan.quads * each.quad)

    def called_up(name: str) -> Trial:
        run.emit("finalist-called-up", candidate=name)
        fresh = [find(queue, name).with_result(status="measured", reason="")]
        called = fit_to_confirm(run, model, task, baseline, fresh)
        if not called or fell(run, called[0]):
            return next(iter(called), find(queue, name))
        again = plan._replace(
            finalists=1, with_self=False, second_look=plan.second_look and run.budget.left() >= LOOKS * comparison_s()
        )
        late = compared(run, model, baseline, called, again)
        return next(iter(confirmed_under_load(run, model, task, baseline, late.trials)), find(queue, name))

    if noise.speedup is not None:
        done = replace_fallen(
            entrants, done, baseline, called_up, partial(_standing, run, task, baseline),
            lambda: run.budget.left() >= comparison_s(), settles=run.family.settles,
        )  # fmt: skip
    return done, noise


def fit_to_confirm(run: Run, model: Model, task: Task, baseline: Trial, finalists: Sequence[Trial]) -> list[Trial]:
    """The finalists, with what is to be known of their answers before they are timed once more."""
    found = list[Trial]()
    for trial in finalists:
        try:
            found.append(with_answers_judged(run, model, task, trial, baseline))
        except BudgetError:
            run.budget.savings.append(Saving(what="finalists", count=1))
    return run.family.look_longer(run, task, baseline, found)


def fell(run: Run, trial: Trial) -> bool:
    """Whether its answers alone end it."""
    return trial.result.failure is not None or misses_must(trial, run.gates)


def measure_self(run: Run, baseline: Trial, found: "Compared") -> list[Pair]:
    """The pairs of the baseline against itself that were measured beside the finalists'."""
    if not found.plan.with_self:
        return []
    return measure(run, *_sides(baseline, baseline), "confirmation", range(found.rounds), found.plan.quads, folder=SELF)


def _standing(run: Run, task: Task, baseline: Trial, trial: Trial) -> Standing | None:
    return standing_of(trial, baseline, run.gates, run.request.weights, why_no_accuracy(task))


class Compared(NamedTuple):
    """Finalists that were compared, the plan that was carried out, how many of its rounds were whole, and what failed."""

    trials: list[Trial]
    plan: Plan
    rounds: int
    failed: dict[str, WorkerError]


def compared(run: Run, model: Model, baseline: Trial, finalists: Sequence[Trial], plan: Plan) -> Compared:
    """Finalists after one look, or two where a gate on time was still open; none where the budget ended first."""
    trials = [_more_memory(run, trial, baseline) for trial in finalists]
    first, second = range(plan.pairs), range(plan.pairs, LOOKS * plan.pairs)
    failed, done, kept = _rounds(run, baseline, trials, first, plan.quads, plan.with_self)
    if done < LEAST_PAIRS:
        return Compared([], plan, done, failed)
    plan, trials = _narrowed(run, plan, trials, kept)
    first = range(done)
    looked = [_look(run, baseline, trial, first, plan.quads) for trial in trials if trial.name not in failed]
    undecided = [t for t in looked if plan.second_look and done == plan.pairs and _open_gate(run.gates, t.result.confirmation)]
    later, more, _ = _rounds(run, baseline, undecided, second, plan.quads)
    failed |= later
    both = range(plan.pairs + more)
    again = {t.name: _look(run, baseline, t, both, plan.quads) for t in undecided if t.name not in failed and more == plan.pairs}
    final = {t.name: t for t in [*trials, *looked]} | again
    final |= {name: broken(run, model, final[name], error) for name, error in failed.items()}
    for trial in final.values():
        _tell(run, trial)
    return Compared(list(final.values()), plan, done, failed)


def planned(run: Run, baseline: Trial, finalists: Sequence[Trial]) -> Plan:
    """The size of the confirmation, by what warm calls and starts have taken; what it leaves out is noted with the budget."""
    slowest = max(finalists, key=lambda t: t.warm_ns, default=baseline)
    fastest, pace = min(finalists, key=lambda t: t.warm_ns, default=baseline), run.family.pace
    sized = (baseline.warm_ns, fastest.warm_ns)
    quads = run.family.quads(sized, baseline.subject, plan_quads(sized, PAIRS, PAIR_S, *QUADS))
    run.budget.keep("delivery", delivery_s(run, [baseline, *finalists]))
    each = costs(run, baseline, slowest)
    plan = plan_confirmation(run.budget.left(), len(finalists), quads, each, pace.pairs)
    run.budget.savings += savings(plan, len(finalists), quads, each, pace.pairs)
    return plan._replace(second_look=plan.second_look and pace.second_look)


def unconfirmed(
    run: Run, model: Model, lost: Sequence[Trial], finalists: Sequence[Trial], found: Compared
) -> tuple[list[Trial], Timing]:
    """Too few pairs for an interval, or none: the figures of the search are all there is.

    They are rough, so only what they show to be better than the baseline stays in the field.
    """
    if found.plan.finalists:
        run.emit("confirmation-cut", pairs=found.plan.pairs)
        run.budget.savings.append(Saving(what="confirmation", count=found.plan.finalists))
    if found.plan.with_self:
        run.budget.savings.append(Saving(what="self-comparison"))
    failed = found.failed
    field = [t for t in finalists if (c := contender_of(t, 0)) is not None and score(c, run.request.weights).low > 0]
    fell = [broken(run, model, t, failed[t.name]) for t in finalists if t.name in failed]
    return [*lost, *(t for t in field if t.name not in failed), *fell], timing_of([], "confirmation", "")


def broken(run: Run, model: Model, trial: Trial, error: WorkerError) -> Trial:
    """A finalist that failed while it was timed."""
    return trial.failed(failure_of("timing", error), write_reproduce(run, trial.candidate.recipe, model))


def _narrowed(run: Run, plan: Plan, trials: list[Trial], kept: Sequence[str]) -> tuple[Plan, list[Trial]]:
    """Without what was given up on the way, since pairs took longer than planned; noted with the budget."""
    left = [t for t in trials if t.name in kept]
    if len(left) < len(trials):
        run.budget.savings.append(Saving(what="finalists", count=len(trials) - len(left)))
    if plan.with_self and SELF not in kept:
        run.budget.savings.append(Saving(what="self-comparison"))
    return plan._replace(with_self=plan.with_self and SELF in kept), left


def _sides(baseline: Trial, trial: Trial) -> tuple[Subject, Subject]:
    assert baseline.subject is not None and trial.subject is not None
    return baseline.subject, trial.subject


class Rounds(NamedTuple):
    """Those that failed, how many rounds were whole before the budget ended, and who (or `SELF`) was in all of them."""

    failed: dict[str, WorkerError]
    done: int
    kept: list[str]


def _rounds(
    run: Run, baseline: Trial, trials: Sequence[Trial], indices: range, quads: int, with_self: bool = False
) -> Rounds:  # fmt: skip
    """Pair after pair, every finalist (and the baseline against itself, A/A) in turn.

    In turn, so that a slow drift of the machine affects all equally, and shows in the spread of each one's pairs. Where the
    rounds take so long that three of them would not end in time, the last in line are given up: A/A first, the best last.
    """
    failed: dict[str, WorkerError] = {}
    sides = {t.name: t for t in trials} | ({SELF: baseline} if with_self else {})
    taken: dict[str, float] = {}
    for done, index in enumerate(indices):
        names = list(sides)[: those_in_time([taken.get(name, 0.0) for name in sides], LEAST_PAIRS - done, run.budget.left())]
        sides = {name: sides[name] for name in names}
        try:
            for name, trial in sides.items():
                if name not in failed:
                    begin = time.monotonic()
                    _one_pair(run, baseline, trial, index, quads, failed)
                    taken[name] = time.monotonic() - begin
        except BudgetError:
            return Rounds(failed, done, list(sides))
    return Rounds(failed, len(indices), list(sides))


def _one_pair(run: Run, baseline: Trial, trial: Trial, index: int, quads: int, failed: dict[str, WorkerError]) -> None:
    """A pair of a finalist, or of the baseline against itself; what fails is added to `failed`."""
    own = trial.name == baseline.name
    run.tell("confirming", candidate="the baseline against itself" if own else trial.name)
    try:
        with run.spending("noise" if own else "confirm"):
            place = SELF if own else None
            measure(run, *_sides(baseline, trial), "confirmation", range(index, index + 1), quads, folder=place)
    except WorkerError as error:
        if own:
            raise
        refuse_baseline_failure(error, baseline.name)
        failed[trial.name] = error


def _look(run: Run, baseline: Trial, trial: Trial, indices: range, quads: int) -> Trial:
    """A look at what was measured."""
    pairs = measure(run, *_sides(baseline, trial), "confirmation", indices, quads)
    timing = timing_of(pairs, "confirmation", run.folder.candidate(trial.name) / "confirmation")
    return replace(trial, pairs=tuple(pairs)).with_result(confirmation=timing)


def _tell(run: Run, trial: Trial) -> None:
    timing = trial.result.confirmation
    figure, rough = (timing.speedup, timing.rough) if timing is not None else (None, None)
    shown = [round(x, 4) for x in (figure.low, figure.value, figure.high)] if figure is not None else None
    clock = timing.clock if timing is not None else "wall time"
    run.emit("confirmed", candidate=trial.name, speedup=shown, rough=rough and round(rough.value, 4), clock=clock)
    if timing is not None and timing.uneven:
        run.note(
            f"{trial.name}: its blocks and the baseline's were disturbed unequally often ({timing.refused[1]} and "
            f"{timing.refused[0]} were repeated), which can shift its speed-up."
        )


def _open_gate(gates: Sequence[Gate], timing: Timing | None) -> bool:
    """Whether a gate on time is still open."""
    figures = figures_of_timing(timing)
    results = judge([g for g in gates if g.metric in TIMED], figures, None, {}).results
    return any(r.result == "INCONCLUSIVE" for r in results)


def _more_memory(run: Run, trial: Trial, baseline: Trial) -> Trial:
    """Memory of a finalist in further processes, as far as the budget allows."""
    assert trial.subject is not None
    more: list[Footprint] = []
    with run.spending("memory"), contextlib.suppress(BudgetError):
        for repeat in range(1, REPEATS):
            found = footprint(run, trial.subject, repeat)
            more += [found] if found.failure is None else []
    trial = replace(trial, footprints=(trial.footprints[0], *more))
    memory = tuple(f.memory for f in trial.footprints if f.memory is not None)
    pace = run.family.paces(trial.footprints, trial.subject)
    return trial.with_result(memory=memory, memory_ratio=memory_ratio(trial, baseline), pace=pace)


def more_baseline_memory(run: Run, baseline: Trial) -> Trial:
    """The baseline's repeats: what they differ by is the resolution. Left out where they would cost the confirmation."""
    each = costs(run, baseline, baseline)
    least = seconds_of(Plan(1, LEAST_PAIRS, LEAST_QUADS, False, with_self=False), each)
    if run.budget.left() < (REPEATS - 1) * each.alone + least:
        return baseline
    return _more_memory(run, baseline, baseline).with_result(memory_ratio=EXACTLY_ONE)
