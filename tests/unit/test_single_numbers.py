"""An input without axes: one number for all examples or one an example, in data, sessions and bundle."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from strop.backends.onnxruntime import runner
from strop.backends.onnxruntime.steps import Feeds
from strop.bundle.pack import pack
from strop.core.errors import DataError as Refused
from strop.core.model import TensorSpec
from strop.core.task import Dataset
from strop.plan.discover import backends
from strop.run.families.tensor.task import require_same_numbers
from strop_child import data
from strop_child.preprocess import DataError
from strop_child.shards import Single, file_of
from strop_child.tensor import TensorSession

from .makers import model
from .test_report import outcome, result

X = np.random.default_rng(0).standard_normal((70, 3)).astype(np.float32)
EACH = np.arange(70, dtype=np.float32)
SPECS = [{"name": "s", "dtype": "float32", "shape": []}, {"name": "x", "dtype": "float32", "shape": ["batch", 3]}]
FAIR = {"threads": 1, "graph": "all", "spinning": False}


def prepared(folder: Path, **arrays: Any) -> dict[str, Any]:
    """The description of the shards of these arrays, its inputs as whole paths."""
    np.savez(folder / "data.npz", **arrays)
    made = data.prepare(str(folder / "data.npz"), SPECS, {}, None, None, str(folder))
    return {**made, "inputs": {name: str(folder / file) for name, file in made["inputs"].items()}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """y = x · s."""
    ports = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
             for name, shape in (("x", ["batch", 3]), ("s", []), ("y", ["batch", 3]))}  # fmt: skip
    graph = helper.make_graph([helper.make_node("Mul", ["x", "s"], ["y"])], "g", [ports["s"], ports["x"]], [ports["y"]])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(("given", "wanted"), [(np.float32(2.5), np.full(70, 2.5)), (EACH, EACH), (np.int64(3), np.full(70, 3))])
def test_one_number_holds_for_all_or_each_example_has_its_own(tmp_path: Path, given: Any, wanted: Any) -> None:
    made = prepared(tmp_path, x=X, s=given)
    assert made["count"] == 70
    found = np.load(made["inputs"]["s"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("arrays", "what", "hint"),
    [
        ({"x": X, "s": EACH[:, None]}, "has shape .70, 1., the model's input 's' has shape ..", "shape .examples."),
        ({"x": X, "s": EACH[:1]}, "differ in their number of examples", "one number for all examples, shape .., does too"),
        ({"x": np.float32(1), "s": EACH}, "'x' is a single number", "one row an example"),
        ({"x": X, "s": np.float32("nan")}, "NaN", ""),
    ],
)
def test_what_is_neither_is_refused(tmp_path: Path, arrays: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(DataError, match=what) as refused:
        prepared(tmp_path, **arrays)
    assert re.search(hint, refused.value.hint)


FIXED = {**FAIR, "shapes": "s=,x=1x3", "axes": "batch=1"}


@pytest.mark.parametrize(
    ("given", "batch", "settings"),
    [(np.float32(2.5), 1, FAIR), (np.float32(2.5), 4, FAIR), (EACH, 1, FAIR), (EACH, 1, FIXED)],
)
def test_a_session_gets_an_array_without_axes(
    tmp_path: Path, file: Path, given: Any, batch: int, settings: dict[str, Any]
) -> None:  # fmt: skip
    made = prepared(tmp_path, x=X, s=given)
    lane = TensorSession(runner, str(file), settings, made["inputs"], batch, 4)
    assert {name: array.shape for name, array in lane.feeds[0].items()} == {"s": (), "x": (batch, 3)}
    found = lane.evaluate(str(tmp_path), mixing=2, together=16)
    np.testing.assert_array_equal(np.load(tmp_path / found["shards"]["y"]), X * np.broadcast_to(given, 70)[:, None])
    assert (found["batched"] > batch) is False or np.ndim(given) == 0, "examples that differ are answered one by one"
    fed = Feeds({"inputs": made["inputs"], "count": 70}, 70, batch).get_next()
    assert fed is not None and fed["s"].shape == ()


def test_a_batch_has_one_number() -> None:
    assert Single(np.array([2, 2, 3]))[np.array([0, 1])].shape == ()
    with pytest.raises(ValueError, match="one number a call"):
        Single(np.array([2, 2, 3]))[np.array([1, 2])]


def test_batches_of_examples_that_differ_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    np.save(tmp_path / file_of(0, SPECS[0]), EACH)
    held = Dataset(digest="d", folder=str(tmp_path), count=70, inputs={"s": file_of(0, SPECS[0])})
    taken = model().model_copy(update={"inputs": (TensorSpec(name="s", dtype="float32", shape=()),)})
    require_same_numbers(taken, held, (1,))
    with pytest.raises(Refused, match="'s' has no axes") as refused:
        require_same_numbers(taken, held, (1, 4))
    assert "--batch 1" in refused.value.hint


def test_parts_of_a_set_keep_what_they_are(tmp_path: Path) -> None:
    made = prepared(tmp_path, x=X, s=EACH)
    for name in ("e", "c"):
        (tmp_path / name).mkdir()
    parts = data.split({**made, "labels": None}, 0.2, 200, 0, str(tmp_path / "e"), str(tmp_path / "c"))
    assert all(part["inputs"]["s"] == file_of(0, SPECS[0]) for part in parts.values())


def test_one_number_is_generated_for_all_examples(tmp_path: Path) -> None:
    made = data.generate(SPECS, {}, {}, 8, 0, str(tmp_path))
    assert np.unique(np.load(tmp_path / made["inputs"]["s"])).size == 1


CODE = """
import sys
import numpy as np
from infer import load
bundle, x, s = load("."), np.ones((5, 3), np.float32), np.float32(2)
for given in (np.array(s), s, np.full(5, s)):
    print(bundle.run({"x": x, "s": given})["y"].sum(), bundle.run_in_batches({"x": x, "s": given}, 2)["y"].sum())
try:
    bundle.run({"x": x, "s": np.arange(5, dtype=np.float32)})
except ValueError as error:
    print(error)
"""


def test_a_bundle_takes_it_as_the_session_does(tmp_path: Path, file: Path) -> None:
    fast = result("fast", 3.0)
    artifact = model("onnx").artifact.model_copy(update={"path": str(file), "files": ("m.onnx",)})
    chosen = fast.candidate.model_copy(update={"artifact": artifact, "recipe": fast.candidate.recipe.model_copy(update={
        "settings": FAIR, "runtime": "onnxruntime"})})  # fmt: skip
    found = outcome(fast.model_copy(update={"candidate": chosen}), chosen="fast")
    given = found.model.model_copy(update={"inputs": tuple(TensorSpec.model_validate(spec) for spec in SPECS)})
    pack(found.model_copy(update={"model": given}), backends()["onnxruntime"], tmp_path / "bundle")
    card = re.search(r"```python\n(.*?)```", (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8"), re.DOTALL)
    assert card is not None
    said = [
        subprocess.run(
            [sys.executable, "-B", "-c", code], cwd=tmp_path / "bundle", capture_output=True, text=True, check=True
        ).stdout
        for code in (card[1], CODE)
    ]
    assert "'y': (1, 3)" in said[0]
    *sums, refused = said[1].splitlines()
    assert sums == ["30.0 30.0"] * 3
    assert refused == "input 's' has no axes: it takes one number a call, 5 different ones were given"
