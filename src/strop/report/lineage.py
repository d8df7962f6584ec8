"""What each step of a recipe bought and cost: a candidate beside the one it adds a step, or a setting, to. Pure."""

from collections.abc import Mapping, Sequence

from strop.core.candidate import Result
from strop.core.noun import Noun
from strop.core.outcome import Outcome
from strop.core.statistics import combine
from strop.core.verdict import Interval


class Gain(Noun):
    """`name` beside `parent`: ratios of name over parent; `added` says in words what was added.

    `accuracy` and `bytes` are (before, after); None where one of them was not measured. `build_s` is the candidate's own.
    """

    name: str
    parent: str
    added: str
    speedup: Interval | None
    memory_ratio: Interval | None
    accuracy: tuple[float, float] | None
    bytes: tuple[int, int] | None
    build_s: float


def gains(outcome: Outcome) -> list[Gain]:
    """One for every candidate that was built, in the order in which they were tried; the baseline beside the runtime's defaults.

    Example:
        >>> [(gain.parent, gain.added, gain.name) for gain in gains(outcome)]
        [('fp32', 'quantize', 'int8-static')]
    """
    built = [r for r in outcome.results if r.candidate.artifact is not None and r.name != outcome.as_is]
    pairs = [(r, parent_of(r, built, outcome)) for r in built]
    return [_gain(result, parent) for result, parent in pairs if parent is not None]


def over_each_framework(outcome: Outcome) -> dict[str, tuple[str, Interval]]:
    """Runtime → its fastest candidate that was timed and misses no must, and the choice's speed over it.

    The choice's own runtime is among them only where another of its candidates was faster.
    """
    chosen, found = outcome.chosen, {}
    if chosen is None or chosen.speedup is None:
        return {}
    rivals = [r for r in outcome.results if r.failure is None and r.speedup is not None and r.name != outcome.as_is]
    for result in sorted(rivals, key=lambda r: r.speedup.value if r.speedup is not None else 0.0):
        failed = result.verdict is not None and any(g.gate.kind == "must" and g.result == "FAIL" for g in result.verdict.results)
        if result.speedup is not None and not failed:
            found[result.candidate.recipe.runtime] = result
    return {
        runtime: (best.name, combine(chosen.speedup, best.speedup))
        for runtime, best in found.items()
        if best.name != chosen.name and best.speedup is not None
    }


def way_to(outcome: Outcome, name: str) -> list[Gain]:
    """The gains that lead from the model as it runs today to a candidate, in order."""
    by_name = {gain.name: gain for gain in gains(outcome)}
    way: list[Gain] = []
    while name in by_name:
        way.insert(0, by_name[name])
        name = by_name.pop(name).parent
    return way


def parent_of(result: Result, built: Sequence[Result], outcome: Outcome) -> Result | None:
    """What a candidate is set beside, the first of these that there is:

    - the same files under other settings, or in another runtime;
    - the candidate with the longest chain of steps that this one goes on from;
    - an earlier candidate of the same steps with other parameters;
    - the baseline; for a baseline whose files are not the given ones, these under the settings of the reference; for what has the
      given files the model as its runtime runs it by default, if that is another.
    """
    given = outcome.quality_reference
    if result.name == outcome.baseline and given not in (outcome.baseline, outcome.as_is):
        return outcome.result(given)
    if result.name in (outcome.baseline, given):
        return outcome.result(outcome.as_is) if outcome.as_is is not None and outcome.as_is != result.name else None
    steps, before = result.candidate.recipe.steps, built[: built.index(result)]
    wanted = [other for other in before if steps and other.candidate.recipe.steps == steps]
    for length in range(len(steps) - 1, 0, -1):
        wanted += [other for other in built if other.candidate.recipe.steps == steps[:length]]
    wanted += [other for other in before if steps and _kinds(other) == _kinds(result)]
    return wanted[0] if wanted else outcome.result(outcome.baseline)


def _kinds(result: Result) -> list[tuple[str, str]]:
    return [(step.builder, step.name) for step in result.candidate.recipe.steps]


def _gain(result: Result, parent: Result) -> Gain:
    sizes = [r.candidate.artifact.bytes for r in (parent, result) if r.candidate.artifact is not None]
    return Gain(
        name=result.name, parent=parent.name, added=added(result, parent),
        speedup=_over(result.speedup, parent.speedup), memory_ratio=_over(result.memory_ratio, parent.memory_ratio),
        accuracy=(parent.accuracy, result.accuracy) if parent.accuracy is not None and result.accuracy is not None else None,
        bytes=(sizes[0], sizes[1]) if len(sizes) == 2 else None, build_s=result.candidate.build_s,
    )  # fmt: skip


def _over(mine: Interval | None, theirs: Interval | None) -> Interval | None:
    if mine is None or theirs is None or theirs.value <= 0 or mine.value <= 0:
        return None
    if theirs.low == theirs.high == 1:
        return mine
    return combine(mine, theirs) if mine.low > 0 and theirs.low > 0 else None


def added(result: Result, parent: Result) -> str:
    """The steps that `result` has beyond `parent`, or the parameters, the runtime and the settings that differ."""
    mine, theirs = result.candidate.recipe, parent.candidate.recipe
    if mine.steps[: len(theirs.steps)] == theirs.steps:
        parts = [f"{step.name} ({step.builder})" for step in mine.steps[len(theirs.steps) :]]
    elif _kinds(result) == _kinds(parent):
        pairs = zip(theirs.steps, mine.steps, strict=True)
        parts = [f"{new.name}: {change}" for old, new in pairs for change in changes(old.params, new.params)]
    else:
        parts = [f"{step.name} ({step.builder})" for step in mine.steps]
    if mine.runtime != theirs.runtime:
        parts.append(f"run in {mine.runtime}")
    elif mine.steps == theirs.steps:
        parts += changes(theirs.settings, mine.settings)
    return "; ".join(parts) or "nothing"


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """`threads: 2 → 1` for every key whose value differs."""
    keys = sorted({*before, *after})
    return [f"{key}: {_said(before.get(key))} → {_said(after.get(key))}" for key in keys if before.get(key) != after.get(key)]


def _said(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return "default" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
