"""The figures of a profile, and the rules on them."""

from typing import Any

import pytest

from strop.core.profile import MemorySample, Operator, Profile
from strop.plan.bottlenecks import Rule, by_operator, figures, find_bottlenecks, rules
from strop.report.profiling import session


def operator(name: str, kind: str, precision: str, ns: float, works_as: str = "Conv") -> Operator:
    return Operator.model_validate({
        "name": name, "operator": works_as, "kernel": works_as, "precision": precision, "kind": kind, "ns": ns, "calls": 10,
    })  # fmt: skip


def profile(**changes: Any) -> Profile:
    """A quiet session: ten calls of 1 ms on one of two threads, half a gigabyte of one, nothing to blame."""
    quiet: dict[str, Any] = {
        "candidate": "c", "runtime": "null", "precision": "int8", "threads": 2, "latencies_ns": (1_000_000,) * 10,
        "wall_ns": 10_000_000, "cpu_ns": 10_000_000, "voluntary": 0, "involuntary": 0, "faults": 0, "load_s": 0.01,
        "first_inference_s": 0.002, "memory": (MemorySample(seconds=0, doing="empty", private=1, rss=2),),
        "highest_rss": 500_000_000, "memory_limit": 1_000_000_000, "profiled_ns": 1_100_000,
        "operators": (operator("a", "compute", "int8", 450_000), operator("b", "compute", "int8", 450_000)),
    }  # fmt: skip
    return Profile.model_validate({**quiet, **changes})


def names(found: Profile) -> set[str]:
    return {finding.rule for finding in find_bottlenecks(found)}


def test_a_quiet_session_has_no_bottleneck() -> None:
    assert names(profile()) == set()


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("cpu", {"cpu_ns": 16_500_000}),
        ("memory", {"highest_rss": 910_000_000}),
        ("unsteady", {"latencies_ns": (500_000, 1_500_000) * 5}),
        ("unquantized", {"operators": (*profile().operators, operator("f", "compute", "fp32", 240_000))}),
        ("layout", {"operators": (*profile().operators, operator("t", "layout", "fp32", 110_000, "Transpose"))}),
        ("precision", {"operators": (*profile().operators, operator("q", "precision", "fp32", 110_000, "QuantizeLinear"))}),
        ("overhead", {"operators": (operator("a", "compute", "int8", 300_000), operator("b", "compute", "int8", 300_000))}),
        ("first", {"first_inference_s": 0.011}),
        ("hot", {"operators": (operator("a", "compute", "int8", 600_000), operator("b", "compute", "int8", 350_000))}),
        ("cache", {"counters": {"cache_references": 100, "cache_misses": 31}}),
    ],
)  # fmt: skip
def test_each_rule_holds_just_beyond_its_bound(rule: str, changes: dict[str, Any]) -> None:
    assert rule in names(profile(**changes))


def test_every_rule_was_tried() -> None:
    tried = {
        mark.args[1][i][0] for mark in test_each_rule_holds_just_beyond_its_bound.pytestmark for i in range(len(mark.args[1]))
    }  # type: ignore[attr-defined]
    assert tried == {rule.name for rule in rules()}


def test_the_bounds_are_those_that_were_promised() -> None:
    bounds = {rule.name: rule.above for rule in rules()}
    assert (bounds["cpu"], bounds["memory"], bounds["unsteady"]) == (0.80, 0.90, 0.20)


def test_at_its_bound_a_rule_does_not_hold() -> None:
    assert "memory" not in names(profile(highest_rss=900_000_000))


def test_a_float_model_has_no_unquantized_time() -> None:
    assert figures(profile(precision="fp32"))["unquantized_share"] is None


def test_what_was_not_measured_is_no_finding() -> None:
    found = figures(profile(operators=(), profiled_ns=None, highest_rss=None, memory=()))
    assert {found[name] for name in ("memory_share", "overhead_share", "layout_share", "hottest_share", "cache_miss_share")} == {
        None
    }


def test_evidence_names_the_figure_and_the_operators() -> None:
    slow = operator("t7", "layout", "fp32", 500_000, "Transpose")
    finding = next(f for f in find_bottlenecks(profile(operators=(*profile().operators, slow))) if f.rule == "layout")
    assert finding.value == pytest.approx(0.5 / 1.4)
    assert "36%" in finding.evidence
    assert "Transpose t7 (0.5 ms)" in finding.evidence
    assert finding.advice


def test_the_worst_comes_first() -> None:
    found = find_bottlenecks(profile(cpu_ns=19_000_000, first_inference_s=0.5))
    assert [f.rule for f in found] == ["first", "cpu"]


def test_other_rules_may_be_given() -> None:
    mine = Rule(name="mine", figure="cpu_share", above=0.1, title="t", evidence="{value:.2f} of {threads}", advice="a")
    assert [f.evidence for f in find_bottlenecks(profile(), [mine])] == ["0.50 of 2"]


def test_time_adds_up_by_operator_and_precision() -> None:
    found = by_operator(profile(operators=(operator("a", "compute", "int8", 1), operator("b", "compute", "int8", 2),
                                           operator("c", "compute", "fp32", 5))))  # fmt: skip
    assert list(found.items()) == [(("Conv", "fp32"), 5), (("Conv", "int8"), 3)]


def test_page_faults_that_could_not_be_counted_are_no_zero() -> None:
    row = next(r for r in session([profile(faults=None), profile(faults=3)]) if r[0].startswith("page faults"))
    assert row[1:] == ["–", "300"]
