"""Profiles side by side, as rows of text: sessions, operators, memory. Pure; shared by page and Markdown."""

import statistics
from collections.abc import Sequence

from strop.core.profile import Profile
from strop.plan.bottlenecks import by_operator, figures
from strop.report.evidence import Evidence
from strop.report.parts import DASH

MOST_ROWS = 12
"""Operators shown; the rest is summed up."""


def profiles(evidence: Evidence) -> list[Profile]:
    """Those that were made."""
    return [p.profile for p in evidence.profiles if p.profile is not None]


def failures(evidence: Evidence) -> list[str]:
    """Which candidates could not be profiled, and why."""
    return [f"{p.candidate} could not be profiled: {p.failure}." for p in evidence.profiles if p.failure is not None]


def session(found: Sequence[Profile]) -> list[list[str]]:
    """A row a figure, a column a candidate."""
    known = [figures(p) for p in found]

    def shares(name: str) -> list[str]:
        return [DASH if f[name] is None else f"{f[name]:.0%}" for f in known]

    per_second = [1e9 / p.wall_ns for p in found]
    return [
        ["calls watched", *(f"{len(p.latencies_ns)}" for p in found)],
        ["median call, ms", *(f"{statistics.median(p.latencies_ns) / 1e6:.4g}" for p in found)],
        ["standard deviation over mean", *shares("latency_variation")],
        ["processor, of its threads", *(f"{f['cpu_share']:.0%} of {p.threads}" for f, p in zip(known, found, strict=True))],
        ["context switches a second, waiting / preempted",
         *(f"{p.voluntary * s:.0f} / {p.involuntary * s:.0f}" for p, s in zip(found, per_second, strict=True))],
        ["page faults a second",
         *(DASH if p.faults is None else f"{p.faults * s:.0f}" for p, s in zip(found, per_second, strict=True))],
        ["cache misses, of references", *(cache_words(p, f["cache_miss_share"]) for p, f in zip(found, known, strict=True))],
        ["load, ms", *(f"{1e3 * p.load_s:.0f}" for p in found)],
        ["first inference, ms", *(f"{1e3 * p.first_inference_s:.3g}" for p in found)],
        ["time outside of operators", *shares("overhead_share")],
        ["time in unquantized operators", *shares("unquantized_share")],
        ["time in changes of layout / precision",
         *(" / ".join(pair) for pair in zip(shares("layout_share"), shares("precision_share"), strict=True))],
        ["the profiler's own cost", *(profiler_words(p) for p in found)],
    ]  # fmt: skip


def cache_words(profile: Profile, share: float | None) -> str:
    return f"{share:.1%}" if share is not None else f"no counters ({profile.no_counters})" if profile.no_counters else DASH


def profiler_words(profile: Profile) -> str:
    if profile.profiled_ns is None:
        return profile.no_operators or DASH
    return f"{profile.profiled_ns / statistics.median(profile.latencies_ns) - 1:+.0%}"


def operators(found: Sequence[Profile]) -> list[list[str]]:
    """A row an operator and precision, slowest first; milliseconds a call and the share of all operators."""
    times = [by_operator(p) for p in found]
    totals = [sum(t.values()) for t in times]
    keys = sorted({key for t in times for key in t}, key=lambda key: -max(t.get(key, 0.0) for t in times))
    rows = [
        [" ".join(key).strip(), *(time_words(t.get(key), total) for t, total in zip(times, totals, strict=True))]
        for key in keys[:MOST_ROWS]
    ]
    rest = keys[MOST_ROWS:]
    if rest:
        sums = [sum(t.get(key, 0.0) for key in rest) for t in times]
        rows.append([f"{len(rest)} others", *(time_words(s, total) for s, total in zip(sums, totals, strict=True))])
    return rows


def time_words(ns: float | None, total: float) -> str:
    return DASH if not ns or not total else f"{ns / 1e6:.3g} ({ns / total:.0%})"


def memory(found: Sequence[Profile]) -> list[list[str]]:
    """Resident memory at each moment: the empty runtime, loaded, after the first inference, at the end, at its highest."""
    if not any(p.memory for p in found):
        return []
    rows = [
        [words, *(next((f"{(s.rss or 0) / 1e6:.1f}" for s in reversed(p.memory) if s.doing == doing), DASH) for p in found)]
        for doing, words in (("empty", "empty runtime"), ("loaded", "loaded"), ("first inference", "after the first inference"),
                             ("running", "at the end"))
    ]  # fmt: skip
    highest = [DASH if p.highest_rss is None else f"{p.highest_rss / 1e6:.1f} of {p.memory_limit / 1e6:.0f}" for p in found]
    return [*rows, ["at its highest, of the limit", *highest]]
