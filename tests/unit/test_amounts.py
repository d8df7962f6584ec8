"""Milliseconds, megabytes and examples a second: one figure for each quantity, wherever it is shown."""

import re

import pytest

from strop.bundle.card import model_card
from strop.core.amounts import a_second, latency_ms, memory_mb, pace_then, paced_ms, paced_rate, runtime_mb
from strop.core.candidate import Throughput
from strop.core.measurement import Memory
from strop.core.verdict import Verdict
from strop.plan.runtimes import measured, runtime_shares
from strop.report.evidence import NO_EVIDENCE, Curve
from strop.report.render.html import page
from strop.report.render.json import report
from strop.report.render.markdown import markdown
from strop.report.sections.latency import make
from strop.report.verdict import three_lines
from strop.run.judging import out_of_reach

from .makers import interval
from .test_report import BASELINE, outcome, result

MB = 10**6


def took(total, part):
    return Memory(peak=part * MB, steady=part * MB, empty=MB, total_rss=total * MB, load_s=0.1, first_inference_s=0.1)


def timed(name, speed, mine, baseline, memory=(107, 35)):
    """A finalist: its median call, the baseline's beside it, and its memory."""
    found = result(name, speed)
    timing = found.confirmation.model_copy(update={"latency_ms": {"p50": mine}, "baseline_latency_ms": {"p50": baseline}})
    served = Throughput(
        concurrency=1, batch=1, stage="confirmation", over="plain", rate=interval(900 / mine), ratio=interval(speed), pairs=5
    )
    return found.model_copy(update={"confirmation": timing, "memory": (took(*memory),), "throughput": served})


@pytest.fixture
def found():
    made = outcome(timed("fast", 1.75, 0.05, 0.0875), timed("slow", 1.1, 0.1, 0.11), chosen="fast")
    plain = BASELINE.model_copy(update={"confirmation": None, "memory": (took(75, 3),)})
    noise = made.noise.model_copy(update={"latency_ms": {"p50": 0.066}})
    return made.model_copy(update={"results": (plain, *made.results[1:]), "noise": noise})


def test_memory_is_that_of_the_whole_process(found):
    assert memory_mb(found.result("fast")).value == 107
    assert runtime_mb(found.result("fast")) == 72
    highest = Memory(peak=9 * MB, steady=4 * MB, empty=0, total_rss=50 * MB, load_s=0, first_inference_s=0)
    assert highest.resident == 55 * MB


def test_the_baselines_median_call_is_one_figure(found):
    assert latency_ms(found, "plain") == {"p50": 0.0875}
    alone = found.model_copy(update={"choice": found.choice.model_copy(update={"name": "plain"})})
    assert latency_ms(alone, "plain") == {"p50": 0.066}


def test_a_comparison_at_another_pace_says_so(found):
    assert pace_then(found, "fast") == ""
    assert pace_then(found, "slow") == "machine 26% slower then"


def test_a_table_shows_every_candidate_at_the_baselines_pace(found):
    """So that no row has fewer milliseconds than another that is faster."""
    assert paced_ms(found, "plain") == 0.0875
    assert paced_ms(found, "slow") == pytest.approx(0.1 * 0.0875 / 0.11)
    assert paced_rate(found, "slow") == a_second(found, "slow"), "the baseline has no rate here"


def test_amounts_stand_beside_every_ratio(found):
    for text in (three_lines(found)[1], markdown(found), page(found, NO_EVIDENCE), model_card(found, found.chosen)):
        assert "0.05 ms a call, the baseline 0.0875" in text
        assert "examples a second" in text
        assert re.search(r"107 MB.*75", text)
        assert "model&#39;s part" in text or "model's part" in text


def test_a_page_shows_one_median_call_of_the_baseline(found):
    text = markdown(found)
    assert "0.0875" in text
    assert "0.066" not in text
    assert not re.search(r"\b0\.11\b", text)


def test_the_table_of_latencies_has_each_candidate_once(found):
    def curve(name):
        return Curve(name=name, calls=(100, 120), percent=(1, 50), baseline_ms=(1.0, 2.0), candidate_ms=(0.5, 1.0))

    seen = NO_EVIDENCE.model_copy(update={"curves": (curve("plain"), curve("fast"), curve("slow"))})
    table = next(block for block in make(found, seen).blocks if hasattr(block, "rows"))
    assert [row[0].text for row in table.rows] == ["plain", "fast", "slow"]
    assert [row[2].text for row in table.rows] == ["0.0875", "0.05", "0.1"]


def test_programs_read_the_same_memory(found):
    document = report(found)
    assert document["chosen"]["memory_mb"]["value"] == 107
    assert [c["measurement"]["memory_mb"]["value"] for c in document["candidates"][:3]] == [75, 107, 107]


def test_a_goal_on_memory_that_no_model_could_reach_does_not_apply(found):
    small, large = (BASELINE.model_copy(update={"memory": (took(total, part),)}) for total, part in ((75, 3), (500, 430)))
    goal = next(r for r in found.chosen.verdict.results if r.gate.metric == "memory_ratio")
    judged = out_of_reach(goal, small)
    assert (judged.result, judged.reason) == ("NOT APPLICABLE", "the runtime alone takes 72 of the baseline's 75 MB")
    assert out_of_reach(goal, large) == goal
    asked = goal.model_copy(update={"gate": goal.gate.model_copy(update={"bound": 0.4})})
    assert out_of_reach(asked, small) == asked


def test_a_goal_that_does_not_apply_is_said_and_holds_nothing_up(found):
    fast = result("fast", 2.5)
    results = tuple(out_of_reach(r, found.result("plain")) for r in fast.verdict.results)
    made = outcome(fast.model_copy(update={"verdict": Verdict(results=results)}), chosen="fast")
    assert made.outcome == "chosen"
    assert three_lines(made)[2] == (
        "Every other gate passed. Goal not applicable: memory_ratio ≤ 0.5 (the runtime alone takes 72 of the baseline's 75 MB)."
    )
    assert "– not applicable" in markdown(made)


def test_every_shipped_share_of_a_runtime_is_within_its_range():
    for one in measured():
        assert one.range[0] <= one.mb <= one.range[1]
    assert {share.framework for share in runtime_shares("tensor")} == {"onnxruntime", "openvino"}
    assert {share.framework for share in runtime_shares("llm")} >= {"llamacpp", "openvino", "onnxruntime-genai"}
