"""The candidates made by hand in ONNX Runtime, and the table of the best of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from benchmarks.by_hand import table
from benchmarks.by_hand.in_onnxruntime import clean, qdq, static
from benchmarks.models import residual_graph
from benchmarks.peers import lines
from benchmarks.peers.metrics import IGNORED, token_accuracy
from benchmarks.peers.notes import PITCHES, notes
from benchmarks.peers.side import open_any
from benchmarks.spoil import weights_as_inputs


def test_candidates_answer_like_the_original_with_the_shapes_of_the_data(tmp_path: Path) -> None:
    source, data = tmp_path / "model.onnx", tmp_path / "data.npz"
    onnx.save(weights_as_inputs(residual_graph()), source)
    given = np.random.default_rng(0).standard_normal((4, 3, 96, 96)).astype(np.float32)
    np.savez(data, images=given)
    made = [tmp_path / f"{kind}.onnx" for kind in ("clean", "static", "qdq")]
    clean(str(source), str(made[0]))
    static(str(made[0]), str(made[1]), str(data), "input=images")
    qdq(str(made[1]), str(made[2]), str(data), "input=images")
    expected = answer(source, given[:1])
    for path in made:
        assert np.abs(answer(path, given[:1]) - expected).max() < 0.1 * np.abs(expected).max()
    assert [len(onnx.load(path).graph.input) for path in made] == [1, 1, 1]
    assert open_any(made[0]).batch == 1
    sizes = onnx.load(made[1]).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in sizes] == [1, 3, 96, 96]
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(made[2]).graph.node}


def answer(path: Path, given: Any) -> Any:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": given})[0]


def row(speed: float, passes: bool, pick: float) -> dict[str, Any]:
    return {"accuracy": 0.9, "passes": passes, "over_original": [speed] * 3, "pick_over_it": [pick / speed] * 3, "ms": 1.0}


def test_the_best_by_hand_is_the_fastest_that_keeps_the_accuracy() -> None:
    rows = {"original": row(1, True, 2), "ov-int8": row(4, False, 2), "ov-bf16": row(2.5, True, 2), "strop": row(2, True, 2)}
    model = {"command": "c", "machine": {"cpu": "a CPU"}, "notes": {"strop": "int8", "ort-qdq": "exit code 1"}, "rows": rows}
    text = "\n".join(table.render({"models": {"m": model}}))
    assert "| m | OpenVINO, fixed shapes, bf16 | 2.500 [2.500, 2.500] | int8 | 2.000 [2.000, 2.000] | 0.800 " in text
    assert "On 0 of 1 models the pick reaches 0.97" in text
    assert "exit code 1" in text
    del rows["strop"]
    for found in rows.values():
        found["pick_over_it"] = None
    assert "| – |" in "\n".join(table.render({"models": {"m": model}}))


def test_steps_without_a_label_do_not_count() -> None:
    answers = np.eye(3)[None]
    assert token_accuracy(answers, {}, np.array([[0, IGNORED, 1]])) == 0.5
    assert token_accuracy(answers, {}, np.array([[IGNORED] * 3])) == 0
    assert lines.BLANK == 0


def test_a_note_is_labeled_by_its_pitch_about_its_beginning() -> None:
    made = notes(3, seed=0)
    assert made["audio"].shape == (3, 43844, 1)
    assert all(len(set(row % PITCHES)) == 1 for row in made["labels"])
    for audio, label in zip(made["audio"][..., 0], made["labels"], strict=True):
        assert abs(int(np.argmax(np.abs(audio) > 0.05)) / 256 - label[len(label) // 2] // PITCHES) < 4
