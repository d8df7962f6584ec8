"""Requests in flight in the child: who is called at once, what counts as served, and whose failure it was."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop_child.evaluation import InvalidOutput
from strop_child.loaded import MOST_LATENCIES, Callers, completed, latencies_of, runtimes


class Session:
    """Sleeps, and knows how many of its kind run at once."""

    def __init__(self, shared, fails=False, answer=1.0):
        self.shared, self.fails, self.answer, self.running = shared, fails, answer, 0

    def run(self, feed):
        with self.shared["lock"]:
            self.shared["now"] += 1
            self.running += 1
            self.shared["most"] = max(self.shared["most"], self.shared["now"])
            self.shared["own"] = max(self.shared["own"], self.running)
        time.sleep(0.002)
        with self.shared["lock"]:
            self.shared["now"] -= 1
            self.running -= 1
        if self.fails:
            raise RuntimeError("it fails under load")
        return {"y": np.full(2, self.answer, np.float32)}


class Forking(Session):
    def fork(self):
        return self


class Lane:
    def __init__(self, session, reference=None):
        self.runtime, self.reference = session, reference
        self.feeds = [{"x": np.zeros(1)}] * 3


@pytest.fixture
def shared():
    return {"lock": threading.Lock(), "now": 0, "most": 0, "own": 0}


def test_streams_are_sessions_side_by_side_and_callers_take_turns(shared):
    callers = Callers(Lane(Session(shared)), 4, 2, lambda: Session(shared))
    record = callers.block(0.02)
    assert (shared["most"], shared["own"]) == (2, 1)
    assert record["completed"] > 0 and record["wall_ns"] >= 20_000_000
    assert {"cpu_ns", "steal_ms", "delay_ns", "throttled_us", "pressure_us", "voluntary"} <= set(record)


def test_whoever_waits_has_a_turn(shared):
    """Ten callers of one session: without an order, the one that has it would take it again and again."""
    callers = Callers(Lane(Session(shared)), 10, 1, lambda: Session(shared))
    callers.block(0.05)
    assert shared["most"] == 1
    calls = [(cursor - place) // 10 for place, cursor in enumerate(callers.cursors)]
    assert max(calls) <= min(calls) + 2


def test_a_runtime_that_forks_is_called_by_everybody_at_once(shared):
    Callers(Lane(Forking(shared)), 3, 1, lambda: pytest.fail("no other session is opened")).block(0.02)
    assert (shared["most"], shared["own"]) == (3, 3)


def test_no_more_sessions_than_callers(shared):
    assert len(runtimes(Session(shared), 2, 8, lambda: Session(shared))) == 2
    assert len(runtimes(Session(shared), 8, 1, lambda: Session(shared))) == 1


def test_a_failure_under_load_ends_the_block(shared):
    with pytest.raises(RuntimeError, match="under load"):
        Callers(Lane(Session(shared, fails=True)), 2, 2, lambda: Session(shared)).block(5.0)


def test_answers_under_load_are_compared(shared):
    expected = [{"y": np.ones(2, np.float32)}] * 3
    assert Callers(Lane(Session(shared), expected), 2, 2, lambda: Session(shared)).block(0.01)["completed"] > 0
    with pytest.raises(InvalidOutput, match="under load"):
        Callers(Lane(Session(shared, answer=2.0), expected), 2, 1, lambda: Session(shared)).block(0.01)


def test_the_warm_up_ends(shared):
    warmed = Callers(Lane(Session(shared)), 2, 2, lambda: Session(shared)).warm()
    assert warmed["runs"] > 0 and warmed["median_ns"] > 0


@given(st.integers(1, 8), st.integers(1, 400), st.integers(0, 5000), st.integers(1, 3000))
def test_as_much_is_completed_as_the_callers_had_time_for(callers, each, begin, length):
    """Callers that are always busy complete length / duration requests each, wherever the ends of the block fall."""
    end, last = begin + length, begin + length + each
    spans = [(start, start + each) for place in range(callers) for start in range(-place * each // callers, last, each)]
    assert completed(spans, begin, end) == pytest.approx(callers * length / each)


def test_latencies_are_those_that_ended_and_a_sample_of_many():
    assert latencies_of([(0, 10), (5, 25), (20, 40)], 8, 30) == [10, 20]
    assert latencies_of([(0, 1000)], 8, 30) == [1000]
    many = latencies_of([(i, i + 7) for i in range(5000)], 0, 10_000)
    assert 0 < len(many) <= MOST_LATENCIES and set(many) == {7}
