"""Fixed shapes from the command line to the bundle: other shapes are answered by a second session, or refused by name."""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import run_strop
from strop.bundle.pack import pack
from strop.core.outcome import Outcome
from strop.core.shapes import Shapes, compiled_for, parsed
from strop.plan.discover import backends
from strop.run.open_run import OUTCOME
from strop.store.store import load

WIDE = 768
RUN = """
import sys, json
import numpy as np
sys.path.insert(0, sys.argv[1])
from infer import load
bundle, x = load(sys.argv[1]), np.load(sys.argv[2])["x"]
sessions = bundle.session.sessions
one = bundle.run({"x": x[:1]})["y"]
at_start = len(sessions.opened)
kept = bundle.run({"x": x[1:2]})["y"]
views = [bundle.run({"x": x[k : k + 1]}, views=True)["y"] for k in (1, 2)]
try:
    three = bundle.run({"x": x[:3]})["y"].tolist()
except ValueError as error:
    three = str(error)
print(json.dumps({
    "one": one.tolist(), "kept": kept.tolist(), "shared": bool(np.shares_memory(*views)), "three": three,
    "opened": [at_start, len(sessions.opened)],
}))
"""


def wide_model(folder: Path) -> None:
    """Three layers, any batch, whose weights can be INT8; labels are the model's own answers."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for k in range(3):
        weights.append(
            numpy_helper.from_array(rng.standard_normal((WIDE, WIDE if k < 2 else 8)).astype(np.float32) / 20, f"w{k}")
        )
        nodes += [helper.make_node("MatMul", [last, f"w{k}"], [f"a{k}"])]
        nodes += [helper.make_node("Relu", [f"a{k}"], [f"r{k}"])] if k < 2 else []
        last = f"r{k}"
    nodes[-1].output[0] = "y"
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in (("x", WIDE), ("y", 8))]
    graph = helper.make_graph(nodes, "wide", ports[:1], ports[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "wide.onnx")
    x = rng.standard_normal((400, WIDE)).astype(np.float32)
    found = x
    for k, weight in enumerate(weights):
        found = found @ numpy_helper.to_array(weight)
        found = np.maximum(found, 0) if k < 2 else found
    np.savez(folder / "eval.npz", x=x, labels=found.argmax(1))


def asked(bundle: Path, data: Path) -> dict:
    done = subprocess.run([sys.executable, "-B", "-c", RUN, bundle, data], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate's bundle with fixed shapes.

    ONNX Runtime's candidates have them where the tuned baseline has, which is up to the clock. So they are added to the outcome
    of a run for a device that is not at hand, which has no clock.
    """
    folder = tmp_path_factory.mktemp("shapes")
    wide_model(folder)
    done = run_strop(
        folder, "optimize", "wide.onnx", "--data", "eval.npz", "--recipe", "int8-weights", "--backend", "onnxruntime",
        "--target", "raspberry-pi-5", "--batch", 1, "--batch", 2,
    )  # fmt: skip
    assert done.code == 0, done.err
    outcome = load(next(folder.glob(f".strop/runs/*/{OUTCOME}")), Outcome)
    assert outcome is not None
    assert outcome.chosen is not None
    assert outcome.chosen.name == "int8-weights", done.out
    shapes = compiled_for(outcome.task.shapes, outcome.model)
    recipe = outcome.chosen.candidate.recipe
    candidate = outcome.chosen.candidate.model_copy(
        update={"recipe": recipe.model_copy(update={"settings": {**recipe.settings, **shapes}})}
    )
    results = tuple(r.model_copy(update={"candidate": candidate}) if r.name == recipe.name else r for r in outcome.results)
    taken = Shapes(sets=parsed(str(shapes["shapes"])), others="fallback", fallback_bytes=7_000_000)
    with contextlib.chdir(folder):
        pack(outcome.model_copy(update={"results": results}), backends()["onnxruntime"], folder / "bundle", taken)
    return folder / "bundle"


def test_the_bundle_says_which_shapes_it_takes(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["shapes"]["sets"] == [{"x": [1, WIDE]}, {"x": [2, WIDE]}]
    assert manifest["shapes"]["others"] == "fallback"
    assert manifest["settings"]["axes"] == "batch=1|batch=2"
    card = (bundle / "MODEL_CARD.md").read_text()
    assert f"`x` 1x{WIDE}; `x` 2x{WIDE}" in card
    assert "second session that is opened when it is first needed, which adds 7 MB" in card
    assert run_strop(bundle.parent, "bundle", "verify", "bundle").code == 0


def test_other_shapes_are_answered_by_the_fallback(bundle: Path, tmp_path: Path) -> None:
    found = asked(bundle, bundle.parent / "eval.npz")
    assert found["opened"] == [1, 2], "nothing but the session of the first shape is loaded until it is needed"
    assert np.allclose(found["three"][:2], [found["one"][0], found["kept"][0]], atol=0.05 * np.ptp(found["three"]))
    assert found["shared"]
    x = np.load(bundle.parent / "eval.npz")["x"][:7]
    np.savez(tmp_path / "in.npz", x=x)
    assert run_strop(tmp_path, "bundle", "infer", bundle, "in.npz", "out.npz").code == 0
    with np.load(tmp_path / "out.npz") as got:
        assert got["y"].shape == (7, 8)
        assert np.array_equal(got["y"][:2], [found["one"][0], found["kept"][0]]), "one by one, as it was measured"


def test_other_shapes_are_refused_by_name_where_the_manifest_says_so(bundle: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(bundle, tmp_path / "bundle")
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["shapes"]["others"] = "refuse"
    (copied / "manifest.json").write_text(json.dumps(manifest))
    found = asked(copied, bundle.parent / "eval.npz")
    assert found["three"] == f"input 'x' has shape [3, {WIDE}]; it takes x=1x{WIDE}|x=2x{WIDE} only"
    assert found["opened"] == [1, 1]


def test_data_of_another_shape_than_asked_for_are_refused(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", "length"]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "any.onnx")
    np.savez(tmp_path / "eval.npz", x=np.zeros((20, 7), np.float32))
    done = run_strop(tmp_path, "optimize", "any.onnx", "--data", "eval.npz", "--shape", "x=1x5", "--dry-run")
    assert done.code not in (0, 1), done.err
    assert "array 'x' has shape [20, 7], --shape asks for x=1x5, the examples first" in done.err
    assert "--shape x=1x7" in done.err, "what to do next"
    listed = run_strop(tmp_path, "optimize", "any.onnx", "--shape", "x=1x5", "--dry-run")
    assert "fp32-static" in listed.out
    assert "x=1x5" in listed.out
