"""Sessions of fixed shapes: which one answers, when it is opened, what is refused, and that threads have their own."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from strop_child.evaluation import InvalidOutput
from strop_child.lengths import require_exact
from strop_child.shaped import OtherShape, of_first, open_shaped
from strop_child.tensor import TensorSession

FIXED = {"shapes": "x=1x4|x=3x4", "axes": "n=1|n=3", "threads": 1}
LENGTHS = {"shapes": "ids=1x8,mask=1x8|ids=1x4,mask=1x4", "crop": "hidden=1", "mask": "mask"}


class Session:
    """Doubles `x`; of texts, the sum over what the mask does not hide, and every token."""

    def __init__(self, settings, opened, leaks=0.0):
        self.settings, self.opened, self.leaks = settings, opened, leaks
        self.shapes = []

    def run(self, feed):
        self.shapes.append({n: a.shape for n, a in feed.items()})
        if "x" in feed:
            return {"y": feed["x"] * 2}
        weight = feed["mask"] + self.leaks * (1 - feed["mask"])
        bias = 1 if self.leaks else 0
        return {"sum": ((feed["ids"] + bias) * weight).sum(1), "hidden": feed["ids"] * 3}

    def fork(self):
        return type(self)(self.settings, self.opened, self.leaks)


@pytest.fixture
def opened():
    return []


@pytest.fixture
def open_(opened):
    def make(settings, others="refuse", leaks=0.0):
        def opener(_path, settings):
            opened.append(settings)
            return Session(settings, opened, leaks)

        return open_shaped(opener, "m", settings, others)

    return make


def x(rows):
    return {"x": np.arange(rows * 4.0).reshape(rows, 4)}


def test_without_fixed_shapes_it_is_the_runtimes_own_session(open_, opened):
    assert type(open_({"threads": 1})) is Session
    assert opened == [{"threads": 1}]


def test_only_what_is_needed_is_opened(open_, opened):
    session = open_(FIXED, "fallback")
    assert opened == [{"threads": 1, "shapes": "x=1x4", "axes": "n=1"}], "a start loads one session"
    for rows in (1, 3, 2, 5, 1, 3):
        assert np.array_equal(session.run(x(rows))["y"], x(rows)["x"] * 2)
    assert opened[1:] == [{"threads": 1, "shapes": "x=3x4", "axes": "n=3"}, {"threads": 1, "varying": True}]


def test_other_shapes_are_refused_by_name(open_, opened):
    with pytest.raises(OtherShape, match=r"'x' has shape \[2, 4\]; it takes x=1x4\|x=3x4 only"):
        open_(FIXED).run(x(2))
    assert len(opened) == 1


def test_threads_share_what_is_open(open_, opened):
    session = open_(FIXED, "fallback")
    found = []

    def call():
        own = session.fork()
        found.extend(np.array_equal(own.run(x(rows))["y"], x(rows)["x"] * 2) for rows in (1, 2, 3) * 20)

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 8 * 60
    assert all(found)
    assert len(opened) == 3


def text(length, real):
    mask = np.arange(length)[None] < real
    return {"ids": (np.arange(1, length + 1)[None] * mask).astype(np.int64), "mask": mask.astype(np.int64)}


def test_texts_are_filled_up_to_the_next_length_and_answers_cropped(open_, opened):
    session = open_(LENGTHS)
    assert len(opened) == 2, "all lengths: what they take counts as this session's memory"
    for length in range(1, 9):
        answer = session.run(text(length, length))
        assert answer["sum"] == length * (length + 1) // 2
        assert np.array_equal(answer["hidden"], text(length, length)["ids"] * 3)
    with pytest.raises(OtherShape):
        session.run(text(9, 9))


def test_filling_up_is_compared_with_the_answers_that_were_judged(open_):
    rows = [text(8, real) for real in (2, 3, 4, 5, 8)]
    inputs = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}

    def judged(session):
        answers = [session.run({n: a[k : k + 1] for n, a in inputs.items()}) for k in range(len(rows))]
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}

    exact, leaking = open_(LENGTHS), open_(LENGTHS, leaks=10.0)
    require_exact(exact, "mask", inputs, judged(exact), 1)
    with pytest.raises(InvalidOutput, match="the model's mask does not hide what is padded"):
        require_exact(leaking, "mask", inputs, judged(leaking), 1)


@pytest.mark.parametrize("bundle", [False, True])
def test_fixed_shapes_are_judged_at_the_batch_that_is_timed(tmp_path, bundle):
    """Larger batches would be answered sooner, by a session that is not the one that is timed."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((300, 4)))
    made = []

    def opener(_path, settings):
        made.append(Session(settings, []))
        made[-1].filled = bundle
        return made[-1]

    settings = {} if bundle else FIXED
    lane = TensorSession(SimpleNamespace(open=opener), str(tmp_path / "m"), settings, {"x": str(tmp_path / "x.npy")}, 1, 32)
    assert lane.evaluate(str(tmp_path), together=32)["batched"] == 1
    assert len(made) == 1
    assert {shapes["x"] for shapes in made[0].shapes} == {(1, 4)}


def test_the_profiled_session_is_the_one_that_is_timed():
    assert of_first(FIXED) == {"shapes": "x=1x4", "axes": "n=1", "threads": 1}
    assert of_first(LENGTHS) == {"shapes": "ids=1x8,mask=1x8"}
    assert of_first({"threads": 1}) == {"threads": 1}
