"""The confirmation: fresh samples of a size that was fixed beforehand; only these enter a verdict."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from strop.core.budget import Saving
from strop.core.candidate import Timing
from strop.core.choose import Contender, score
from strop.core.errors import BudgetError, WorkerError
from strop.core.finalists import Entrant, Standing, first_finalists, in_order, next_finalist
from strop.core.gate import NOT_MEASURED, Missing, judge, judge_one
from strop.core.measurement import Pair
from strop.core.model import Model
from strop.core.statistics import LOOKS
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, RANKS, Gate, GateResult, Interval, Verdict
from strop.plan.ladder import LEAST_PAIRS, LEAST_QUADS, REPEATS, Plan, plan_confirmation, savings, seconds_of, those_in_time
from strop.run.building import failure_of, write_reproduce
from strop.run.checking import Footprint, footprint
from strop.run.context import Run
from strop.run.longer import look_longer
from strop.run.pairing import Subject, plan_quads
from strop.run.planning import costs, delivery_s, is_language
from strop.run.screen import refuse_baseline_failure
from strop.run.timing import LANGUAGE_QUADS, measure, timing_of
from strop.run.trial import (
    Trial,
    find,
    known_figures,
    memory_ratio,
    misses_must,
    must_left_open,
    pace_figures,
    pace_of,
    quality_figures,
)

PAIRS = 5
QUADS = (12, 40)
"""Quads a pair: at least, and at most."""
PAIR_S = 1.5
"""Seconds that a pair's quads may take, unless calls are so long that a p99 needs more of them."""
SELF = "self"
TIMED = ("speedup", "tail_ratio", "latency_ms")
UNEVEN = 0.01
"""Refusals that differ between the sides by less than this chance are told."""


class Hasty(NamedTuple):
    """What the budget left no time for: the confirmation, some settings of the baseline."""

    unconfirmed: bool = False
    untuned: bool = False


UNHURRIED = Hasty()


def select(
    trials: Sequence[Trial], baseline: Trial, weights: dict[str, float], gates: Sequence[Gate] = (), most: int | None = None
) -> list[Trial]:  # fmt: skip
    """By search data: the queue of those whose score may exceed the baseline's, best first. Selects, decides nothing."""
    entrants = []
    for trial in trials:
        if trial.name != baseline.name and trial.candidate.recipe.role != "as-is" and (trial.alive or trial.outpaced):
            entrant = entrant_of(trial, weights, gates)
            entrants += [entrant] if entrant is not None else []
    return [find(trials, e.name) for e in in_order(entrants)[:most]]


def entrant_of(trial: Trial, weights: dict[str, float], gates: Sequence[Gate]) -> Entrant | None:
    """A candidate's place in the queue, or None where there is no speed-up to weigh."""
    contender, result = contender_of(trial, 0), trial.result
    if contender is None:
        return None
    memory = {"memory_ratio": result.memory_ratio} if result.memory_ratio is not None else {}
    known, later = known_figures(trial), {**figures_of_timing(result.search), **memory}
    found = {g: judge_one(g, (known | later)[g.metric]).result for g in gates if g.metric in known | later}
    return Entrant(
        trial.name, score(contender, weights), must_left_open(trial, gates),
        missed=sum(g.kind == "must" and g.metric in later and r == "FAIL" for g, r in found.items()),
        misses_goal=any(g.kind == "goal" and r == "FAIL" for g, r in found.items()), outpaced=trial.outpaced,
    )  # fmt: skip


def contender_of(trial: Trial, rank: int) -> Contender | None:
    """What the choice weighs, or None where there is no speed-up to weigh.

    A rough speed-up counts only where its interval shows a difference.
    """
    result, rough = trial.result, trial.result.noisy
    speedup = result.speedup
    if speedup is None and rough is not None:
        speedup = rough.model_copy(update={"value": 1.0}) if rough.low <= 1.0 <= rough.high else rough
    if speedup is None:
        return None
    return Contender(
        name=trial.name, rank=rank, safety=trial.candidate.recipe.safety, speedup=speedup, accuracy=result.retained,
        memory=result.memory_ratio, energy=result.timing.energy_ratio if result.timing else None,
    )  # fmt: skip


