"""Throughput: rates and their ratio from samples, who asks for it, streams and requests in flight, and what is refused."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.choose import Contender, choose, parse_weights, score
from strop.core.errors import ConfigError, UsageError
from strop.core.finalists import Entrant, in_order
from strop.core.gate import assemble, parse_gate
from strop.core.recipe import CLEAN, Offer, Step
from strop.core.rivalry import Racer, ends_race
from strop.core.task import Workload
from strop.core.throughput import Load, baseline_throughput, counts, hindered, rate_of, throughput_of
from strop.plan.discover import backends
from strop.plan.serving import served, under_load
from strop.plan.space import follow, offers
from strop.run.request import make_request
from strop.run.throughput import Size, those_that_fit
from strop.run.ways import with_file_of

from .makers import MS, block, interval, model, pair, quad, recipe, target, task

FOUR = Load(4, batch=2)
rates = st.floats(1.0, 1e5)
STEP = Step(stage="quantize", builder="onnxruntime", name="quantize_static", consumes="onnx", produces="onnx")


def busy(side, requests_a_second, length_ns=50 * MS, cpu=2.0, **counters):
    """A block under load."""
    return block(side, calls=3, **counters).model_copy(
        update={"completed": requests_a_second * length_ns / 1e9, "wall_ns": length_ns, "cpu_ns": int(cpu * length_ns)}
    )


def loaded(a, b, pairs=3, quads=4, **counters):
    """Pairs whose sides serve so many requests a second."""
    blocks = (busy("A", a), busy("B", b, **counters), busy("B", b), busy("A", a))
    return [pair([quad().model_copy(update={"blocks": blocks})] * quads, index, (2, 2)) for index in range(pairs)]


@given(rates, rates)
def test_the_ratio_and_the_rate_are_those_of_the_samples(a, b):
    found = throughput_of(loaded(a, b), FOUR, "confirmation", "fp32")
    assert found.ratio is not None and found.rate is not None
    assert found.ratio.value == pytest.approx(b / a, rel=1e-6)
    assert found.rate.value == pytest.approx(2 * b, rel=1e-6)  # two examples a request
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert (found.concurrency, found.over, found.pairs, found.quads) == (4, "fp32", 3, 12)


def test_one_request_in_flight_follows_from_the_latency():
    found = throughput_of([pair([quad(2 * MS, MS)] * 4, i) for i in range(3)], Load(1, batch=8), "confirmation", "fp32")
    assert found.rate is not None and found.rate.value == pytest.approx(8000)
    assert found.ratio is not None and found.ratio.value == pytest.approx(2)
    assert rate_of(block("A", 10 * MS), Load(1, 2, each=32, unit="tokens")) == pytest.approx(6400)


def test_the_mean_counts_and_not_the_median():
    """Of four calls one takes ten times as long: what is served in a second falls, which a median does not show."""
    slow = block("B").model_copy(update={"latencies_ns": (MS, MS, MS, 10 * MS)})
    assert rate_of(slow, Load(1, 1)) == pytest.approx(4 / 13 * 1000)


def test_the_baselines_own_is_its_side_of_the_pairs():
    found = baseline_throughput(loaded(100, 300), FOUR, "confirmation", "fp32")
    assert found.rate is not None and found.rate.value == pytest.approx(200)
    assert found.ratio == interval(1.0)


def test_too_few_pairs_are_no_confirmation_and_one_pair_is_wide():
    assert throughput_of(loaded(1, 2, pairs=2), FOUR, "confirmation", "a").ratio is None
    assert throughput_of([], FOUR, "search", "a").rate is None
    alone = throughput_of(loaded(1, 2, pairs=1), FOUR, "search", "a").ratio
    assert alone is not None and alone.low < 2 / 1.1 and alone.high > 2 * 1.1


def test_callers_that_wait_for_one_another_are_no_disturbance():
    """More callers than cores keep each other waiting; what a hypervisor or a quota took is told apart."""
    waiting = {"pressure_us": 50_000, "delay_ns": 100 * MS}
    assert throughput_of(loaded(10, 20, **waiting), FOUR, "confirmation", "a").excluded == 0
    for taken in ({"steal_ms": 20.0}, {"throttled_us": 20_000}):
        assert throughput_of(loaded(10, 20, **taken), FOUR, "confirmation", "a").ratio is None


def test_cpu_time_that_falls_short_of_the_usual_is_told():
    (one, *_), least = loaded(10, 20)[0].quads, {"A": 1.5, "B": 1.5}
    assert not hindered(one, least)
    first, *others = one.blocks
    short = first.model_copy(update={"cpu_ns": first.wall_ns // 2})
    assert hindered(one.model_copy(update={"blocks": (short, *others)}), least)


def test_who_asks_for_throughput():
    assert not counts(assemble([]), parse_weights(None))
    assert counts(assemble([]), parse_weights("speed=0.5,throughput=0.5"))
    assert counts(assemble([parse_gate("throughput>=100", "must")]), parse_weights(None))
    with pytest.raises(ConfigError, match="asks for what is worse"):
        assemble([parse_gate("throughput_ratio<=2", "goal")])


def contender(name, speed, throughput):
    return Contender(name=name, rank=0, safety=0, speedup=interval(speed), throughput=interval(throughput, 0.9 * throughput))


def test_a_weight_on_throughput_chooses_by_it():
    fast, busy_one = contender("fast", 3.0, 1.1), contender("streams", 0.6, 2.0)
    by_default, by_load = (choose([fast, busy_one], parse_weights(w)) for w in (None, "throughput=1"))
    assert by_default is not None and by_default.name == "fast"
    assert by_load is not None and by_load.name == "streams"
    assert score(busy_one, {"throughput": 1.0}).value == pytest.approx(math.log(2))


def test_a_weight_or_a_gate_on_throughput_ends_no_race_for_latency():
    fast, slow = (Racer(name, None, {}) for name in ("fast", "slow"))
    assert ends_race(fast, slow, interval(3.0), [], {"speed": 1.0}, dict)
    assert not ends_race(fast, slow, interval(3.0), [], {"throughput": 1.0}, dict)
    assert not ends_race(fast, slow, interval(3.0), [parse_gate("throughput_ratio>=2", "goal")], {"speed": 1.0}, dict)


def test_what_serves_better_than_the_tuned_baseline_may_be_confirmed():
    """Another setting of the given model may be the denominator of throughput, so that the baseline's own score is below 0."""
    entrant = Entrant("fp32-1thread", interval(0.0))
    assert in_order([entrant]) == []
    assert in_order([entrant], -0.2) == [entrant]


