"""The verdict on one candidate: its figures against all gates, or why a figure is missing. Time enters by the confirmation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from strop.core.amounts import memory_mb, plain, runtime_mb
from strop.core.candidate import Result, Throughput, Timing
from strop.core.gate import NOT_MEASURED, Missing, judge
from strop.core.gate_metrics import METRICS, named
from strop.core.statistics import MIN_PAIRS
from strop.core.task import Task
from strop.core.verdict import EXACTLY_ONE, Gate, GateResult, Interval, Verdict
from strop.run.trial import Trial, pace_figures, quality_figures

TIMED, THROUGHPUT, MEMORY = named("clock"), named("load"), named("memory")
BESIDE = {"divergence": "difference", "difference": "divergence"}
"""How far answers are from the given model's: a task has the one or the other."""
TWO = 2


class Hasty(NamedTuple):
    """What the budget left no time for: the confirmation, some settings of the baseline."""

    unconfirmed: bool = False
    untuned: bool = False


UNHURRIED = Hasty()


def figures_of_timing(timing: Timing | None) -> dict[str, Interval]:
    """Gate metrics that come from the clock: none by CPU time, which ranks and decides no gate."""
    if timing is None or timing.speedup is None or timing.clock != "wall time":
        return {}
    figures = {"speedup": timing.speedup}
    if timing.tail_ratio is not None:
        figures["tail_ratio"] = timing.tail_ratio
    if timing.latency is not None:
        figures["latency_ms"] = timing.latency
    return figures


def figures_of_throughput(throughput: Throughput | None) -> dict[str, Interval]:
    """Gate metrics of throughput."""
    if throughput is None:
        return {}
    figures = {"throughput": throughput.rate, "throughput_ratio": throughput.ratio}
    return {name: figure for name, figure in figures.items() if figure is not None}


