"""Exports made worse on purpose still answer as before, and are worse."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from benchmarks import spoil, spoiled
from benchmarks.models import residual_graph


@pytest.fixture(scope="module")
def clean() -> bytes:
    found: bytes = residual_graph().SerializeToString()
    return found


def answer(model: bytes, given: Any) -> Any:
    return ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"input": given})[0]


@pytest.mark.parametrize("way", spoil.WAYS)
def test_a_spoiled_model_gives_the_same_answers_and_is_another(clean: bytes, way: str) -> None:
    model = spoil.WAYS[way](onnx.load_from_string(clean))
    onnx.checker.check_model(model)
    given = np.random.default_rng(0).standard_normal((1, 3, 96, 96)).astype(np.float32)
    expected = answer(clean, given)
    assert np.allclose(answer(model.SerializeToString(), given), expected, atol=1e-3 * np.abs(expected).max())
    assert model.SerializeToString() != clean


def test_a_convolution_that_two_operators_use_is_copied_once(clean: bytes) -> None:
    before = onnx.load_from_string(clean)
    after = spoil.duplicated_weights(onnx.load_from_string(clean))
    count = [sum(node.op_type == "Conv" for node in model.graph.node) for model in (before, after)]
    assert count[0] < count[1] <= 2 * count[0]


def row(low: float, value: float, high: float, cleanup: float | None = None) -> dict[str, Any]:
    return {
        "outcome": "chosen", "baseline": "b", "chosen": "int8", "backend": "openvino", "speedup": [low, value, high],
        "over_as_is": [low, value, high],
        "cleanup": None if cleanup is None else {"candidate": "fp32-clean", "in_baseline": False, "speedup": [cleanup] * 3},
    }  # fmt: skip


def test_a_gain_is_the_same_within_the_intervals_of_both() -> None:
    rows = {"clean": row(1.9, 2, 2.1), "old-opset": row(1.85, 1.95, 2.05), "dynamic-axes": row(2.9, 3, 3.1, 2.47),
            "float64-islands": {"error": "a|b"}}  # fmt: skip
    text = spoiled.render({"models": {"m": {"command": "c", "rows": rows}}})
    found = {line.split(" | ")[0].removeprefix("| "): line for line in text if line.startswith("| ")}
    assert "| yes |" in found["old-opset"]
    assert "| **no** |" in found["dynamic-axes"]
    assert "2.470 [2.470, 2.470] (not in the baseline)" in found["dynamic-axes"]
    assert "a/b" in found["float64-islands"]


def test_figures_are_read_from_a_report_with_and_without_clean_up() -> None:
    figure = {"value": 2.0, "low": 1.9, "high": 2.1}
    report = {"outcome": "chosen", "baseline": {"name": "fp32"},
              "chosen": {"name": "int8", "backend": "openvino", "speedup": figure, "against_as_is": None}}  # fmt: skip
    assert spoiled.figures(report)["cleanup"] is None
    assert spoiled.figures(report)["speedup"] == [1.9, 2.0, 2.1]
    cleanup = {"candidate": "fp32-clean", "speedup": figure, "in_baseline": True, "faults": ["weights-as-inputs"]}
    named = {**report, "baseline": {"name": "fp32-clean", "cleanup": cleanup}}
    assert spoiled.figures(named)["cleanup"]["speedup"] == [1.9, 2.0, 2.1]
    assert "error" in spoiled.figures({**report, "chosen": None})
