"""When one candidate ends another's race in the search. Pure; `run/race.py` reads the answers that it compares."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from strop.core.gate import judge_one
from strop.core.gate_metrics import named
from strop.core.throughput import counts
from strop.core.verdict import Gate, Interval

SAME = ("accuracy_retained", "accuracy", "perplexity_ratio", "perplexity"), ("task_retained", "task_accuracy")
"""Metrics of the same answers: one paired comparison of two candidates tells about each of a group."""
MEMORY = named("memory")

Advantage = Callable[[], Mapping[str, Interval]]
"""metric → how much better the rival's answers are than the candidate's, paired by example; 0 is no difference."""


class Racer(NamedTuple):
    """What the search knows of a candidate.

    memory, energy: over the baseline's, None where unmeasured.
    figures: gate metric → figure, those known before anything is timed.
    """

    name: str
    memory: Interval | None
    figures: Mapping[str, Interval]
    energy: Interval | None = None


def ends_race(
    rival: Racer, racer: Racer, faster: Interval | None, gates: Sequence[Gate], weights: Mapping[str, float], advantage: Advantage
) -> bool:  # fmt: skip
    """Whether `rival` leaves nothing for `racer` to win.

    - The rival is significantly faster, compared within the rounds of a race.
    - For each gate that has a figure at this stage, the rival passes; or `racer` does not pass either, and the rival is not
      significantly worse, compared with it example by example. Two ratios over the baseline are no such comparison: their
      intervals overlap where the paired one decides. Gates without a figure yet are ignored; if the rival fails one of
      them later, `core/finalists.py` calls up whom it had beaten.
    - `racer` is not significantly lighter where memory has weight or a gate that the rival does not pass, and not
      significantly more accurate where accuracy has weight.

    Args:
        faster: the rival's speed over the racer's; None where they were not compared.
        advantage: called only where the cheaper questions leave it open.
    """
    if faster is None or faster.low <= 1.0:
        return False
    if _lighter(racer, rival) and (weights.get("memory", 0) > 0 or any(_open(g, rival) for g in gates if g.metric in MEMORY)):
        return False
    if counts(gates, weights):
        return False  # throughput is measured after the race, and what serves several requests best may be slower alone
    if weights.get("energy", 0) > 0 and rival.energy is not None:
        return False  # few sets tell energy only roughly
    doubtful = [g for g in gates if g.metric in rival.figures and not _passes(g, rival)]
    if any(_passes(gate, racer) for gate in doubtful):
        return False
    weighs = weights.get("accuracy", 0) > 0 and _more_accurate(racer, rival)
    if not doubtful and not weighs:
        return True
    compared = advantage()
    metrics = [g.metric for g in doubtful] + (["accuracy_retained"] if weighs else [])
    return not any(_worse(metric, rival, racer, gates, compared) for metric in metrics)


def _passes(gate: Gate, racer: Racer) -> bool:
    figure = racer.figures.get(gate.metric)
    return figure is not None and judge_one(gate, figure).result == "PASS"


def _open(gate: Gate, racer: Racer) -> bool:
    """A gate on memory that it is not known to pass; megabytes are judged after the repeats of the confirmation only."""
    return racer.memory is None or gate.metric != "memory_ratio" or judge_one(gate, racer.memory).result != "PASS"


def _lighter(one: Racer, other: Racer) -> bool:
    return one.memory is not None and other.memory is not None and one.memory.high < other.memory.low


def _more_accurate(one: Racer, other: Racer) -> bool:
    """By value, which costs nothing to know; without it no comparison can be significant."""
    mine, theirs = one.figures.get("accuracy_retained"), other.figures.get("accuracy_retained")
    return mine is not None and theirs is not None and mine.value > theirs.value


def _worse(metric: str, rival: Racer, racer: Racer, gates: Sequence[Gate], compared: Mapping[str, Interval]) -> bool:
    """By the paired comparison; a metric without one (the size of the files) by the figures themselves."""
    group = next((same for same in SAME if metric in same), (metric,))
    found = next((compared[name] for name in group if name in compared), None)
    if found is not None:
        return found.high < 0
    mine, theirs = rival.figures.get(metric), racer.figures.get(metric)
    if mine is None or theirs is None:
        return False
    at_least = next((g.direction == "at_least" for g in gates if g.metric == metric), True)
    return mine.high < theirs.low if at_least else mine.low > theirs.high
