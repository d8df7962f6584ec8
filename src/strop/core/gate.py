"""Gates: three-way judgements of a candidate's figures. Pure."""

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from strop.core.errors import ConfigError
from strop.core.verdict import Cause, Direction, Gate, GateResult, Interval, Kind, Result, Verdict

METRICS: dict[str, str] = {
    "valid": "runs, right shapes and types, finite, deterministic enough",
    "accuracy_retained": "share of the given model's metric that is kept",
    "tail_ratio": "slow calls (p99; p95 or p90 where there are too few for it, and said so) over those to be expected "
    "of a candidate that is as steady as the baseline; of a language model's steps",
    "speedup": "against the tuned baseline, same budget of cores",
    "throughput": "examples a second with `--concurrency` requests in flight; of a language model, tokens of answers a second",
    "throughput_ratio": "the same over the tuned baseline's file under those of its settings that serve the load best",
    "memory_ratio": "peak memory over the baseline's",
    "accuracy": "the metric itself",
    "difference": "the largest difference from the given model's answers, as a share of a channel's spread; for data without "
    "labels and for answers other than class scores",
    "divergence": "classifiers: mean Kullback-Leibler divergence of the class probabilities from the given model's, nats; top-1 "
    "is blind to it",
    "agreement": "without labels, one output of scores: share of examples where the highest is the given model's",
    "latency_ms": "median latency, milliseconds",
    "memory_mb": "peak memory above an empty runtime, MB",
    "kl": "language models: mean Kullback-Leibler divergence of the next token's distribution from the given model's, nats",
    "same_top": "language models: share of positions where the likeliest next token is the given model's",
    "perplexity": "language models: exp of the mean loss a token, nats",
    "perplexity_ratio": "language models: perplexity over the given model's, paired by window; accuracy_retained is its inverse",
    "task_accuracy": "language models: share of the questions answered correctly",
    "task_retained": "language models: share of the given model's task accuracy that is kept",
    "decode_tok_s": "language models: tokens of an answer a second, of all texts of a batch together",
    "first_token_ms": "language models: time to first token, milliseconds",
    "size_mb": "size of the model files, MB",
}


class Range(NamedTuple):
    """What a metric can be. `above`: it never reaches `low` itself."""

    low: float = 0.0
    high: float = inf
    above: bool = False

    def admits(self, direction: Direction, bound: float) -> bool:
        """Whether any figure can meet the bound."""
        if direction == "at_least":
            return bound <= self.high
        return bound > self.low if self.above else bound >= self.low


MOST_RETAINED = 2.0
"""Of what is retained: a bound above it is a percentage by mistake."""
SHARE, AT_LEAST_ZERO, POSITIVE = Range(high=1.0), Range(), Range(above=True)
RANGES: dict[str, Range] = {
    **dict.fromkeys(("agreement", "same_top", "task_accuracy"), SHARE),
    **dict.fromkeys(("difference", "divergence", "kl", "tail_ratio", "memory_ratio", "memory_mb"), AT_LEAST_ZERO),
    **dict.fromkeys(("speedup", "throughput", "throughput_ratio", "latency_ms", "perplexity_ratio", "decode_tok_s"), POSITIVE),
    **dict.fromkeys(("first_token_ms", "size_mb"), POSITIVE),
    **dict.fromkeys(("accuracy_retained", "task_retained"), Range(high=MOST_RETAINED)),
    "perplexity": Range(low=1.0),
}
"""A gate that asks for more is refused, since nothing could pass it. `accuracy` has no entry: it may be any metric."""

DEFAULT_GATES: tuple[Gate, ...] = (
    Gate(metric="valid", kind="must"),
    Gate(metric="accuracy_retained", bound=0.95, kind="must"),
    Gate(metric="tail_ratio", direction="at_most", bound=1.5, kind="must"),
    Gate(metric="speedup", bound=2.0, kind="goal"),
    Gate(metric="memory_ratio", direction="at_most", bound=0.5, kind="goal"),
)


LANGUAGE_GATES: tuple[Gate, ...] = (
    Gate(metric="same_top", bound=0.9, kind="goal"),
    Gate(metric="kl", direction="at_most", bound=0.05, kind="must"),
)
"""Added for language models, where the perplexity alone hides how often the answer changes."""
BETTER: dict[str, Direction] = {
    "accuracy_retained": "at_least", "task_retained": "at_least", "same_top": "at_least", "kl": "at_most",
    "difference": "at_most", "divergence": "at_most", "agreement": "at_least",
    "perplexity": "at_most", "perplexity_ratio": "at_most",
    "decode_tok_s": "at_least", "first_token_ms": "at_most", "throughput": "at_least", "throughput_ratio": "at_least",
}  # fmt: skip
"""Metrics that are better in one direction for everybody: a gate in the other is a slip."""


def parse_gate(text: str, kind: Kind) -> Gate:
    """`speedup>=1.5` → a gate.

    Raises:
        ConfigError: not of the form METRIC>=NUMBER or METRIC<=NUMBER, an unknown metric, or a bound that nothing can meet.
    """
    match = re.fullmatch(r"\s*([a-z_]+)\s*(>=|<=|≥|≤)\s*([-+0-9.eE]+)\s*", text)
    if match is None:
        raise ConfigError(f"gate {text!r} cannot be read", "write it as METRIC>=NUMBER or METRIC<=NUMBER")
    name, sign, number = match.groups()
    if name not in METRICS or name == "valid":
        raise ConfigError(f"gate {text!r}: unknown metric {name!r}", f"known: {', '.join(m for m in METRICS if m != 'valid')}")
    try:
        bound = float(number)
    except ValueError:
        raise ConfigError(f"gate {text!r}: {number!r} is not a number", "write it as METRIC>=NUMBER") from None
    if abs(bound) == float("inf"):
        raise ConfigError(f"gate {text!r}: {number!r} is not a finite number", "write it as METRIC>=NUMBER")
    direction: Direction = "at_least" if sign in (">=", "≥") else "at_most"
    possible = RANGES.get(name)
    if possible is not None and not possible.admits(direction, bound):
        raise _impossible(text, name, bound, possible)
    return Gate(metric=name, direction=direction, bound=bound, kind=kind)


def _impossible(text: str, name: str, bound: float, possible: Range) -> ConfigError:
    """For a gate that nothing can pass."""
    if bound > possible.high:
        hint = f"{bound:g} % is {name}>={bound / 100:g}" if bound <= 100 else f"give at most {possible.high:g}"
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
        if one.direction != BETTER.get(one.metric, one.direction):
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
    reason = f"{shown} straddles {gate.bound:g}: {NEEDS.get(gate.metric, 'needs more data')}"
    return GateResult(gate=gate, result="INCONCLUSIVE", reason=reason, figure=figure)


NEEDS = {
    "accuracy_retained": "needs more evaluation examples",
    "accuracy": "needs more evaluation examples",
    "difference": "needs more evaluation examples",
    "divergence": "needs more evaluation examples",
    "agreement": "needs more evaluation examples",
    "task_accuracy": "needs more questions",
    "task_retained": "needs more questions",
    **dict.fromkeys(("kl", "same_top", "perplexity", "perplexity_ratio"), "needs more text"),
    "speedup": "needs a quieter machine or more time",
    "tail_ratio": "needs a quieter machine or more time",
    "latency_ms": "needs a quieter machine or more time",
    **dict.fromkeys(("throughput", "throughput_ratio"), "needs a quieter machine or more time"),
    "memory_ratio": "needs a model larger than the memory resolution",
    "memory_mb": "needs a model larger than the memory resolution",
}


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
