"""The confirmation: fresh samples of a size that was fixed beforehand; only these enter a verdict."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from strop.core.budget import Saving
from strop.core.candidate import Timing
from strop.core.choose import Contender, score
from strop.core.errors import BudgetError, WorkerError
from strop.core.gate import judge
from strop.core.model import Model
from strop.core.statistics import LOOKS
from strop.core.verdict import EXACTLY_ONE, Gate, GateResult, Interval, Verdict
from strop.plan.ladder import LEAST_PAIRS, LEAST_QUADS, REPEATS, Plan, plan_confirmation, savings, seconds_of, those_in_time
from strop.run.building import failure_of, write_reproduce
from strop.run.checking import Footprint, footprint
from strop.run.context import Run
from strop.run.pairing import Subject, plan_quads
from strop.run.planning import costs, delivery_s, is_language
from strop.run.screen import refuse_baseline_failure
from strop.run.timing import LANGUAGE_QUADS, measure, timing_of
from strop.run.trial import Trial, memory_ratio, must_left_open, pace_figures, pace_of, quality_figures

MOST_FINALISTS = 3
PAIRS = 5
QUADS = (12, 40)
"""Quads a pair: at least, and at most."""
PAIR_S = 1.5
"""Seconds that a pair's quads may take, unless calls are so long that a p99 needs more of them."""
SELF = "self"
TIMED = ("speedup", "tail_ratio", "latency_ms")


class Hasty(NamedTuple):
    """What the budget left no time for: the confirmation, some settings of the baseline."""

    unconfirmed: bool = False
    untuned: bool = False


UNHURRIED = Hasty()


def select(
    trials: Sequence[Trial], baseline: Trial, weights: dict[str, float], gates: Sequence[Gate] = (), most: int = MOST_FINALISTS
) -> list[Trial]:  # fmt: skip
    """By search data: at most three whose score may exceed the baseline's, best first. Selects, decides nothing.

    Those whose answers and size pass the musts come before those that leave some open, however fast.
    """
    scored = []
    for trial in trials:
        if not trial.alive or trial.name == baseline.name or trial.candidate.recipe.role == "as-is":
            continue
        contender = contender_of(trial, 0)
        if contender is None:
            continue
        figure = score(contender, weights)
        if figure.high > 0:
            scored.append((must_left_open(trial, gates), -figure.value, trial))
    return [trial for *_, trial in sorted(scored, key=lambda entry: entry[:2])[:most]]


def contender_of(trial: Trial, rank: int) -> Contender | None:
    """What the choice weighs, or None where there is no speed-up to weigh."""
    result = trial.result
    if result.speedup is None:
        return None
    return Contender(
        name=trial.name, rank=rank, safety=trial.candidate.recipe.safety, speedup=result.speedup, accuracy=result.retained,
        memory=result.memory_ratio, energy=result.timing.energy_ratio if result.timing else None,
    )  # fmt: skip


def confirm(run: Run, model: Model, baseline: Trial, finalists: Sequence[Trial]) -> tuple[list[Trial], Timing]:
    """Fresh comparisons of every finalist, then the baseline against itself (A/A).

    Where the budget leaves no time for that, the finalists are given back as they are, and the comparison has no pairs.
    """
    run.budget.enter("confirmation")
    plan = planned(run, baseline, finalists)
    run.emit("confirmation-planned", **plan._asdict())
    trials = [_more_memory(run, trial, baseline) for trial in finalists[: plan.finalists]]
    first, second = range(plan.pairs), range(plan.pairs, LOOKS * plan.pairs)
    failed, done, kept = _rounds(run, baseline, trials, first, plan.quads, plan.with_self)
    if done < LEAST_PAIRS:
        return unconfirmed(run, model, finalists, plan, failed)
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
    pairs = measure(run, *_sides(baseline, baseline), "confirmation", first, plan.quads, folder=SELF) if plan.with_self else []
    return list(final.values()), timing_of(pairs, "confirmation", run.folder.candidate(baseline.name) / SELF)


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
    run: Run, model: Model, finalists: Sequence[Trial], plan: Plan, failed: Mapping[str, WorkerError]
) -> tuple[list[Trial], Timing]:
    """Too few pairs for an interval, or none: the figures of the search are all there is.

    They are rough, so only what they show to be better than the baseline stays in the field.
    """
    if plan.finalists:
        run.emit("confirmation-cut", pairs=plan.pairs)
        run.budget.savings.append(Saving(what="confirmation", count=plan.finalists))
    field = [t for t in finalists if (c := contender_of(t, 0)) is not None and score(c, run.request.weights).low > 0]
    lost = [broken(run, model, t, failed[t.name]) for t in finalists if t.name in failed]
    return [*(t for t in field if t.name not in failed), *lost], timing_of([], "confirmation", "")


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
    figure = timing.speedup if timing is not None else None
    shown = [round(x, 4) for x in (figure.low, figure.value, figure.high)] if figure is not None else None
    run.emit("confirmed", candidate=trial.name, speedup=shown)


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


NO_TIME = "the budget left no time for a confirmation"
NOT_TUNED = "the budget left no time to try every setting of the baseline"
TOO_BUSY = "the machine was too busy to time anything: --fresh measures again"


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
    missing: dict[str, str] = {}
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
    else:
        text = f"unmeasured: {unmeasured}" if unmeasured else "not measured"
        missing |= {"accuracy_retained": text, "accuracy": text}
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
    metric, shown = result.gate.metric, result.reason
    if unconfirmed and metric in TIMED and result.figure is None:
        return result.model_copy(update={"result": "UNMEASURED", "reason": NO_TIME, "hasty": True})
    if untuned and metric == "speedup" and result.result == "PASS":
        reason = f"{shown}, but {NOT_TUNED}"
        return result.model_copy(update={"result": "UNMEASURED", "reason": reason, "hasty": True})
    return result


def name_tail(result: GateResult, timing: Timing | None) -> GateResult:
    """A tail gate's reason says which percentile there were calls enough for."""
    if result.gate.metric != "tail_ratio" or result.figure is None or timing is None or timing.tail_percentile is None:
        return result
    few = "" if timing.tail_percentile == 99 else "; a p99 needs 662 calls of each side"
    return result.model_copy(update={"reason": f"p{timing.tail_percentile}/p50: {result.reason}{few}"})


def why_no_timing(trial: Trial) -> str:
    """Why a candidate has no confirmed figure, naming what it would take."""
    timing, doubt = trial.result.confirmation, trial.candidate.recipe.unrepresentative
    if doubt:
        return f"not timed: a speed here is not representative ({doubt})"
    if timing is None:
        return "not confirmed: not among the finalists"
    if timing.speedup is None:
        shares = ", ".join(f"{n} by {why}" for why, n in sorted(timing.excluded_why.items()))
        return f"too disturbed: {timing.excluded:.0%} of the quads excluded ({shares}); needs a quieter machine"
    return "too few calls for a tail percentile (p90 needs 64); needs more time"