def confirm(run: Run, model: Model, task: Task, baseline: Trial, queue: Sequence[Trial]) -> tuple[list[Trial], Timing]:
    """Fresh comparisons of the first of the queue and of the baseline against itself (A/A); then of those who take the place
    of finalists that fell.

    Where the budget leaves no time for that, the finalists are given back as they are, and the comparison has no pairs.
    """
    run.budget.enter("confirmation")
    entrants = [e for t in queue if (e := entrant_of(t, run.request.weights, run.gates)) is not None]
    finalists = look_longer(run, task, baseline, [find(queue, e.name) for e in first_finalists(entrants)])
    lost = [t for t in finalists if misses_must(t, run.gates)]
    finalists = [t for t in finalists if t not in lost]
    plan = planned(run, baseline, finalists)
    run.emit("confirmation-planned", **plan._asdict())
    found = _compared(run, model, baseline, finalists[: plan.finalists], plan)
    if found.rounds < LEAST_PAIRS:
        return unconfirmed(run, model, lost, finalists, found)
    done = [*lost, *found.trials]
    pairs = measure_self(run, baseline, found)
    noise = timing_of(pairs, "confirmation", run.folder.candidate(baseline.name) / SELF)
    slowest = max(finalists, key=lambda t: t.warm_ns, default=baseline)

    def comparison_s() -> float:
        each = costs(run, baseline, slowest)
        return plan.pairs * (each.pair + plan.quads * each.quad)

    def called_up(name: str) -> Trial:
        run.emit("finalist-called-up", candidate=name)
        fresh = [find(queue, name).with_result(status="measured", reason="")]
        called = look_longer(run, task, baseline, fresh)
        if misses_must(called[0], run.gates):
            return called[0]
        again = plan._replace(
            finalists=1, with_self=False, second_look=plan.second_look and run.budget.left() >= LOOKS * comparison_s()
        )
        late = _compared(run, model, baseline, called, again)
        return late.trials[0] if late.trials else find(queue, name)

    if noise.speedup is not None:
        done = replace_fallen(
            entrants, done, baseline, called_up, partial(_standing, run, task, baseline),
            lambda: run.budget.left() >= comparison_s(), settles=task.language is not None,
        )  # fmt: skip
    return done, noise


def measure_self(run: Run, baseline: Trial, found: "Compared") -> list[Pair]:
    """The pairs of the baseline against itself that were measured beside the finalists'."""
    if not found.plan.with_self:
        return []
    return measure(run, *_sides(baseline, baseline), "confirmation", range(found.rounds), found.plan.quads, folder=SELF)


def replace_fallen(
    entrants: Sequence[Entrant], done: Sequence[Trial], baseline: Trial, called_up: Callable[[str], Trial],
    worth: Callable[[Trial], Standing | None], room: Callable[[], bool], settles: bool = False,
) -> list[Trial]:  # fmt: skip
    """With the next of the queue confirmed in the place of each finalist that fell, and those that may be better than all that
    stand, as long as there is room.

    Args:
        called_up: confirms the candidate of that name.
        worth: what a confirmed candidate is worth to the choice; None where it fell.
    """
    found = list(done)
    while room():
        standing = [s for t in [*found, baseline] if (s := worth(t)) is not None]
        fallen = sum(worth(t) is None for t in found)
        entrant = next_finalist(entrants, [t.name for t in found], standing, len(found) - len(done) < fallen, settles)
        if entrant is None:
            break
        found.append(called_up(entrant.name))
    return found


def _standing(run: Run, task: Task, baseline: Trial, trial: Trial) -> Standing | None:
    return standing_of(trial, baseline, run.gates, run.request.weights, why_no_accuracy(task))


def standing_of(
    trial: Trial, baseline: Trial, gates: Sequence[Gate], weights: dict[str, float], unmeasured: str | None
) -> Standing | None:  # fmt: skip
    """What a confirmed candidate is worth to the choice; None where it fell."""
    verdict = verdict_of(trial, baseline, gates, unmeasured)
    contender = contender_of(trial, 0)
    if not trial.alive or contender is None or verdict.outcome not in RANKS:
        return None
    return Standing(RANKS.index(verdict.outcome), score(contender, weights).value)


