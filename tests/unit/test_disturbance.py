"""What disturbs a block or a quad: counters only, never a latency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core import disturbance as d

from .makers import MS, block, pair, quad

LEAST = {"A": 0.9, "B": 0.9}
ALONE, SHARED = {"A": 1, "B": 1}, {"A": 2, "B": 2}


@pytest.mark.parametrize(
    ("disturbance", "reason"),
    [
        ({"steal_ms": 5.0}, "steal"),
        ({"throttled_us": 5_000}, "throttled"),
        ({"delay_ns": int(0.6 * MS)}, "delay"),
        ({"cpu": 0.5}, "cpu"),
    ],
)
def test_a_disturbed_quad_is_left_out_with_its_reason(disturbance, reason):
    assert d.disturbed(quad(**disturbance), LEAST, ALONE) == reason


@pytest.mark.parametrize(
    "disturbance", [{}, {"steal_ms": 1.0}, {"throttled_us": 1_000}, {"delay_ns": int(0.4 * MS)}, {"cpu": 0.95}]
)
def test_little_disturbance_is_kept(disturbance):
    assert d.disturbed(quad(**disturbance), LEAST, ALONE) is None


def test_pressure_of_the_whole_machine_says_nothing_of_one_thread():
    """A neighbor on another core raises it and disturbs nobody."""
    busy = quad(pressure_us=9_000, delay_ns=0)
    assert d.disturbed(busy, LEAST, ALONE) is None
    assert d.disturbed(busy, LEAST, SHARED) == "pressure"
    assert d.disturbed(quad(pressure_us=9_000), LEAST, ALONE) is None


@given(st.floats(1e3, 1e9), st.floats(1e3, 1e9))
def test_no_latency_ever_leaves_a_quad_out(a_ns, b_ns):
    assert d.disturbed(quad(a_ns, b_ns), LEAST, ALONE) is None


@pytest.mark.parametrize(("calls", "kept", "refused"), [(1, 0.009, 0.011), (3, 0.029, 0.031), (8, 0.049, 0.051)])
def test_a_block_of_few_calls_bears_less_delay(calls, kept, refused):
    """The median absorbs one delayed call of three, none of one or two."""
    for share, is_delayed in ((kept, False), (refused, True)):
        assert d.delayed(block("A", calls=calls, delay_ns=int(share * calls * MS)), 1) is is_delayed


def test_delay_decides_at_one_thread_only_and_where_it_is_counted():
    assert not d.delayed(block("A", delay_ns=10 * MS), 2)
    assert not d.delayed(block("A"), 1)


def test_least_parallelism_is_most_of_a_sides_own_median():
    pairs = [pair([quad(cpu=2.0), quad(cpu=3.0)])]
    assert d.least_parallelism(pairs, "B", 4) == pytest.approx(d.CPU_SHARED * (1.5 + 2.0) / 2)
    assert d.least_parallelism(pairs, "B", 1) == d.CPU_ALONE
    assert d.least_parallelism([], "A", 1) == 0.0


def test_one_thread_that_waits_by_nature_is_compared_with_its_median_only_where_delay_is_counted():
    waits = quad(cpu=0.2)
    counted = waits.model_copy(update={"blocks": tuple(b.model_copy(update={"delay_ns": 0}) for b in waits.blocks)})
    assert d.least_parallelism([pair([waits] * 3)], "B", 1) == d.CPU_ALONE
    assert d.least_parallelism([pair([counted] * 3)], "B", 1) == pytest.approx(0.6 - d.CPU_SLACK)


@pytest.mark.parametrize("threads", [1, 4])
def test_little_cpu_time_that_varies_by_ticks_says_nothing(threads):
    """A session that waits for an accelerator: the kernel's ticks alone move its few milliseconds by half."""
    counted = [quad(cpu=share).blocks for share in (0.02, 0.08, 0.08)]
    quads = [quad().model_copy(update={"blocks": tuple(b.model_copy(update={"delay_ns": 0}) for b in bs)}) for bs in counted]
    least = d.least_parallelism([pair(quads)], "B", threads)
    assert all(d.parallelism(found, "B") >= least for found in quads)


def test_delay_counts_at_several_threads_too():
    """Alone it is a thousandth of their time, beside a neighbor a third; not every machine counts pressure."""
    least = {"A": 0.0, "B": 0.0}
    assert d.disturbed(quad(delay_ns=10 * MS), least, SHARED) == "delay"
    assert d.disturbed(quad(delay_ns=2 * MS), least, SHARED) is None
