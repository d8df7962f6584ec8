"""Gates: three-way judgements of a candidate's figures. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from strop.core.errors import ConfigError
from strop.core.gate_metrics import METRICS, REGISTRY, VALID, Range
from strop.core.spelling import known_names
from strop.core.verdict import Cause, Direction, Gate, GateResult, Interval, Kind, Result, Verdict

DEFAULT_GATES: tuple[Gate, ...] = (VALID, *(m.gate for m in REGISTRY if m.gate is not None and not m.language))
LANGUAGE_GATES: tuple[Gate, ...] = tuple(m.gate for m in REGISTRY if m.gate is not None and m.language)
"""Added for language models, where the perplexity alone hides how often the answer changes."""


def parse_gate(text: str, kind: Kind) -> Gate:
    """`speedup>=1.5` → a gate.

    Raises:
        ConfigError: not of the form METRIC>=NUMBER or METRIC<=NUMBER, an unknown metric, or a bound that nothing can meet.
    """
    match = re.fullmatch(r"\s*([a-z_]+)\s*(>=|<=|≥|≤)\s*([-+0-9.eE]+)\s*", text)
    if match is None:
        raise ConfigError(f"gate {text!r} cannot be read", "write it as METRIC>=NUMBER or METRIC<=NUMBER")
    name, sign, number = match.groups()
    if name not in METRICS:
        raise ConfigError(f"gate {text!r}: unknown metric {name!r}", known_names(name, METRICS))
    try:
        bound = float(number)
    except ValueError:
        raise ConfigError(f"gate {text!r}: {number!r} is not a number", "write it as METRIC>=NUMBER") from None
    if abs(bound) == float("inf"):
        raise ConfigError(f"gate {text!r}: {number!r} is not a finite number", "write it as METRIC>=NUMBER")
    direction: Direction = "at_least" if sign in (">=", "≥") else "at_most"
    possible = METRICS[name].range
    if possible is not None and not possible.admits(direction, bound):
        raise _impossible(text, name, bound, possible)
    return Gate(metric=name, direction=direction, bound=bound, kind=kind)


PERCENT = 10.0
"""A share above 1 that is at least this is taken for a percentage in the hint."""


def _impossible(text: str, name: str, bound: float, possible: Range) -> ConfigError:
    """For a gate that nothing can pass."""
    if bound > possible.high:
        hint = f"{bound:g} % is {name}>={bound / 100:g}" if PERCENT <= bound <= 100 else f"give at most {possible.high:g}"
        return ConfigError(f"gate {text!r} asks for more than a share can be", hint)
    low = f"always above {possible.low:g}" if possible.above else f"never below {possible.low:g}"
    return ConfigError(f"gate {text!r}: nothing can pass it, since {name} is {low}", f"write {name}<=NUMBER with a larger number")


def assemble(custom: Sequence[Gate], strict: bool = False) -> tuple[Gate, ...]:
    """The user's gates replace the default ones of the same metric; `strict` makes every goal a must.

    Raises:
        ConfigError: gates that contradict each other, so that nothing could pass or a goal could not be missed.
    """
    named = {gate.metric for gate in custom}
    gates = [gate for gate in DEFAULT_GATES if gate.metric not in named] + list(custom)
    _refuse_contradictions(gates)
    return tuple(g.model_copy(update={"kind": "must"}) if strict else g for g in gates)


def for_language(gates: Sequence[Gate], questions: bool = False) -> tuple[Gate, ...]:
    """With the gates that language models have besides, where the user set none of that metric.

    What holds for the accuracy retained, of the perplexity, holds for the questions too, if there are any. A gate on the
    perplexity ratio takes the place of the default one on its inverse.
    """
    named = {gate.metric for gate in gates}
    kept = [g for g in gates if not ("perplexity_ratio" in named and g in DEFAULT_GATES and g.metric == "accuracy_retained")]
    more = [g for g in LANGUAGE_GATES if g.metric not in named]
    if questions and "task_retained" not in named:
        more += [g.model_copy(update={"metric": "task_retained"}) for g in gates if g.metric == "accuracy_retained"]
    return (*kept, *more)


def _refuse_contradictions(gates: Sequence[Gate]) -> None:
    for one in gates:
        for other in gates:
            if one is other or one.metric != other.metric:
                continue
            if one.direction == "at_least" and other.direction == "at_most" and one.bound > other.bound:
                raise ConfigError(f"gates contradict: {one} and {other}", "no figure can meet both; drop one")
            same = one.direction == other.direction and one.kind == "must" and other.kind == "goal"
            weaker = other.bound <= one.bound if one.direction == "at_least" else other.bound >= one.bound
            if same and weaker:
                raise ConfigError(f"gates contradict: must {one}, goal {other}", "a goal lies beyond its must; drop one")
            if one.direction != other.direction or one.kind != other.kind:
                continue
            raise ConfigError(f"gates contradict: {one} and {other} are both a {one.kind}", "give one bound a metric")
        if one.metric in METRICS and one.direction != (METRICS[one.metric].better or one.direction):
            sign = ">=" if one.direction == "at_most" else "<="
            raise ConfigError(f"gate {one} asks for what is worse", f"write {one.metric}{sign}NUMBER")


class Missing(NamedTuple):
    """Why there is no figure. `cause` where none could be taken at all, so that the gate is UNMEASURED, not INCONCLUSIVE."""

    why: str
    cause: Cause | None = None


NOT_MEASURED = Missing("not measured")


def judge_one(gate: Gate, figure: Interval | None, missing: Missing = NOT_MEASURED) -> GateResult:
    """Wholly beyond the bound PASS, wholly short of it FAIL, else INCONCLUSIVE; a missing figure never passes."""
    if figure is None:
        result: Result = "INCONCLUSIVE" if missing.cause is None else "UNMEASURED"
        return GateResult(gate=gate, result=result, reason=missing.why, cause=missing.cause)
    at_least = gate.direction == "at_least"
    worst, best = (figure.low, figure.high) if at_least else (figure.high, figure.low)
    shown = f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
    if (worst >= gate.bound) if at_least else (worst <= gate.bound):
        return GateResult(gate=gate, result="PASS", reason=shown, figure=figure)
    if (best < gate.bound) if at_least else (best > gate.bound):
        return GateResult(gate=gate, result="FAIL", reason=f"{shown} misses {gate}", figure=figure)
    reason = f"{shown} straddles {gate.bound:g}: {METRICS[gate.metric].needs}"
    return GateResult(gate=gate, result="INCONCLUSIVE", reason=reason, figure=figure)


def judge(
    gates: Sequence[Gate], figures: Mapping[str, Interval], failure: str | None, missing: Mapping[str, Missing],
    elsewhere: Mapping[str, str] | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on one candidate.

    Args:
        figures: metric → figure, those that were measured.
        failure: why the candidate is not valid, or None.
        missing: metric → why it has no figure.
        elsewhere: metric → why only the target could tell: its gate stays open, whatever figure there is.
    """
    results = []
    for gate in gates:
        if gate.metric == "valid":
            result = "PASS" if failure is None else "FAIL"
            results.append(GateResult(gate=gate, result=result, reason=failure or "valid"))
            continue
        open_here = (elsewhere or {}).get(gate.metric)
        if open_here is not None and failure is None:
            results.append(GateResult(
                gate=gate, result="INCONCLUSIVE", reason=open_here, figure=figures.get(gate.metric), elsewhere=True,
            ))  # fmt: skip
            continue
        unknown = NOT_MEASURED if failure is None else Missing("not measured: the candidate is not valid")
        results.append(judge_one(gate, figures.get(gate.metric), missing.get(gate.metric, unknown)))
    return Verdict(results=tuple(results))