class Compared(NamedTuple):
    """Finalists that were compared, the plan that was carried out, how many of its rounds were whole, and what failed."""

    trials: list[Trial]
    plan: Plan
    rounds: int
    failed: dict[str, WorkerError]


def _compared(run: Run, model: Model, baseline: Trial, finalists: Sequence[Trial], plan: Plan) -> Compared:
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
    fastest = min([t.warm_ns for t in finalists], default=baseline.warm_ns)
    quads, language = plan_quads((baseline.warm_ns, fastest), PAIRS, PAIR_S, *QUADS), is_language(baseline)
    quads = min(quads, LANGUAGE_QUADS["confirmation"]) if language else quads
    most = LEAST_PAIRS if language else PAIRS
    run.budget.keep("delivery", delivery_s(run, [baseline, *finalists]))
    each = costs(run, baseline, slowest)
    plan = plan_confirmation(run.budget.left(), len(finalists), quads, each, most)
    run.budget.savings += savings(plan, len(finalists), quads, each, most)
    return plan._replace(second_look=plan.second_look and not language)  # a request is long: it would take minutes


def unconfirmed(
    run: Run, model: Model, lost: Sequence[Trial], finalists: Sequence[Trial], found: Compared
) -> tuple[list[Trial], Timing]:
    """Too few pairs for an interval, or none: the figures of the search are all there is.

    They are rough, so only what they show to be better than the baseline stays in the field.
    """
    if found.plan.finalists:
        run.emit("confirmation-cut", pairs=found.plan.pairs)
        run.budget.savings.append(Saving(what="confirmation", count=found.plan.finalists))
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

    In turn, so that a slow drift of the machine meets them all alike, and shows in the spread of each one's pairs. Where the
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
        refuse_baseline_failure(error, baseline)
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
    run.emit("confirmed", candidate=trial.name, speedup=shown, rough=rough and round(rough.value, 4))
    if timing is not None and timing.uneven is not None and timing.uneven < UNEVEN:
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
    pace = pace_of(trial.footprints, trial.subject)
    return trial.with_result(memory=memory, memory_ratio=memory_ratio(trial, baseline), pace=pace)


def more_baseline_memory(run: Run, baseline: Trial) -> Trial:
    """The baseline's repeats: what they differ by is the resolution. Left out where they would cost the confirmation."""
    each = costs(run, baseline, baseline)
    least = seconds_of(Plan(1, LEAST_PAIRS, LEAST_QUADS, False, with_self=False), each)
    if run.budget.left_until("confirmation") < (REPEATS - 1) * each.alone + least:
        return baseline
    return _more_memory(run, baseline, baseline).with_result(memory_ratio=EXACTLY_ONE)


def figures_of_timing(timing: Timing | None) -> dict[str, Interval]:
    """Gate metrics that come from the clock."""
    if timing is None or timing.speedup is None:
        return {}
    figures = {"speedup": timing.speedup}
    if timing.tail_ratio is not None:
        figures["tail_ratio"] = timing.tail_ratio
    if timing.latency is not None:
        figures["latency_ms"] = timing.latency
    return figures


NO_TIME = Missing("the budget left no time for a confirmation", "no time")
NOT_TUNED = "the budget left no time to try every setting of the baseline"
TOO_BUSY = Missing("the machine was too busy to time it reliably: --fresh measures again", "too busy")


