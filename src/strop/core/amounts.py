"""What people can use beside a ratio: milliseconds, megabytes, examples a second. One figure for each on a whole page. Pure."""

from statistics import median

from strop.core.candidate import Result
from strop.core.outcome import Outcome
from strop.core.verdict import Interval

P50, MB = "p50", 1e6
DRIFT = 1.05
"""The machine's pace differs between two comparisons where the baseline's median call does by this factor."""
DECODE = "decode tok/s"


def memory_mb(result: Result) -> Interval | None:
    """Resident memory of the whole process at its highest, runtime included; over the repeats. MB."""
    found = [m.resident / MB for m in result.memory]
    return Interval(value=median(found), low=min(found), high=max(found)) if found else None


def runtime_mb(result: Result) -> float | None:
    """What the process takes without its model, MB."""
    return median(m.resident - m.peak for m in result.memory) / MB if result.memory else None


def latency_ms(outcome: Outcome, name: str) -> dict[str, float]:
    """Percentiles of single calls by name (`p50`), milliseconds.

    The baseline was in every comparison, at the pace that the machine had then: its figures are those beside the choice, else
    those of its comparison with itself.
    """
    timing = outcome.result(name).timing
    if name != outcome.baseline:
        return timing.latency_ms if timing is not None else {}
    return next((found for found in _of_baseline(outcome) if found), {})


def _of_baseline(outcome: Outcome) -> list[dict[str, float]]:
    choice = outcome.chosen.timing if outcome.chosen is not None and outcome.chosen.name != outcome.baseline else None
    timings = [r.confirmation for r in outcome.results] + [r.search for r in outcome.results]
    beside = [choice.baseline_latency_ms] if choice is not None else []
    return [*beside, outcome.noise.latency_ms, *(t.baseline_latency_ms for t in timings if t is not None)]


def pace_then(outcome: Outcome, name: str) -> str:
    """`machine 29% slower then`, where a candidate was timed at another pace of the machine than the baseline's figures; else
    empty."""
    timing, usual = outcome.result(name).timing, latency_ms(outcome, outcome.baseline).get(P50)
    then = timing.baseline_latency_ms.get(P50) if timing is not None and name != outcome.baseline else None
    if not then or not usual or 1 / DRIFT <= then / usual <= DRIFT:
        return ""
    return f"machine {then / usual - 1:.0%} slower then" if then > usual else f"machine {1 - then / usual:.0%} faster then"


def a_second(outcome: Outcome, name: str) -> float | None:
    """Examples a second, as many requests in flight as were asked for; of a language model, tokens that it writes."""
    result = outcome.result(name)
    if outcome.task.language is not None:
        return result.pace.get(DECODE)
    return result.throughput.rate.value if result.throughput is not None and result.throughput.rate is not None else None


def paced_ms(outcome: Outcome, name: str) -> float | None:
    """Median call in milliseconds, at the pace that the machine had when the baseline's figure was taken: what a table needs
    whose rows were timed at different times. It is the median times the baseline's figure over its median in that comparison.
    """
    timing, usual = outcome.result(name).timing, latency_ms(outcome, outcome.baseline).get(P50)
    own = latency_ms(outcome, name).get(P50)
    then = timing.baseline_latency_ms.get(P50) if timing is not None and name != outcome.baseline else None
    return own * usual / then if own and usual and then else own


def paced_rate(outcome: Outcome, name: str) -> float | None:
    """The same of `a_second`: the baseline's rate times the ratio to it, where it was compared with the baseline."""
    found, usual = outcome.result(name).throughput, a_second(outcome, outcome.baseline)
    if outcome.task.language is not None or found is None or found.ratio is None or found.over != outcome.baseline:
        return a_second(outcome, name)
    return usual * found.ratio.value if usual is not None else a_second(outcome, name)


def plain(value: float) -> str:
    """Three digits that count, without an exponent: `12,400`, `0.0574`."""
    return f"{float(f'{value:.3g}'):,.10g}"


def latency_words(outcome: Outcome, name: str) -> str:
    """`0.0574 ms a call, the baseline 0.088 ms`; of a language model by the request. Empty where it was not timed."""
    mine, theirs = latency_ms(outcome, name).get(P50), latency_ms(outcome, outcome.baseline).get(P50)
    call = "request" if outcome.task.language is not None else "call"
    return _beside(f"ms a {call}", mine, theirs if name != outcome.baseline and not pace_then(outcome, name) else None)


def rate_words(outcome: Outcome, name: str) -> str:
    """`15,200 examples a second, the baseline 11,400`; with how many requests in flight, where that is not one."""
    flight, language = outcome.task.workload.concurrency, outcome.task.language is not None
    unit = "tokens a second written" if language else f"{_examples(outcome)} a second"
    unit += f" with {flight} requests in flight" if flight > 1 and not language else ""
    theirs = a_second(outcome, outcome.baseline) if name != outcome.baseline else None
    return _beside(unit, a_second(outcome, name), theirs)


def memory_words(outcome: Outcome, name: str) -> str:
    """`107 MB for the whole process, the baseline 75 MB`; empty where it was not measured."""
    mine, theirs = memory_mb(outcome.result(name)), memory_mb(outcome.result(outcome.baseline))
    beside = theirs.value if theirs is not None and name != outcome.baseline else None
    return _beside("MB for the whole process", mine.value if mine is not None else None, beside)


def _examples(outcome: Outcome) -> str:
    found = outcome.result(outcome.baseline).throughput
    return found.unit if found is not None else "examples"


def _beside(unit: str, mine: float | None, theirs: float | None) -> str:
    if mine is None:
        return ""
    return f"{plain(mine)} {unit}" + (f", the baseline {plain(theirs)}" if theirs is not None else "")
