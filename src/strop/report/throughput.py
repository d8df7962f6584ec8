"""Throughput in words: examples a second, with how many requests in flight, beside the unquantized model's."""

from strop.core.amounts import plain
from strop.core.candidate import Result, Throughput, Timing
from strop.core.outcome import Outcome
from strop.core.throughput import counts
from strop.core.verdict import Interval
from strop.report.blocks import Cell, Words, code
from strop.report.parts import DASH, interval_text


def unit_of(outcome: Outcome) -> str:
    """`examples/s`, or of a language model what a whole request gives, its prompt included."""
    return "tok/s over whole requests" if outcome.task.language is not None else "examples/s"


def head(outcome: Outcome) -> str:
    """Of a column: `examples/s, 4 in flight`."""
    in_flight = outcome.task.workload.concurrency
    load = "" if in_flight == 1 else f", {in_flight} in flight"
    return f"{unit_of(outcome)}{load}{noisy(outcome)}"


def noisy(outcome: Outcome) -> str:
    """A mark where the baseline could not be timed against itself, so that no figure of time decides a gate."""
    return " (noisy)" if outcome.noise.speedup is None and outcome.noise.rough is not None else ""


def rate(result: Result, digits_only: bool = False) -> str:
    """`1,240 (1.86× [1.80, 1.92])`: the rate, and its ratio to the unquantized model's under its best settings for that."""
    found = result.throughput
    if found is None or found.rate is None:
        return DASH
    if digits_only:
        return plain(found.rate.value)
    return plain(found.rate.value) + (f" ({over(found.ratio)})" if found.ratio is not None else "")


def over(figure: Interval) -> str:
    """`1.86× [1.80, 1.92]`."""
    return f"{figure.value:.3g}×" + (f" [{figure.low:.3g}, {figure.high:.3g}]" if figure.low != figure.high else "")


def rate_cell(result: Result) -> Cell:
    """The rate, its interval below, and its ratio."""
    found = result.throughput
    if found is None or found.rate is None:
        return Cell(DASH)
    beside = f"{over(found.ratio)} of {found.over}" if found.ratio is not None and found.over != result.name else ""
    spread = interval_text(found.rate)
    return Cell(plain(found.rate.value), "; ".join(part for part in (spread, beside) if part), found.rate.value)


def wanted(outcome: Outcome) -> bool:
    """Whether somebody asked for it: requests in flight, a gate or a weight."""
    return outcome.task.workload.concurrency > 1 or counts(outcome.gates, outcome.weights)


def words(outcome: Outcome, chosen: Result) -> str:
    """What the choice serves, for the verdict; empty where nobody asked."""
    found = chosen.throughput
    if not wanted(outcome) or outcome.place != "here":
        return ""
    in_flight = outcome.task.workload.concurrency
    load = f" with {in_flight} requests in flight" if in_flight > 1 else ""
    if found is None or found.rate is None:
        return f"throughput{load} unmeasured"
    shown = f"{plain(found.rate.value)} {found.unit} a second{load}{noisy(outcome)}"
    if found.ratio is None or found.over == chosen.name:
        return shown
    return f"{shown}, {over(found.ratio)} that of {found.over}, {file_words(outcome, found.over)} set up for that load"


def file_words(outcome: Outcome, name: str) -> str:
    """Which file the denominator of throughput is, in words."""
    recipe = next((r.candidate.recipe for r in outcome.results if r.name == name), None)
    return "the cleaned-up model" if recipe is not None and recipe.cleaned else "the given model"


def denominator(outcome: Outcome) -> Words:
    """A sentence on what ratios of throughput are over, where that is not the tuned baseline; else empty."""
    found = outcome.result(outcome.baseline).throughput
    if found is None or found.over == outcome.baseline or outcome.task.workload.concurrency == 1:
        return ""
    what = file_words(outcome, found.over)
    return ("The denominator of throughput is ", code(found.over), f": {what}, unquantized, set up for the load.")


def at_batch(timing: Timing) -> str:
    """`, 412 examples a second`, of a further batch size."""
    found = timing.throughput
    return "" if found is None or found.rate is None else f", {plain(found.rate.value)} {found.unit} a second"


def latencies(outcome: Outcome) -> list[tuple[str, Throughput]]:
    """Candidates whose requests were timed while others were in flight."""
    found = [(r.name, r.throughput) for r in outcome.results if r.throughput is not None and r.throughput.latency_ms]
    return sorted(found, key=lambda pair: -(pair[1].rate.value if pair[1].rate is not None else 0.0))
