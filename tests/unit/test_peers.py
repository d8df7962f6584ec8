"""The pure rules of the peers benchmark."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.peers import chart, suite, table
from benchmarks.peers.filetypes import PADDING, SIDE, features
from benchmarks.peers.metrics import ranks, spearman, top1
from benchmarks.peers.race import T95, milliseconds, ratio
from hypothesis import given
from hypothesis import strategies as st


def model(**peers: tuple[float, bool]) -> dict[str, Any]:
    """A raced model: peer → its speed over the original, whether it passes; the pick is twice as fast as the original."""
    rows = {"original": (1.0, True), **peers, "strop": (2.0, True)}
    return {
        "command": "python -m benchmarks peers", "machine": {"cpu": "a CPU"}, "notes": {"olive": "exit code 1, no model: why"},
        "rows": {
            name: {"accuracy": 0.9 if passes else 0.45, "passes": passes, "over_original": [s * 0.9, s, s * 1.1],
                   "pick_over_it": [1.8 / s, 2 / s, 2.2 / s], "ms": 1 / s}
            for name, (s, passes) in rows.items()
        },
    }  # fmt: skip


def test_top1_takes_any_of_the_right_classes() -> None:
    answers = np.eye(3)
    assert top1(answers, {}, np.array([0, 1, 1])) == pytest.approx(2 / 3)
    assert top1(answers, {}, np.array([[0, -1], [2, 1], [0, 1]])) == pytest.approx(2 / 3)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_ranks_sum_up_and_equal_values_share_theirs(values: list[int]) -> None:
    found = ranks(np.array(values))
    assert found.sum() == pytest.approx(len(values) * (len(values) + 1) / 2)
    assert all((a < b) == (x < y) for (a, x), (b, y) in itertools.product(zip(values, found, strict=True), repeat=2))


def test_spearman_means_over_the_mask_only() -> None:
    angles = np.array([0.1, 0.4, 0.9])
    texts = np.stack([v for a in angles for v in ([1.0, 0.0], [math.cos(a), math.sin(a)])])
    answers = np.stack([texts, np.full_like(texts, 7.0)], axis=1)
    mask = {"attention_mask": np.tile([1, 0], (6, 1))}
    assert spearman(answers, mask, np.array([5.0, 3.0, 1.0])) == pytest.approx(1)
    assert spearman(answers, mask, np.array([1.0, 3.0, 5.0])) == pytest.approx(-1)


def test_ratio_pairs_the_rounds_of_a_repeat() -> None:
    drift = [[0.0, 5.0, 9.0], [1.0, 2.0, 3.0]]
    slower = [[v + math.log(2) for v in repeat] for repeat in drift]
    assert ratio(drift, slower) == [2.0, 2.0, 2.0]
    assert milliseconds([[math.log(2e6)] * 3] * 2) == 2.0
    assert len(T95) == 30
    assert list(T95) == sorted(T95, reverse=True)


def test_the_best_peer_is_the_fastest_that_passes() -> None:
    raced = model(**{"nncf-default": (3.0, False), "ort-static": (1.6, True), "ort-dynamic": (0.1, True)})
    assert table.best(raced) == "ort-static"
    assert table.best(model()) is None
    text = "\n".join(table.render({"models": {"m": raced}}))
    assert "best single-framework answer, ONNX Runtime `quantize_static`, defaults: **1.250 [1.125, 1.375]**" in text
    assert "m: keeps 50.0% of the accuracy" in text
    assert "m: exit code 1, no model: why" in text


def test_the_chart_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    figures = {"models": {"m": model(**{"ort-static": (1.6, True)})}}
    for name in ("a.svg", "b.svg"):
        chart.draw(figures, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_model_is_done_only_by_this_commit_on_this_machine() -> None:
    machine = {"cpu": "a CPU", "load": 1.0, "versions": {"commit": "abc"}}
    document = {"figures": {"models": {"m": {"machine": {**machine, "load": 2.0}}}}}
    assert suite.is_done("m", document, machine)
    assert not suite.is_done("m", document, {**machine, "cpu": "another"})
    assert not suite.is_done("other", document, machine)
    assert not suite.is_done("m", None, machine)
    changed = {**machine, "versions": {"commit": "abc+"}}
    assert not suite.is_done("m", {"figures": {"models": {"m": {"machine": changed}}}}, changed)


def test_features_are_taken_from_both_ends_without_blanks(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b" \n" + b"a" * 10 + b"b" * 5000 + b"c\n")
    taken = np.frombuffer(features(file) or b"", np.int32)
    assert taken.shape == (2 * SIDE,)
    assert (taken[0], taken[10], taken[-1]) == (ord("a"), ord("b"), ord("c"))
    file.write_bytes(b"12345678 ")
    taken = np.frombuffer(features(file) or b"", np.int32)
    assert (
        list(taken[:9])
        == [
            *b"12345678 ",
        ][:9]
    )
    assert taken[9] == taken[SIDE] == PADDING
    file.write_bytes(b"   12345 ")
    assert features(file) is None
    file.write_bytes(b"short")
    assert features(file) is None
