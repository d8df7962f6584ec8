"""Texts side by side in each framework: each is answered as it is alone."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import report, run_strop
from strop.plan.discover import backends
from strop.worker.interpreter import work_of

DEMO = Path(__file__).parent.parent.parent / "src" / "strop" / "demo" / "stories"
RECIPES = {"llamacpp": "gguf-q8-0", "openvino": "openvino-int8", "onnxruntime-genai": "genai-int8", "mlx": "mlx-8bit-g64"}
ASKED = ("--data", DEMO / "eval.txt", "--threads", 1, "--eval-tokens", 1024, "--prompt-tokens", 16, "--output-tokens", 4)
ANSWERS = """
import json, sys
import numpy as np
folder, model, texts = sys.argv[1], sys.argv[2], 3
sys.path.insert(0, folder)
import runner
settings = {"threads": 1, "context": 64, "cache": "f16", "precision": "fp32" if folder.endswith("transformers") else "f32"}
ids = np.random.default_rng(0).integers(3, 500, (texts, 24))

def likely(session, given):
    session.reset()
    found = [np.array(session.step(given[..., :16], "last"))]
    found += [np.array(session.step(given[..., at : at + 1], "last")) for at in range(16, 24)]
    return np.stack(found)

together = likely(runner.open(model, settings | {"batch": texts}), ids)
alone = np.concatenate([likely(runner.open(model, settings), row) for row in ids], axis=1)
print(json.dumps({
    "shape": list(together.shape), "apart": float(np.abs(together - alone).max()),
    "swapped": float(np.abs(together - alone[:, ::-1]).max()), "range": float(np.ptp(alone)),
}))
"""
"""Logits of three texts at once and one after another, [steps, texts, vocabulary]; run in the framework's own environment."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transformers", *RECIPES])
def test_a_text_is_answered_as_it_is_alone(tmp_path: Path, own_environments: Callable[..., None], name: str) -> None:
    own_environments("transformers", name)
    model = DEMO / "model.safetensors"
    if name in RECIPES:
        done = run_strop(tmp_path, "build", DEMO, *ASKED[:4], "--recipe", RECIPES[name], "--out", tmp_path / "built")
        assert done.code == 0, done.err
        endings = (".gguf", ".xml", "genai_config.json", "config.json")
        found = [p for ending in endings for p in sorted((tmp_path / "built").rglob(f"*{ending}"))]
        model = found[0]
    backend = backends()[name]
    answered = subprocess.run(
        [work_of(backend).python, "-c", ANSWERS, backend.work.parent, model], capture_output=True, text=True, check=False
    )
    assert answered.returncode == 0, answered.stderr
    told = json.loads(answered.stdout.splitlines()[-1])
    assert told["shape"][:2] == [9, 3]
    assert told["apart"] < 0.02 * told["range"], told
    assert told["swapped"] > 0.2 * told["range"], told


@pytest.mark.slow
def test_a_run_in_batches(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    """Tokens a second are those of all texts, and the report says how many there are."""
    own_environments("transformers", "llamacpp", "openvino")
    done = run_strop(
        tmp_path, "optimize", DEMO, *ASKED, "--batch", 2, "--batch", 3, "--recipe", "gguf-q8-0", "--budget", "100s",
        timeout=580,
    )  # fmt: skip
    assert done.code in (0, 10), done.err
    found = report(tmp_path)
    assert found["language"]["batch"] == 2
    pace = next(c for c in found["candidates"] if c["name"] == "gguf-q8-0")["measurement"]["pace"]
    assert pace["decode tok/s"] == pytest.approx(2 * 1000 / pace["time per token p50, ms"])
    assert pace["prefill tok/s"] == pytest.approx(2 * 16 * 1000 / pace["time to first token, ms"])
    text = (tmp_path / "strop-out" / "latest" / "report.md").read_text()
    assert "2 texts side by side" in text
    if found["chosen"]["name"] == "gguf-q8-0":
        assert "At batch 3: " in text
