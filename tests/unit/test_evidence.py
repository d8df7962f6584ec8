"""What the page is made from: examples that differ, pictures, the step that each candidate adds, advice in sentences."""

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from strop.core.gate import DEFAULT_GATES, judge
from strop.core.recipe import Step
from strop.report.advice import trade_offs, watch
from strop.report.evidence import NO_EVIDENCE
from strop.report.examples import SHOWN, candidate_to_compare, compare
from strop.report.lineage import gains, way_to
from strop.report.picture import as_picture, how_drawn, png
from strop.run.evidence import command
from strop.run.families.language.samples import SAMPLES, stored_samples
from strop.store.store import RunFolder, write_json

from .makers import interval
from .test_report import BASELINE, outcome, result

scores = hnp.arrays(np.float32, (20, 3), elements=st.floats(-5, 5, width=32))


@given(scores, scores, hnp.arrays(np.int64, 20, elements=st.integers(0, 2)))
def test_examples_count_what_differs(baseline, candidate, labels):
    found = compare("c", baseline, candidate, labels, "top1")
    theirs, mine = baseline.argmax(axis=1), candidate.argmax(axis=1)
    assert (found.compared, found.differ) == (20, int((theirs != mine).sum()))
    assert found.lost == int(((theirs == labels) & (mine != labels)).sum())
    assert found.won == int(((theirs != labels) & (mine == labels)).sum())
    assert len(found.shown) == min(found.differ, SHOWN)
    kinds = [(e.baseline.right, e.candidate.right) for e in found.shown]
    assert kinds == sorted(kinds, key=[(True, False), (False, True), (False, False)].index)


def test_examples_name_their_classes_and_several_labels():
    eye = np.eye(3, dtype=np.float32)
    found = compare("c", eye, eye[[1, 1, 2]], np.array([[0, 2], [1, -1], [2, -1]]), "topk", {"0": "cat"})
    (example,) = found.shown
    assert (example.index, example.label) == (0, "cat (0) or 2")
    assert (example.baseline.text, example.baseline.score, example.baseline.right) == ("cat (0)", 1.0, True)
    assert (example.candidate.text, example.candidate.right) == ("1", False)


