"""Gates: judged exactly by interval against bound, parsed strictly, refused where they contradict."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from strop.core.errors import ConfigError
from strop.core.gate import DEFAULT_GATES, Missing, assemble, judge, judge_one, parse_gate
from strop.core.gate_metrics import METRICS, REGISTRY, SHARE, GateMetric
from strop.core.verdict import Gate
from strop.report.advice import gate_words

from .makers import interval, intervals

bounds = st.floats(0.01, 100.0)


@given(intervals(), bounds, st.sampled_from(["at_least", "at_most"]))
def test_the_result_follows_from_interval_and_bound(figure, bound, direction):
    result = judge_one(Gate(metric="speedup", direction=direction, bound=bound), figure).result
    inside = figure.low >= bound if direction == "at_least" else figure.high <= bound
    outside = figure.high < bound if direction == "at_least" else figure.low > bound
    assert result == ("PASS" if inside else "FAIL" if outside else "INCONCLUSIVE")


@given(intervals())
def test_a_bound_at_the_near_end_passes(figure):
    assert judge_one(Gate(metric="speedup", bound=figure.low), figure).result == "PASS"
    assert judge_one(Gate(metric="speedup", direction="at_most", bound=figure.high), figure).result == "PASS"


@given(bounds, st.sampled_from(["at_least", "at_most"]), st.sampled_from(["must", "goal"]), st.sampled_from([None, "too busy"]))
def test_a_missing_figure_never_passes(bound, direction, kind, cause):
    gate = Gate(metric="accuracy", direction=direction, bound=bound, kind=kind)
    found = judge_one(gate, None, Missing("no figure", cause))
    assert (found.result, found.cause) == ("UNMEASURED" if cause else "INCONCLUSIVE", cause)


@pytest.mark.parametrize("direction", ["at_least", "at_most"])
def test_a_figure_that_is_no_number_never_passes(direction):
    figure = interval(float("nan"))
    assert judge_one(Gate(metric="accuracy", direction=direction, bound=0.5), figure).result == "INCONCLUSIVE"


@given(st.sampled_from(list(METRICS)), st.sampled_from([">=", "<=", "≥", "≤"]), bounds)
def test_a_gate_reads_back_as_written(metric, sign, bound):
    assume(METRICS[metric].range is None or METRICS[metric].range.admits("at_least" if sign in (">=", "≥") else "at_most", bound))
    gate = parse_gate(f" {metric} {sign} {bound!r} ", "must")
    assert (gate.metric, gate.bound, gate.kind) == (metric, bound, "must")
    assert gate.direction == ("at_least" if sign in (">=", "≥") else "at_most")
    assert str(gate).startswith(metric)


@pytest.mark.parametrize("text", ["", "speedup", "speedup>2", "speedup=2", "speedup>=two", "speedup>=1e", ">=2", "speedup>=nan"])
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(ConfigError) as refused:
        parse_gate(text, "must")
    assert refused.value.hint


@pytest.mark.parametrize("text", ["sped>=2", "valid>=1"])
def test_an_unknown_metric_is_refused_with_the_known_ones(text):
    with pytest.raises(ConfigError, match="unknown metric") as refused:
        parse_gate(text, "must")
    assert "speedup" in refused.value.hint


def gates(must=(), goal=()):
    return [*(parse_gate(t, "must") for t in must), *(parse_gate(t, "goal") for t in goal)]


def test_own_gates_replace_the_default_of_their_metric():
    assembled = assemble(gates(must=["speedup>=3"]))
    assert [str(g) for g in assembled if g.metric == "speedup"] == ["speedup ≥ 3"]
    assert {g.metric for g in assembled} == {g.metric for g in DEFAULT_GATES}


def test_a_goal_may_lie_beyond_its_must():
    assembled = assemble(gates(must=["speedup>=2", "memory_mb<=100"], goal=["speedup>=3", "memory_mb<=50"]))
    assert [g.kind for g in assembled if g.metric == "speedup"] == ["must", "goal"]


def test_a_range_is_no_contradiction():
    assert len([g for g in assemble(gates(must=["accuracy>=1", "accuracy<=2"])) if g.metric == "accuracy"]) == 2


@pytest.mark.parametrize(
    ("must", "goal"),
    [
        (["speedup>=3", "speedup<=2"], []),
        (["speedup>=3"], ["speedup<=2"]),
        (["speedup>=3"], ["speedup>=2"]),
        (["speedup>=3"], ["speedup>=3"]),
        (["memory_mb<=10"], ["memory_mb<=20"]),
        (["speedup>=2", "speedup>=3"], []),
        ([], ["speedup>=2", "speedup>=3"]),
        (["accuracy_retained<=0.9"], []),
        (["perplexity_ratio>=1.02"], []),
        ([], ["kl>=0.1"]),
        ([], ["same_top<=0.9"]),
    ],
)
def test_contradictory_gates_are_refused(must, goal):
    with pytest.raises(ConfigError):
        assemble(gates(must, goal))


def test_strict_makes_every_goal_a_must():
    assert {g.kind for g in assemble([], strict=True)} == {"must"}
    assert [g.metric for g in assemble([], strict=True)] == [g.metric for g in DEFAULT_GATES]


def test_judge_names_the_failure_and_what_is_missing():
    verdict = judge(DEFAULT_GATES, {}, "crashed", {"accuracy_retained": Missing("unmeasured: no data", "no data")})
    by = {r.gate.metric: r for r in verdict.results}
    assert (by["valid"].result, by["valid"].reason) == ("FAIL", "crashed")
    assert by["accuracy_retained"].result == "UNMEASURED"
    assert by["speedup"].result == "INCONCLUSIVE"
    assert "not valid" in by["speedup"].reason


def test_judge_passes_what_is_good_enough():
    good = {"accuracy_retained": 1.0, "tail_ratio": 1.0, "speedup": 2.5, "memory_ratio": 0.4}
    verdict = judge(DEFAULT_GATES, {k: interval(v) for k, v in good.items()}, None, {})
    assert verdict.outcome == "chosen"
    assert verdict.missed == ()


def test_percent_where_a_share_is_meant_is_refused():
    with pytest.raises(ConfigError, match="more than a share"):
        parse_gate("accuracy_retained>=95", "must")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("divergence<=-1", "divergence is never below 0"),
        ("kl<=-0.001", "kl is never below 0"),
        ("memory_ratio<=-0.5", "memory_ratio is never below 0"),
        ("latency_ms<=0", "latency_ms is always above 0"),
        ("size_mb<=-3", "size_mb is always above 0"),
        ("perplexity<=0.5", "perplexity is never below 1"),
        ("same_top>=1000", "more than a share"),
        ("same_top>=99", "more than a share"),
        ("agreement>=1.01", "more than a share"),
        ("task_retained>=98", "more than a share"),
    ],
)
def test_a_bound_that_nothing_can_meet_is_refused(text, why):
    with pytest.raises(ConfigError, match=why) as refused:
        parse_gate(text, "must")
    assert refused.value.hint


@pytest.mark.parametrize("text", ["divergence<=0", "same_top>=1", "accuracy>=2", "accuracy<=-1", "perplexity<=1"])
def test_a_bound_that_something_can_meet_is_taken(text):
    assert parse_gate(text, "must")


@pytest.mark.parametrize("text", ["memory_ratio>=0.5", "size_mb>=3", "speedup<=2", "latency_ms>=1", "tail_ratio>=1"])
def test_a_gate_that_asks_for_what_is_worse_is_refused(text):
    with pytest.raises(ConfigError, match="asks for what is worse"):
        assemble([parse_gate(text, "must")])


def test_a_bound_is_printed_whole():
    """Not as the round number that is beyond it."""
    assert str(parse_gate("accuracy_retained>=0.99999999", "must")) == "accuracy_retained ≥ 0.99999999"


def test_a_new_metric_is_one_row(monkeypatch):
    """Reading, judging, naming and printing it all follow from it."""
    toy = GateMetric("toy_share", "toys kept", "share of the toys", "answers", "at_least", SHARE, "needs more toys", "share")
    monkeypatch.setitem(METRICS, toy.name, toy)
    gate = parse_gate("toy_share>=0.5", "must")
    with pytest.raises(ConfigError, match="more than a share can be"):
        parse_gate("toy_share>=50", "must")
    with pytest.raises(ConfigError, match="asks for what is worse"):
        assemble([parse_gate("toy_share<=0.5", "must")])
    assert gate_words(gate) == "toys kept ≥ 50 %"
    assert judge_one(gate, interval(0.5, 0.4, 0.6)).reason.endswith("straddles 0.5: needs more toys")


def test_every_default_gate_asks_for_the_better():
    for metric in REGISTRY:
        assert metric.gate is None or (metric.gate.metric, metric.gate.direction) == (metric.name, metric.better)
