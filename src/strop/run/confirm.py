"""The confirmation: fresh samples of a size that was fixed beforehand; only these enter a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from strop.core.candidate import Timing
from strop.core.choose import Contender, score
from strop.core.errors import WorkerError
from strop.core.gate import NOT_MEASURED, Missing, judge
from strop.core.model import Model
from strop.core.statistics import LOOKS
from strop.core.verdict import EXACTLY_ONE, Gate, GateResult, Interval, Verdict
from strop.run.building import failure_of, write_reproduce
from strop.run.checking import footprint
from strop.run.context import Run
from strop.run.pairing import LANGUAGE_START_S, Subject, least_runs, plan_quads, quad_seconds
from strop.run.screen import refuse_baseline_failure
from strop.run.timing import LANGUAGE_QUADS, measure, timing_of
from strop.run.trial import Trial, memory_ratio, must_left_open, pace_figures, pace_of, quality_figures

MOST_FINALISTS = 3
PAIRS = 5
LEAST_PAIRS = 3
QUADS = (12, 40)
"""Quads a pair: at least, and at most."""
PAIR_S = 1.5
"""Seconds that a pair's quads may take, unless calls are so long that a p99 needs more of them."""
START_S = 1.0
"""Seconds to start and warm two processes, for planning; a model's own loading time is added."""
REPEATS = 3
"""Processes that memory is measured in."""
SELF = "self"
TIMED = ("speedup", "tail_ratio", "latency_ms")
UNEVEN = 0.01
"""Refusals that differ between the sides by less than this chance are told."""


class Plan(NamedTuple):
    """Sizes of the confirmation, fixed before its first sample."""

    finalists: int
    pairs: int
    quads: int
    second_look: bool


def plan_confirmation(
    left_s: float, finalists: int, quads: int, pair_s: float, quad_s: float, most_pairs: int = PAIRS
) -> Plan:  # fmt: skip
    """The largest plan that fits the time left: fewer quads first, then fewer pairs, then fewer finalists.

    Each finalist takes one comparison, and so does the A/A run. A second look doubles a finalist's share.

    Args:
        pair_s: seconds to start and warm one pair. quad_s: seconds of one quad.
    """
    for count in range(finalists, 0, -1):
        for pairs in range(most_pairs, LEAST_PAIRS - 1, -1):
            for size in sorted({quads, 24, QUADS[0], 8, 6, 4}, reverse=True):
                comparison = pairs * (pair_s + size * quad_s)
                if size <= quads and (count + 1) * comparison <= left_s:
                    return Plan(count, pairs, size, (count + 2) * comparison <= left_s)
    return Plan(min(finalists, 1), LEAST_PAIRS, 4, False)


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


def typical(trial: Trial) -> float:
    """A rough latency, ns, from what is known already."""
    return float(np.median(trial.footprints[0].latencies_ns)) if trial.footprints and trial.footprints[0].latencies_ns else 1e6


def confirm(run: Run, model: Model, baseline: Trial, finalists: Sequence[Trial]) -> tuple[list[Trial], Timing]:
    """Fresh comparisons of every finalist, then the baseline against itself (A/A)."""
    latency = (typical(baseline), max([typical(t) for t in finalists], default=typical(baseline)))
    fastest = min([typical(t) for t in finalists], default=typical(baseline))
    quads = plan_quads((typical(baseline), fastest), PAIRS, PAIR_S, *QUADS)
    language = baseline.subject is not None and baseline.subject.language is not None
    if language:
        quads = min(quads, LANGUAGE_QUADS["confirmation"])
    loading = sum(f.memory.load_s for t in (baseline, *finalists[:1]) for f in t.footprints[:1] if f.memory is not None)
    quad_s = quad_seconds(latency, least_runs(baseline.subject))
    most = LEAST_PAIRS if language else PAIRS
    start_s = (LANGUAGE_START_S if language else START_S) + loading
    plan = plan_confirmation(run.budget.left(), len(finalists), quads, start_s, quad_s, most)
    plan = plan._replace(second_look=plan.second_look and not language)  # a request is long: it would take minutes
    run.emit("confirmation-planned", **plan._asdict())
    trials = [_more_memory(run, trial, baseline) for trial in finalists[: plan.finalists]]
    first, second = range(plan.pairs), range(plan.pairs, LOOKS * plan.pairs)
    failed = _rounds(run, baseline, trials, first, plan.quads, with_self=True)
    looked = [_look(run, baseline, trial, first, plan.quads) for trial in trials if trial.name not in failed]
    undecided = [t for t in looked if plan.second_look and _open_gate(run.gates, t.result.confirmation)]
    failed |= _rounds(run, baseline, undecided, second, plan.quads)
    both = range(LOOKS * plan.pairs)
    again = {t.name: _look(run, baseline, t, both, plan.quads) for t in undecided if t.name not in failed}
    final = {t.name: t for t in [*trials, *looked]} | again
    for name, error in failed.items():
        final[name] = final[name].failed(failure_of("timing", error), write_reproduce(run, final[name].candidate.recipe, model))
    for trial in final.values():
        _tell(run, trial)
    pairs = measure(run, *_sides(baseline, baseline), "confirmation", first, plan.quads, folder=SELF)
    return list(final.values()), timing_of(pairs, "confirmation", run.folder.candidate(baseline.name) / SELF)