def verdict_of(
    trial: Trial,
    baseline: Trial,
    gates: Sequence[Gate],
    unmeasured: str | None,
    timed: bool = True,
    elsewhere: Mapping[str, str] | None = None,
    hasty: Hasty = UNHURRIED,
) -> Verdict:
    """All gates on one candidate. Timing enters by the confirmation only; the baseline is 1 against itself by definition.

    Args:
        unmeasured: why accuracy could not be measured at all, or None.
        timed: False where not even the baseline could be timed against itself: then nobody knows what is faster, and no
            speed passes or fails.
        elsewhere: metric → why only the target could tell.
        hasty: what the budget left no time for; what rests on it is unmeasured.
    """
    result = trial.result
    figures: dict[str, Interval] = {}
    missing: dict[str, Missing] = {}
    if trial.name == baseline.name:
        figures |= {"tail_ratio": EXACTLY_ONE, **({"speedup": EXACTLY_ONE} if timed else {})}
    else:
        figures |= figures_of_timing(result.confirmation)
    missing |= dict.fromkeys(TIMED, why_no_timing(trial) if timed else TOO_BUSY)
    late = hasty.unconfirmed and result.confirmation is None and not result.candidate.recipe.unrepresentative
    own = trial.name == baseline.name
    figures |= quality_figures(trial)
    if not result.candidate.recipe.unrepresentative:
        figures |= pace_figures(trial)
    if result.retained is not None:
        if result.accuracy is not None:
            scale = result.accuracy / result.retained.value if result.retained.value else 0.0
            ends = (result.retained.low * scale, result.retained.high * scale)
            figures["accuracy"] = Interval(value=result.accuracy, low=min(ends), high=max(ends))
            if result.differs:
                figures["accuracy"] = result.quality["difference"]
    else:
        why = Missing(f"unmeasured: {unmeasured}", "no data") if unmeasured else NOT_MEASURED
        missing |= {"accuracy_retained": why, "accuracy": why}
    if result.memory_ratio is not None:
        figures["memory_ratio"] = result.memory_ratio
        peaks = [m.peak / 1e6 for m in result.memory]
        figures["memory_mb"] = Interval(value=sorted(peaks)[len(peaks) // 2], low=min(peaks), high=max(peaks))
    if result.candidate.artifact is not None:
        size = result.candidate.artifact.bytes / 1e6
        figures["size_mb"] = Interval(value=size, low=size, high=size)
    verdict = judge(gates, figures, str(result.failure) if result.failure else None, missing, elsewhere)
    results = [name_tail(r, result.confirmation) for r in verdict.results]
    return Verdict(results=tuple(in_haste(r, late, hasty.untuned and not own) for r in results))


def in_haste(result: GateResult, unconfirmed: bool, untuned: bool) -> GateResult:
    """A gate on time stays unmeasured where the budget left no time for the confirmation; and no speed-up passes over a
    baseline whose settings were not all tried, since a better one may be among the rest."""
    metric = result.gate.metric
    if unconfirmed and metric in TIMED and result.figure is None:
        return result.model_copy(update={"result": "UNMEASURED", "reason": NO_TIME.why, "cause": NO_TIME.cause})
    if untuned and metric == "speedup" and result.result == "PASS":
        reason = f"{result.reason}, but {NOT_TUNED}"
        return result.model_copy(update={"result": "UNMEASURED", "reason": reason, "cause": NO_TIME.cause})
    return result


def name_tail(result: GateResult, timing: Timing | None) -> GateResult:
    """A tail gate's reason says which percentile there were calls enough for."""
    if result.gate.metric != "tail_ratio" or result.figure is None or timing is None or timing.tail_percentile is None:
        return result
    few = "" if timing.tail_percentile == 99 else "; a p99 needs 662 calls of each side"
    return result.model_copy(update={"reason": f"p{timing.tail_percentile}/p50: {result.reason}{few}"})


def why_no_accuracy(task: Task) -> str | None:
    """Why accuracy could not be measured at all, or None."""
    return "no data were given" if task.metric == "unmeasured" else None


def why_no_timing(trial: Trial) -> Missing:
    """Why a candidate has no confirmed figure, naming what it would take."""
    timing, doubt = trial.result.confirmation, trial.candidate.recipe.unrepresentative
    if doubt:
        return Missing(f"not timed: a speed here is not representative ({doubt})")
    if timing is None:
        return Missing("not confirmed: not among the finalists")
    if timing.speedup is None:
        shares = ", ".join(f"{n} by {why}" for why, n in sorted(timing.excluded_why.items()))
        text = f"the machine was too busy: {timing.excluded:.0%} of the quads were disturbed ({shares}); needs a quieter machine"
        return Missing(text, "too busy")
    return Missing("too few calls for a tail percentile (p90 needs 64); needs more time")