NO_TIME = Missing("the budget left no time for a confirmation", "no time")
NO_REPEATS = Missing("measured in one process: the budget left no time for repeats", "no time")
NOT_TUNED = "the budget left no time to try every setting of the baseline"
UNJUDGED = Missing("not measured: it is the given file under another setting, and no candidate for the choice")
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
        timed: False where the machine was so busy that not even the baseline could be timed against itself: no speed passes
            or fails then.
        elsewhere: metric → why only the target could tell.
        hasty: what the budget left no time for; what rests on it is unmeasured.
    """
    result, own = trial.result, trial.name == baseline.name
    figures: dict[str, Interval] = {}
    missing: dict[str, Missing] = dict.fromkeys(TIMED, why_no_timing(trial, hasty) if timed else TOO_BUSY)
    if timed:
        figures |= {"tail_ratio": EXACTLY_ONE, "speedup": EXACTLY_ONE} if own else figures_of_timing(result.confirmation)
    elif own:
        figures["tail_ratio"] = EXACTLY_ONE
    missing |= dict.fromkeys(THROUGHPUT, why_no_throughput(trial, own, hasty) if timed else TOO_BUSY)
    if timed:
        figures |= {"throughput_ratio": EXACTLY_ONE} if own and baseline.server is None else {}
        figures |= figures_of_throughput(result.throughput) if is_fresh(result.throughput) else {}
    figures |= quality_figures(trial)
    missing |= {name: Missing(f"not measured for this task: {other} is") for name, other in BESIDE.items() if other in figures}
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
        unknown = UNJUDGED if trial.unjudged else NOT_MEASURED
        why = Missing(f"unmeasured: {unmeasured}", "no data") if unmeasured else unknown
        missing |= dict.fromkeys(("accuracy_retained", "accuracy", *BESIDE), why)
    if result.memory_ratio is not None and not own and min(len(result.memory), len(baseline.result.memory)) < TWO:
        confirmed = result.confirmation is not None or hasty.unconfirmed
        missing |= dict.fromkeys(MEMORY, NO_REPEATS if confirmed else Missing("measured in one process: not among the finalists"))
    elif result.memory_ratio is not None:
        figures["memory_ratio"] = result.memory_ratio
        figures |= {"memory_mb": found} if (found := memory_mb(result)) is not None else {}
    if result.candidate.artifact is not None:
        size = result.candidate.artifact.bytes / 1e6
        figures["size_mb"] = Interval(value=size, low=size, high=size)
    verdict = judge(gates, figures, str(result.failure) if result.failure else None, missing, elsewhere)
    results = [out_of_reach(name_tail(r, result.confirmation), baseline.result) for r in verdict.results]
    return Verdict(results=tuple(over_untuned(r) if hasty.untuned and not own else r for r in results))


def over_untuned(result: GateResult) -> GateResult:
    """No speed-up passes over a baseline whose settings were not all tried, since a better one may be among the rest; nor does
    throughput."""
    if result.gate.metric not in ("speedup", "throughput_ratio") or result.result != "PASS":
        return result
    return result.model_copy(update={"result": "UNMEASURED", "reason": f"{result.reason}, but {NOT_TUNED}", "cause": "no time"})


def out_of_reach(result: GateResult, baseline: Result) -> GateResult:
    """Not applicable, where it is the default goal on memory and the runtime alone takes more than that share of the baseline's
    process: no model, however small, would bring what a user can see down to it."""
    gate, whole, runtime = result.gate, memory_mb(baseline), runtime_mb(baseline)
    if gate != METRICS["memory_ratio"].gate or whole is None or runtime is None or runtime <= gate.bound * whole.value:
        return result
    reason = f"the runtime alone takes {plain(runtime)} of the baseline's {plain(whole.value)} MB"
    return result.model_copy(update={"result": "NOT APPLICABLE", "reason": reason})


def is_fresh(throughput: Throughput | None) -> bool:
    """Whether it is of fresh samples: with one request in flight, those of the confirmation."""
    return throughput is not None and throughput.stage == "confirmation"


def why_no_throughput(trial: Trial, own: bool, hasty: Hasty = UNHURRIED) -> Missing:
    """Why there is no confirmed throughput; `own`: of the baseline."""
    found = trial.result.throughput
    if trial.candidate.recipe.unrepresentative or (trial.result.confirmation is None and not own):
        return why_no_timing(trial, hasty)
    if found is None or found.stage != "confirmation" or found.pairs < MIN_PAIRS:
        return Missing("the budget left no time to measure it with all requests in flight", "no time")
    text = f"the machine was too busy: {found.excluded:.0%} of the quads were disturbed; needs a quieter machine"
    return Missing(text, "too busy")


def name_tail(result: GateResult, timing: Timing | None) -> GateResult:
    """A tail gate's reason says which percentile there were calls enough for."""
    if result.gate.metric != "tail_ratio" or result.figure is None or timing is None or timing.tail_percentile is None:
        return result
    few = "" if timing.tail_percentile == 99 else "; a p99 needs 662 calls of each side"
    return result.model_copy(update={"reason": f"by p{timing.tail_percentile}: {result.reason}{few}"})


def why_no_accuracy(task: Task) -> str | None:
    """Why accuracy could not be measured at all, or None."""
    return "no data were given" if task.metric == "unmeasured" else None


def why_no_timing(trial: Trial, hasty: Hasty = UNHURRIED) -> Missing:
    """Why a candidate has no confirmed figure, naming what it would take."""
    timing, doubt = trial.result.confirmation, trial.candidate.recipe.unrepresentative
    if doubt:
        return Missing(f"not timed: a speed here is not representative ({doubt})")
    if timing is None:
        return NO_TIME if hasty.unconfirmed else Missing("not confirmed: not among the finalists")
    if timing.speedup is None or timing.clock != "wall time":
        shares = ", ".join(f"{n} by {why}" for why, n in sorted(timing.excluded_why.items()))
        text = f"the machine was too busy: {timing.excluded:.0%} of the quads were disturbed ({shares}); needs a quieter machine"
        return Missing(text, "too busy")
    return Missing("too few calls for a tail percentile (p90 needs 64); needs more time")
