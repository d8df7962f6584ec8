"""The verdict where a figure is rough or missing: what the machine or the budget kept from being measured passes no gate."""

from strop.core.candidate import Candidate, Result, Throughput, Timing
from strop.core.gate import DEFAULT_GATES, parse_gate
from strop.core.measurement import Memory
from strop.core.verdict import EXACTLY_ONE
from strop.run.finalists import contender_of, standing_of
from strop.run.judging import Hasty, verdict_of
from strop.run.optimize import choose_among
from strop.run.trial import Trial

from .makers import interval, recipe

SPEED = {"speed": 1.0}
MEMORY = Memory(peak=10_000_000, steady=1, empty=1, total_rss=1, load_s=0.1, first_inference_s=0.1)


def trial(name, timing, role="candidate", processes=3):
    return Trial(Result(
        candidate=Candidate(recipe=recipe(name, role, safety=int(role == "candidate"))), status="measured",
        retained=EXACTLY_ONE, accuracy=0.9,
        memory=(MEMORY,) * processes, memory_ratio=interval(0.3, 0.29, 0.31), confirmation=timing,
    ))  # fmt: skip


def confirmed(name, value, tail=1.0):
    speedup, ratio = interval(value, value - 0.02, value + 0.02), interval(tail, tail - 0.05, tail + 0.05)
    return trial(name, Timing(stage="confirmation", speedup=speedup, tail_ratio=ratio))


def rough(name, value):
    return trial(name, Timing(stage="confirmation", speedup=None, rough=interval(value, value / 1.05, value * 1.05)))


BASELINE = trial("onnx", None, role="reference").with_result(search=Timing(stage="search", speedup=EXACTLY_ONE))


def gates(found, **more):
    return {r.gate.metric: r for r in verdict_of(found, BASELINE, DEFAULT_GATES, None, **more).results}


def chosen(*found):
    trials = [*found, BASELINE]
    judged = [t.with_result(verdict=verdict_of(t, BASELINE, DEFAULT_GATES, None)) for t in trials]
    return choose_among(judged, [t.name for t in judged], SPEED).name


def test_a_rough_speed_passes_no_gate_and_names_the_cause():
    found = gates(rough("int8", 3.0))
    assert (found["speedup"].result, found["speedup"].cause) == ("UNMEASURED", "too busy")
    assert (found["tail_ratio"].result, found["tail_ratio"].cause) == ("UNMEASURED", "too busy")


def test_a_rough_speed_is_chosen_over_the_baseline_where_it_shows_a_difference():
    assert chosen(rough("int8", 2.0)) == "int8"
    assert chosen(rough("int8", 1.03).with_result(memory_ratio=EXACTLY_ONE)) == "onnx"
    assert contender_of(rough("int8", 1.03), 0).speedup.value == 1.0


def test_a_rough_speed_does_not_beat_a_confirmed_one_by_its_value():
    assert chosen(confirmed("bf16", 1.70), rough("int8", 1.75)) == "bf16"
    assert chosen(confirmed("bf16", 1.10), rough("int8", 2.00)) == "int8"


def test_a_finalist_with_a_rough_speed_leaves_its_place():
    assert standing_of(rough("int8", 3.0), BASELINE, DEFAULT_GATES, SPEED, None) is None
    assert standing_of(confirmed("int8", 3.0), BASELINE, DEFAULT_GATES, SPEED, None) is not None


def test_no_speed_passes_where_not_even_the_baseline_could_be_timed_against_itself():
    found = gates(confirmed("int8", 3.0), timed=False)
    assert (found["speedup"].result, found["speedup"].cause) == ("UNMEASURED", "too busy")


def test_memory_of_a_single_process_passes_no_gate():
    alone = trial("int8", None, processes=1)
    assert gates(confirmed("int8", 3.0))["memory_ratio"].result == "PASS"
    assert (gates(alone)["memory_ratio"].result, gates(alone)["memory_ratio"].cause) == ("INCONCLUSIVE", None)
    late = gates(alone, hasty=Hasty(unconfirmed=True))
    assert (late["memory_ratio"].result, late["memory_ratio"].cause) == ("UNMEASURED", "no time")
    assert (late["speedup"].result, late["speedup"].cause) == ("UNMEASURED", "no time")


def test_no_speed_up_passes_over_a_baseline_that_was_not_tuned():
    found = gates(confirmed("int8", 3.0), hasty=Hasty(untuned=True))["speedup"]
    assert (found.result, found.cause) == ("UNMEASURED", "no time")
    assert gates(confirmed("int8", 1.2), hasty=Hasty(untuned=True))["speedup"].result == "FAIL"


def serving(name, rate, ratio, stage="confirmation", **fields):
    """A finalist with so much throughput."""
    figure = Throughput(
        concurrency=4, batch=1, stage=stage, over="onnx", rate=rate and interval(rate, rate * 0.9, rate * 1.1),
        ratio=ratio and interval(ratio, ratio * 0.9, ratio * 1.1), **{"pairs": 5, **fields},
    )  # fmt: skip
    return confirmed(name, 1.0).with_result(throughput=figure)


def by_throughput(found):
    wanted = [parse_gate("throughput>=100", "must"), parse_gate("throughput_ratio>=1.5", "goal")]
    return [(r.result, r.cause) for r in verdict_of(found, BASELINE, wanted, None).results]


def test_gates_on_throughput_are_judged_by_fresh_samples():
    assert by_throughput(serving("int8", 200, 2.0)) == [("PASS", None), ("PASS", None)]
    assert by_throughput(serving("int8", 50, 1.0)) == [("FAIL", None), ("FAIL", None)]
    assert by_throughput(serving("int8", 105, 1.5)) == [("INCONCLUSIVE", None), ("INCONCLUSIVE", None)]
    assert by_throughput(serving("int8", 200, 2.0, stage="search")) == [("UNMEASURED", "no time")] * 2


def test_why_there_is_no_throughput():
    assert by_throughput(serving("int8", None, None, excluded=0.8)) == [("UNMEASURED", "too busy")] * 2
    assert by_throughput(serving("int8", None, None, pairs=2)) == [("UNMEASURED", "no time")] * 2
    assert by_throughput(BASELINE) == [("UNMEASURED", "no time"), ("FAIL", None)]


def test_divergence_may_be_a_gate_and_a_task_without_classes_says_what_it_has_instead():
    gate = parse_gate("divergence<=0.05", "must")
    near = confirmed("int8", 2.0).with_result(quality={"divergence": interval(0.01, 0.005, 0.02)})
    far = near.with_result(quality={"divergence": interval(0.9, 0.7, 1.1)})
    other = near.with_result(quality={"difference": interval(0.02)})

    def found(one, unmeasured=None):
        return verdict_of(one, BASELINE, (gate,), unmeasured).results[0]

    assert [found(one).result for one in (near, far, other)] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert found(other).reason == "not measured for this task: difference is"
    unmeasured = found(near.with_result(quality={}, retained=None, accuracy=None), "no data were given")
    assert (unmeasured.result, unmeasured.cause) == ("UNMEASURED", "no data")