def test_examples_without_labels_and_of_numbers():
    eye = np.eye(2, dtype=np.float32)
    assert compare("c", eye, eye[::-1], None, "agreement").shown[0].baseline.right is None
    numbers = compare("c", np.arange(3.0)[:, None], np.array([[0.0], [1.5], [4.0]]), np.arange(3.0), "mae")
    assert (numbers.differ, numbers.classes, [e.index for e in numbers.shown]) == (2, False, [2, 1])
    assert numbers.shown[0].candidate.text == "4"


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a PNG whose rows are not filtered."""
    at, parts, size = 8, b"", (0, 0, 0)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, _, color = struct.unpack(">IIBB", body[:10])
            size = (height, width, 3 if color == 2 else 1)
        parts += body if kind == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(parts), np.uint8).reshape(size[0], -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(size).squeeze()


@given(hnp.arrays(np.uint8, st.sampled_from([(9, 12), (9, 12, 3)])))
def test_png_holds_the_pixels(pixels):
    assert np.array_equal(decoded(png(pixels)), pixels)


DRAWN = {
    (28, 28, 3): (28, 28, 3), (3, 224, 200): (75, 67, 3), (1, 28, 28): (28, 28), (49, 10, 1): (49, 10), (4, 4, 3): None,
    (28, 28): None, (28, 28, 2): None, (16,): None,
}  # fmt: skip


@pytest.mark.parametrize(("shape", "drawn"), DRAWN.items())
def test_what_looks_like_a_picture(shape, drawn):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    pixels = as_picture(values)
    assert (pixels is None) == (drawn is None)
    if pixels is not None:
        assert (pixels.shape, pixels.dtype, pixels.min(), pixels.max()) == (drawn, np.uint8, 0, 255)


def test_a_picture_undoes_only_what_is_known():
    whole = np.arange(192, dtype=np.float32).reshape(8, 8, 3)
    assert np.array_equal(as_picture(whole), whole)
    assert np.array_equal(as_picture(whole / 255), whole)
    assert "as they are" in how_drawn(whole)
    assert "times 255" in how_drawn(whole / 255)
    assert "not known" in how_drawn(whole - 100)
    assert not as_picture(np.full((8, 8, 1), -3.0)).any()


def step(name, **params):
    return Step(stage="quantize", builder="b", name=name, consumes="null", produces="null", params=params)


def made(name, steps, speed=1.0, **settings):
    found = result(name, speed)
    recipe = found.candidate.recipe.model_copy(update={"steps": tuple(steps), "settings": settings or {"threads": 2}})
    return found.model_copy(update={"candidate": found.candidate.model_copy(update={"recipe": recipe})})


def test_each_candidate_is_beside_the_one_it_adds_to():
    a, b = step("prune"), step("quantize", bits=8)
    whole = outcome(
        made("pruned", [a], 2.0), made("both", [a, b], 4.0), made("both+1", [a, b], 1.0, threads=1),
        made("four", [step("quantize", bits=4)], 3.0), made("eight", [b], 1.5), chosen="both",
    )  # fmt: skip
    found = {g.name: (g.parent, g.added) for g in gains(whole)}
    assert found == {
        "pruned": ("plain", "prune (b)"),
        "both": ("pruned", "quantize (b)"),
        "both+1": ("both", "threads: 2 → 1"),
        "four": ("plain", "quantize (b)"),
        "eight": ("four", "quantize: bits: 4 → 8"),
    }
    assert [(g.name, g.speedup.value) for g in way_to(whole, "both")] == [("pruned", 2.0), ("both", 2.0)]


def test_the_way_begins_with_the_model_as_it_runs_today():
    today = result("today", 0.5, role="as-is")
    whole = outcome(today, made("fast", [step("quantize")], 3.0), chosen="fast").model_copy(update={"as_is": "today"})
    assert [(g.parent, g.name) for g in way_to(whole, "fast")] == [("today", "plain"), ("plain", "fast")]
    assert way_to(whole, "fast")[0].speedup.value == pytest.approx(2.0)


def test_what_is_compared_was_changed_by_a_step():
    assert candidate_to_compare(outcome(result("tuned", 3.0), chosen="tuned")) is None
    assert candidate_to_compare(outcome(made("q", [step("quantize")], 0.5), result("tuned", 3.0), chosen="tuned")) == "q"


def test_trade_offs_say_why_something_faster_was_not_chosen():
    lost = {
        "accuracy_retained": interval(0.8),
        "tail_ratio": interval(1.0),
        "speedup": interval(9.0),
        "memory_ratio": interval(1.0),
    }
    inaccurate = made("rough", [step("quantize")], 9.0).model_copy(update={"verdict": judge(DEFAULT_GATES, lost, None, {})})
    sentences = " ".join(trade_offs(outcome(inaccurate, made("fast", [step("prune")], 3.0), chosen="fast")))
    assert "rough looks faster (9× [8.9, 9.1]) and was not chosen: it does not pass accuracy kept ≥ 95 %" in sentences
    assert "a loss of more than 2.0% of it is unlikely" in sentences
    assert "The model's part of the memory is less: 0.4×" in sentences


@pytest.mark.parametrize(
    ("retained", "said"),
    [
        (interval(0.9, 0.85, 0.95), "Some accuracy was given up"),
        (interval(1.1, 1.05, 1.2), "even better"),
        (None, "not measured"),
    ],
)
def test_trade_offs_of_accuracy(retained, said):
    chosen = made("fast", [step("prune")], 3.0).model_copy(update={"retained": retained})
    assert said in " ".join(trade_offs(outcome(chosen, chosen="fast")))


def test_nothing_chosen_gives_no_advice():
    empty = outcome(result("slow", 0.5))
    assert trade_offs(empty) == [] and watch(empty, NO_EVIDENCE) == []


def test_thresholds_are_those_of_the_gates_and_the_run():
    entries = {w.what: w for w in watch(outcome(made("fast", [step("prune")], 3.0), chosen="fast"), NO_EVIDENCE)}
    assert entries["accuracy"].alarm == f"below {0.95 * BASELINE.accuracy:.4g}"
    assert entries["typical latency (p50)"].here == "1.23 ms"


def test_the_command_asks_the_same_lengths_of_a_language_model(tmp_path):
    asked = {"model": "m", "eval_tokens": 4096, "prompt_tokens": 64, "output_tokens": 8, "context": 256}
    (tmp_path / "run.json").write_text(json.dumps({"request": asked}))
    assert command(tmp_path / "run.json") == (
        "strop optimize m --prompt-tokens 64 --output-tokens 8 --context 256 --seed 0 --fresh"
    )


def test_texts_are_read_prompt_by_prompt(tmp_path):
    run = RunFolder(tmp_path)
    assert stored_samples(run) == ()
    sample = {"prompt": [1], "made": [2, 3], "stopped": "end", "text": {"prompt": "p", "made": "ab"}}
    write_json(tmp_path / SAMPLES, {"candidates": {"base": [sample, {**sample, "text": {"prompt": "q", "made": "c"}}]}})
    found = stored_samples(run)
    assert [(s.prompt, s.writings[0].text, s.writings[0].tokens, s.writings[0].stopped) for s in found] == [
        ("p", "ab", (2, 3), "end"), ("q", "c", (2, 3), "end"),
    ]  # fmt: skip
