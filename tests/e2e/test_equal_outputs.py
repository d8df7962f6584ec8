"""One candidate gives equal outputs by its runtime alone, in a run's check, by its bundle, and in bench."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import DEMO, report, run_strop
from strop.core.difference import ABSOLUTE, close
from strop.plan.discover import backends
from strop.worker.interpreter import find

ROOT = Path(__file__).parents[2]
CONFIG = ("--config", DEMO / "strop.toml", "--threads", 1)
ONNXRUNTIME = """
import sys, numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
given = np.load(sys.argv[2])["input"]
np.save(sys.argv[3], np.concatenate([session.run(None, {"input": given[i : i + 1]})[0] for i in range(len(given))]))
"""
OPENVINO = """
import sys, numpy as np, openvino as ov
session = ov.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
given = np.load(sys.argv[2])["input"]
np.save(sys.argv[3], np.concatenate([list(session([given[i : i + 1]]).values())[0] for i in range(len(given))]))
"""


def bundle_answers(folder: Path) -> np.ndarray:
    done = run_strop(folder, "bundle", "infer", "strop-out/latest/bundle", DEMO / "eval.npz", "answers.npz")
    assert done.code == 0, done.err
    with np.load(folder / "answers.npz") as found:
        return found[found.files[0]]


def require_equal_everywhere(folder: Path, python: str, code: str) -> None:
    """What the run in `folder` chose, four ways. code: the runtime alone, MODEL INPUTS.npz OUTPUT.npy."""
    chosen = report(folder)["chosen"]["name"]
    check = next(folder.glob(f".strop/runs/*/candidates/{chosen}/check"))
    measured = np.load(check / next(iter(json.loads((check / "check.json").read_text())["shards"].values())))
    model = (
        folder
        / "strop-out"
        / "latest"
        / "bundle"
        / json.loads((folder / "strop-out/latest/bundle/manifest.json").read_text())["model"]
    )
    subprocess.run([python, "-c", code, model, DEMO / "eval.npz", folder / "alone.npy"], check=True)
    assert close(np.load(folder / "alone.npy"), measured)
    assert close(bundle_answers(folder), measured)
    done = run_strop(folder, "bench", model, "strop-out/latest/bundle", *CONFIG, "--json")
    assert done.code == 0, done.err
    first, bundle = json.loads(done.out)["rows"]
    assert first["largest_difference"] == 0.0
    assert bundle["largest_difference"] <= ABSOLUTE / float(np.ptp(measured))


@pytest.mark.slow
def test_onnxruntime_is_equal_everywhere(tmp_path: Path) -> None:
    """A quantized candidate of ONNX Runtime, or the tuned baseline where that was chosen."""
    done = run_strop(tmp_path, "optimize", DEMO / "kws.onnx", *CONFIG, "--budget", "24s", "--recipe", "int8-static")
    assert done.code in (0, 10), done.err
    require_equal_everywhere(tmp_path, sys.executable, ONNXRUNTIME)
    clean = [sys.executable, "-m", "benchmarks.clean_bundle", tmp_path / "strop-out" / "latest", DEMO / "eval.npz"]
    done = subprocess.run([*clean, "--store", tmp_path / ".strop"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[400, 12]: largest difference " in done.stdout


@pytest.mark.slow
def test_openvino_is_equal_everywhere(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    """An IR quantized by NNCF is the given model, so that OpenVINO's own candidate is what is packed."""
    own_environments("openvino")
    made = run_strop(tmp_path, "build", DEMO / "kws.onnx", *CONFIG, "--recipe", "nncf-int8", "--out", "ir")
    assert made.code == 0, made.err
    done = run_strop(tmp_path, "optimize", "ir/model.xml", *CONFIG, "--budget", "24s", "--recipe", "openvino-f32")
    assert done.code in (0, 10), done.err
    assert report(tmp_path)["chosen"]["backend"] == "openvino"
    require_equal_everywhere(tmp_path, find(backends()["openvino"]).python, OPENVINO)