def _sides(baseline: Trial, trial: Trial) -> tuple[Subject, Subject]:
    assert baseline.subject is not None and trial.subject is not None
    return baseline.subject, trial.subject


def _rounds(
    run: Run, baseline: Trial, trials: Sequence[Trial], indices: range, quads: int, with_self: bool = False
) -> dict[str, WorkerError]:
    """Pair after pair, every finalist (and the baseline against itself, A/A) in turn; returns those that failed.

    In turn, so that a slow drift of the machine meets them all alike, and shows in the spread of each one's pairs.
    """
    failed: dict[str, WorkerError] = {}
    for index in indices:
        for trial in trials:
            if trial.name in failed:
                continue
            run.tell("confirming", candidate=trial.name)
            try:
                with run.spending("confirm"):
                    measure(run, *_sides(baseline, trial), "confirmation", range(index, index + 1), quads)
            except WorkerError as error:
                refuse_baseline_failure(error, baseline)
                failed[trial.name] = error
        if with_self:
            run.tell("confirming", candidate="the baseline against itself")
            with run.spending("noise"):
                measure(run, *_sides(baseline, baseline), "confirmation", range(index, index + 1), quads, folder=SELF)
    return failed


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
    """Memory of a finalist in further processes."""
    assert trial.subject is not None
    with run.spending("memory"):
        more = [f for i in range(1, REPEATS) if (f := footprint(run, trial.subject, i)).failure is None]
    trial = replace(trial, footprints=(trial.footprints[0], *more))
    memory = tuple(f.memory for f in trial.footprints if f.memory is not None)
    pace = pace_of(trial.footprints, trial.subject)
    return trial.with_result(memory=memory, memory_ratio=memory_ratio(trial, baseline), pace=pace)


def more_baseline_memory(run: Run, baseline: Trial) -> Trial:
    """The baseline's repeats: what they differ by is the resolution."""
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


TOO_BUSY = Missing("the machine was too busy to time it reliably: --fresh measures again", "too busy")


def verdict_of(
    trial: Trial,
    baseline: Trial,
    gates: Sequence[Gate],
    unmeasured: str | None,
    timed: bool = True,
    elsewhere: Mapping[str, str] | None = None,
) -> Verdict:
    """All gates on one candidate. Timing enters by the confirmation only; the baseline is 1 against itself by definition.

    Args:
        unmeasured: why accuracy could not be measured at all, or None.
        timed: False where not even the baseline could be timed against itself: then nobody knows what is faster, and no
            speed passes or fails.
        elsewhere: metric → why only the target could tell.
    """
    result = trial.result
    figures: dict[str, Interval] = {}
    missing: dict[str, Missing] = {}
    if trial.name == baseline.name:
        figures |= {"tail_ratio": EXACTLY_ONE, **({"speedup": EXACTLY_ONE} if timed else {})}
    else:
        figures |= figures_of_timing(result.confirmation)
    missing |= dict.fromkeys(TIMED, why_no_timing(trial) if timed else TOO_BUSY)
    figures |= quality_figures(trial)
    if not result.candidate.recipe.unrepresentative:
        figures |= pace_figures(trial)
    if result.retained is not None:
        if result.accuracy is not None:
            scale = result.accuracy / result.retained.value if result.retained.value else 0.0
            ends = (result.retained.low * scale, result.retained.high * scale)
            figures["accuracy"] = Interval(value=result.accuracy, low=min(ends), high=max(ends))
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
    return Verdict(results=tuple(name_tail(r, result.confirmation) for r in verdict.results))


def name_tail(result: GateResult, timing: Timing | None) -> GateResult:
    """A tail gate's reason says which percentile there were calls enough for."""
    if result.gate.metric != "tail_ratio" or result.figure is None or timing is None or timing.tail_percentile is None:
        return result
    few = "" if timing.tail_percentile == 99 else "; a p99 needs 662 calls of each side"
    return result.model_copy(update={"reason": f"p{timing.tail_percentile}/p50: {result.reason}{few}"})


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