LOADS = [
    ({"concurrency": None, "streams": None, "threads": 4, "counts": False}, (1, 1)),
    ({"concurrency": None, "streams": None, "threads": 4, "counts": True}, (4, 4)),
    ({"concurrency": 8, "streams": None, "threads": 4, "counts": False}, (8, 4)),
    ({"concurrency": 2, "streams": None, "threads": 4, "counts": True}, (2, 2)),
    ({"concurrency": None, "streams": 2, "threads": 4, "counts": False}, (2, 2)),
    ({"concurrency": 1, "streams": None, "threads": 4, "counts": True}, (1, 1)),
    ({"concurrency": None, "streams": None, "threads": 1, "counts": True}, (1, 1)),
]


@pytest.mark.parametrize(("asked", "found"), LOADS)
def test_requests_in_flight_and_streams(asked, found):
    workload = under_load(Workload(batches=(8, 1)), **asked)
    assert (workload.concurrency, workload.streams, workload.batches) == (*found, (8, 1))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"concurrency": 8, "streams": 8, "threads": 2}, "--streams 8 is more than the budget of cores, 2"),
        ({"concurrency": 1, "streams": 2, "threads": 2}, "--streams 2 with --concurrency 1: 1 stream"),
        ({"concurrency": 4, "streams": None, "threads": 2, "language": True}, "--concurrency 4: requests to a language model"),
        ({"concurrency": None, "streams": 2, "threads": 2, "language": True}, "--streams 2: requests to a language model"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_flag(asked, words):
    with pytest.raises(UsageError, match=words) as refused:
        under_load(Workload(), counts=False, **asked)
    assert refused.value.hint


@pytest.mark.parametrize("flags", [{"concurrency": 0}, {"streams": 0}, {"streams": -1}, {"concurrency": 5000}])
def test_numbers_out_of_range_are_refused(flags):
    with pytest.raises(UsageError, match=f"--{next(iter(flags))}"):
        make_request("m.onnx", **flags)


def serving(concurrency, streams, *recipes):
    """Recipes offered again for several requests."""
    found = [Offer(name=r.name, reason="because", recipe=r) for r in recipes]
    return [o.recipe for o in served(found, backends(), target(), Workload(concurrency=concurrency, streams=streams))]


def test_every_recipe_is_offered_with_streams_only_where_requests_are_in_flight():
    given = recipe("openvino-f32", "reference", runtime="openvino", settings={"hint": "LATENCY", "streams": 1, "threads": 2})
    small = recipe("nncf-int8", runtime="openvino", settings={"hint": "LATENCY", "streams": 1, "threads": 2})
    gpu = recipe("ov-gpu", runtime="openvino", device="gpu", settings={"device": "GPU"})
    assert serving(1, 1, given, small) == []
    twins = serving(4, 2, given, small, gpu)
    assert [(t.name, t.role) for t in twins] == [("openvino-f32+streams", "baseline-variant"), ("nncf-int8+streams", "candidate")]
    assert all(t.settings == {"hint": "THROUGHPUT", "streams": 2, "threads": 2} for t in twins)


def test_recipes_for_throughput_come_first_where_it_counts():
    small = recipe("nncf-int8", runtime="openvino", turn=3)
    found = [Offer(name="nncf-int8", reason="because", recipe=small)]
    turns = []
    for counted in (True, False):
        (twin,) = served(found, backends(), target(), Workload(concurrency=2, streams=2, by_throughput=counted))
        turns.append(twin.recipe.turn)
    assert turns[0] < small.turn < turns[1]


@pytest.mark.parametrize(
    ("left", "found"),
    [(1e9, (3, Size(5, 8))), (45, (3, Size(5, 4))), (14, (3, Size(3, 2))), (12, (2, Size(3, 2))), (0, (1, Size(3, 2)))],
)
def test_what_is_confirmed_in_the_time_left(left, found):
    assert those_that_fit(3, left, lambda size: size.pairs * size.quads * 0.7) == found


def test_onnx_runtime_serves_several_requests_from_one_session():
    """The setting for one thread is what its streams are, so that the given model has no second offer of it."""
    fair = {"graph": "all", "threads": 2, "spinning": False}
    given = recipe("fp32", "reference", runtime="onnxruntime", settings=fair)
    one = recipe("fp32-1thread", "baseline-variant", runtime="onnxruntime", settings={**fair, "threads": 1})
    small = recipe("int8-static", runtime="onnxruntime", settings={"graph": "all"}, follows_baseline=True, steps=(STEP,))
    (twin,) = serving(2, 2, given, one, small)
    assert twin.name == "int8-static+streams"
    assert follow(twin, given).settings == {**fair, "threads": 1}


def test_a_recipe_asked_for_by_name_keeps_its_streams():
    null = backends()["null"]
    asked = task().model_copy(update={"workload": Workload(concurrency=2, streams=2)})
    there = model().model_copy(update={"traits": {"modes": ["fast", "same"]}})
    found = offers({"null": replace(null)}, there, target(), asked, names=["fast"])
    assert [o.name for o in found if o.offered] == ["plain", "idle", "fast", "plain+streams", "fast+streams"]


def test_ways_of_serving_take_the_tuned_baselines_file_and_shapes():
    """A bad export set up for load, or a clean one that nobody set up, would flatter every candidate."""
    fair = {"graph": "all", "threads": 2, "spinning": False}
    step = STEP.model_copy(update={"name": CLEAN})
    given, clean = (
        recipe("fp32", "reference", settings=fair),
        recipe("fp32-clean", "baseline-variant", settings=fair, steps=(step,)),
    )
    static = recipe("fp32-static", "baseline-variant", settings={**fair, "shapes": "x=1x4", "axes": "n=1"})
    one = recipe("fp32-1thread", "baseline-variant", settings={**fair, "threads": 1})
    served = recipe("fp32+streams", "baseline-variant", settings={"hint": "THROUGHPUT", "streams": 2, "threads": 2})
    found = with_file_of(clean, one)
    assert found is not None and found.cleaned
    assert (found.name, found.settings) == ("fp32-clean+1thread", {**fair, "threads": 1})
    found = with_file_of(static, served)
    assert found is not None and (found.name, found.role) == ("fp32-static+streams", "baseline-variant")
    assert found.settings == {"graph": "all", "shapes": "x=1x4", "axes": "n=1", **served.settings}
    assert with_file_of(given, one) is None
    assert with_file_of(clean, recipe("a", runtime="another")) is None
