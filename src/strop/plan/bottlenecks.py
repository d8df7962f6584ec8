"""Bottlenecks: the figures of a profile, held against the rules in `bottlenecks.toml`. Pure."""

import statistics
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from strop.core.noun import Noun
from strop.core.profile import Finding, Operator, Profile

FLOAT = ("fp32", "fp16", "bf16")
QUANTIZED = ("int8", "int4")
HEAVY = ("Conv", "ConvTranspose", "MatMul", "LSTM", "GRU", "RNN")
"""Operators whose arithmetic quantization is meant to make cheap."""


class Rule(Noun):
    """One entry of the file: `figure` above `above` is a finding."""

    name: str
    figure: str
    above: float
    title: str
    evidence: str
    advice: str


@cache
def rules() -> tuple[Rule, ...]:
    """The shipped rules, in their order."""
    text = files("strop.plan").joinpath("bottlenecks.toml").read_text(encoding="utf-8")
    return tuple(Rule.model_validate(entry) for entry in tomllib.loads(text)["rule"])


def find_bottlenecks(profile: Profile, among: Sequence[Rule] | None = None) -> list[Finding]:
    """Every rule that holds, by how far it is beyond its bound.

    Args:
        among: other rules than the shipped ones.

    Example:
        >>> [finding.title for finding in find_bottlenecks(profile)]
    """
    known = figures(profile)
    found = []
    for rule in rules() if among is None else among:
        value = known.get(rule.figure)
        if value is None or value <= rule.above:
            continue
        words = rule.evidence.format(value=value, operators=named(blamed(rule.figure, profile)), **details(profile))
        found.append(Finding(rule=rule.name, title=rule.title, value=value, bound=rule.above, evidence=words, advice=rule.advice))
    return sorted(found, key=lambda finding: -finding.value / finding.bound)


def figures(profile: Profile) -> dict[str, float | None]:
    """What rules can speak of; None where it could not be measured.

    cpu_share: of the threads' wall time. memory_share: peak resident memory over the limit. latency_variation: standard
    deviation over mean. unquantized_share, layout_share, precision_share, hottest_share: of the operators' time.
    overhead_share: of a median call; at least so much, since a profiler makes operators look longer. first_over_typical: first
    inference over the median. cache_miss_share: of last-level references.
    """
    total = sum(o.ns for o in profile.operators)
    typical = statistics.median(profile.latencies_ns)
    references = profile.counters.get("cache_references")

    def share(part: Iterable[Operator]) -> float | None:
        return sum(o.ns for o in part) / total if total else None

    quantized = profile.precision.startswith(QUANTIZED)
    return {
        "cpu_share": profile.cpu_ns / (profile.wall_ns * profile.threads),
        "memory_share": profile.highest_rss / profile.memory_limit if profile.highest_rss else None,
        "latency_variation": statistics.pstdev(profile.latencies_ns) / statistics.fmean(profile.latencies_ns),
        "unquantized_share": share(blamed("unquantized_share", profile)) if quantized else None,
        "layout_share": share(blamed("layout_share", profile)),
        "precision_share": share(blamed("precision_share", profile)),
        "hottest_share": share(blamed("hottest_share", profile)),
        "overhead_share": max(0.0, 1 - total / typical) if total else None,
        "first_over_typical": profile.first_inference_s * 1e9 / typical,
        "cache_miss_share": profile.counters.get("cache_misses", 0) / references if references else None,
    }


def blamed(figure: str, profile: Profile) -> list[Operator]:
    """The operators that a figure counts."""
    if figure == "unquantized_share":
        return [o for o in profile.operators if o.operator in HEAVY and o.precision in FLOAT]
    if figure == "hottest_share":
        return sorted(profile.operators, key=lambda o: -o.ns)[:1]
    return [o for o in profile.operators if figure == f"{o.kind}_share"]


def named(operators: Sequence[Operator], most: int = 3) -> str:
    """`Conv conv1 (0.41 ms), …`: the slowest of them."""
    slowest = sorted(operators, key=lambda o: -o.ns)[:most]
    return ", ".join(f"{o.operator} {o.name} ({o.ns / 1e6:.3g} ms)" for o in slowest)


def details(profile: Profile) -> dict[str, Any]:
    """What a rule's evidence may name beside its figure."""
    return {
        "threads": profile.threads, "calls": len(profile.latencies_ns), "peak_mb": (profile.highest_rss or 0) / 1e6,
        "limit_mb": profile.memory_limit / 1e6, "load_ms": 1e3 * profile.load_s, "first_ms": 1e3 * profile.first_inference_s,
        "switches": profile.involuntary / (profile.wall_ns / 1e9), "call_ms": statistics.median(profile.latencies_ns) / 1e6,
    }  # fmt: skip


def by_operator(profile: Profile) -> dict[tuple[str, str], float]:
    """(operator, precision) → nanoseconds a call, slowest first."""
    totals: dict[tuple[str, str], float] = defaultdict(float)
    for operator in profile.operators:
        totals[operator.operator, operator.precision] += operator.ns
    return dict(sorted(totals.items(), key=lambda entry: -entry[1]))
