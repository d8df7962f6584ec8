"""A model made worse on purpose: what cleaning up its export gives is named, and is no gain of quantization."""

import json
from pathlib import Path

import numpy as np
import onnx
from benchmarks.export_faults import SIZE, network
from benchmarks.spoil import weights_as_inputs

from conftest import run_strop


def test_weights_among_the_inputs_are_no_gain_of_quantization(tmp_path: Path) -> None:
    """The cleaned-up file is the denominator, its share stands in the report and on the terminal, and it may be the bundle."""
    onnx.save(weights_as_inputs(network(norms=True)), tmp_path / "bad.onnx")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3, SIZE, SIZE)).astype(np.float32)
    np.savez(tmp_path / "eval.npz", x=x)

    seen = run_strop(tmp_path, "inspect", "bad.onnx")
    assert "weights are listed as inputs" in seen.out and "worth:" in seen.out and "export_faults" in seen.out
    planned = run_strop(tmp_path, "optimize", "bad.onnx", "--data", "eval.npz", "--dry-run", "--backend", "onnxruntime")
    assert "weights are listed as inputs" in planned.out and "export cleaned up" in " ".join(planned.out.split())

    arguments = ("--data", "eval.npz", "--threads", 1, "--budget", "24s", "--backend", "onnxruntime", "--recipe", "int8-dynamic")
    done = run_strop(tmp_path, "optimize", "bad.onnx", *arguments, "--goal", "speedup>=0.1", "--goal", "memory_ratio<=9",
                     "--out", "out")  # fmt: skip
    assert done.code in (0, 10), done.err
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    found = document["baseline"]["cleanup"]
    assert document["baseline"]["name"].startswith("fp32-clean")
    assert (found["candidate"], found["in_baseline"]) == ("fp32-clean", True)
    assert {"weights-as-inputs", "batch-norm"} == set(found["faults"])
    share = found["speedup"] or found["rough_speedup"]
    assert share["low"] <= share["value"] <= share["high"] and share["value"] > 1.1
    assert f"cleaning up the export alone gives {'' if found['speedup'] else '~'}{share['value']:.3g}×" in done.out
    assert document["baseline"]["quality_reference"] == "fp32"
    chosen = document["chosen"]["name"]
    shipped = onnx.load(tmp_path / "out" / "bundle" / "model" / "model.onnx")
    assert [value.name for value in shipped.graph.input] == ["x"]
    if chosen.startswith("fp32-clean"):
        assert "the given model cleaned up and unquantized" in done.out
        card = (tmp_path / "out" / "bundle" / "MODEL_CARD.md").read_text()
        assert "its export cleaned up; nothing is quantized" in card and "Cleaning up the export alone" in card
