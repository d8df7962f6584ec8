"""The model card's code runs as it stands, in the bundle that it is packed into."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from strop.bundle.card import model_card
from strop.bundle.pack import pack
from strop.bundle.verify import verify_bundle
from strop.core.model import TensorSpec
from strop.core.shapes import Shapes
from strop.core.task import Language
from strop.plan.discover import backends

from .makers import interval
from .test_report import outcome, result

NULL = {"inputs": [{"name": "x", "shape": ["batch", 4]}], "outputs": [{"name": "y", "shape": ["batch", 3]}], "seed": 1,
        "milliseconds": 0}  # fmt: skip


def code_of(card: str) -> str:
    found = re.search(r"## From Python\n.*?```python\n(.*?)```", card, re.DOTALL)
    assert found is not None, card
    return found[1]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A bundle of the null backend, whose input leaves its second axis open: the evaluation data say what it is."""
    (tmp_path / "m.null").write_text(json.dumps(NULL))
    np.save(tmp_path / "input0.npy", np.zeros((100, 4), np.float32))
    fast = result("fast", 3.0)
    assert fast.candidate.artifact is not None
    artifact = fast.candidate.artifact.model_copy(update={"path": str(tmp_path / "m.null")})
    fast = fast.model_copy(update={"candidate": fast.candidate.model_copy(update={"artifact": artifact})})
    found = outcome(fast, chosen="fast")
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", "width"))
    data = found.task.evaluation.model_copy(update={"folder": str(tmp_path)})
    found = found.model_copy(update={
        "task": found.task.model_copy(update={"evaluation": data}), "model": found.model.model_copy(update={"inputs": (spec,)}),
    })  # fmt: skip
    pack(found, backends()["null"], tmp_path / "bundle")
    return tmp_path / "bundle"


def test_the_code_of_the_card_runs_in_the_bundle(packed: Path) -> None:
    code = code_of((packed / "MODEL_CARD.md").read_text(encoding="utf-8"))
    assert "views=True" in code
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=packed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "{'y': (1, 3)}"), done.stderr
    assert verify_bundle(str(packed)).outcome == "chosen"


def test_the_code_of_the_card_feeds_what_the_bundle_takes() -> None:
    fast = result("fast", 3.0)
    found = outcome(fast, chosen="fast")
    specs = (TensorSpec(name="pic", dtype="uint8", shape=(2, 3, None)), TensorSpec(name="rate", dtype="int64", shape=()))
    found = found.model_copy(update={"model": found.model.model_copy(update={"inputs": specs})})
    card = model_card(found, fast, None, {"pic": (3, 9)})
    assert "{'pic': np.zeros((2, 3, 9), 'uint8'), 'rate': np.zeros((), 'int64')}" in card
    fixed = Shapes(sets=({"pic": (2, 3, 8), "rate": ()},), others="refuse")
    assert "np.zeros((2, 3, 8), 'uint8')" in model_card(found, fast, fixed, {"pic": (3, 9)})


def test_the_card_of_a_language_model_writes_text() -> None:
    fast = result("fast", 3.0)
    found = outcome(fast, chosen="fast")
    language = Language(context=256)
    code = code_of(model_card(found.model_copy(update={"task": found.task.model_copy(update={"language": language})}), fast))
    compile(code, "card", "exec")
    assert "model.generate(" in code and "numpy" not in code


def test_the_card_of_a_language_model_speaks_of_perplexity() -> None:
    quality = {"kl": interval(0.002, 0.001, 0.003), "same_top": interval(0.98, 0.97, 0.99)}
    fast = result("fast", 3.0).model_copy(update={
        "accuracy": 12.5, "retained": interval(0.99, 0.98, 1.0), "quality": quality, "pace": {"decode tok/s": 812.0},
    })  # fmt: skip
    found = outcome(fast, chosen="fast")
    card = model_card(found.model_copy(update={"task": found.task.model_copy(update={"language": Language(context=256)})}), fast)
    assert "Accuracy" not in card
    assert "- Perplexity: 12.5 on" in card and "1.01× [1, 1.02] the given model's" in card
    assert "0.002 [0.001, 0.003] nats" in card and "98.0% of the positions" in card and "decode tok/s 812" in card


def test_a_bundle_times_itself_beside_what_was_measured(packed: Path) -> None:
    quick = (
        "import infer; infer.BENCH_S = infer.WARM_S = 0.02; model = infer.load(); print(model.run([[1, 2, 3, 4]])['y'].shape)\n"
        "infer.bench(model)"
    )
    done = subprocess.run([sys.executable, "-B", "-c", quick], cwd=packed, capture_output=True, text=True, check=True)
    shape, here, made, _ = done.stdout.splitlines()
    assert shape == "(1, 3)" and here.startswith("here: p50 ") and made.startswith("when it was made: p50 1.23 ms on ")
    manifest = json.loads((packed / "manifest.json").read_text())
    assert "not installed" not in json.dumps(manifest) and not {"versions", "counters", "seed"} & manifest["environment"].keys()
    assert manifest["measurements"]["shapes"] == {"x": [1, 4]}


def test_the_card_says_how_to_run_it_and_figures_in_their_units(packed: Path) -> None:
    card = (packed / "MODEL_CARD.md").read_text(encoding="utf-8")
    for part in ("python infer.py inputs.npz outputs.npz\npython infer.py --bench", "1.23 ms a call", "MB on disk", "## License"):
        assert part in card
    plain = result("plain", 1.0, 1.0, "reference")
    card = model_card(outcome(chosen="plain"), plain)
    assert "tuned baseline itself" in card and "1× [1, 1]" not in card
