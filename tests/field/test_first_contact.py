"""Models as exporters write them, labels as people keep them: taken with the right value, or refused with the way out."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from strop.core.errors import DataError as Refused
from strop.core.errors import ModelError
from strop.core.metrics import score
from strop.core.model import Artifact, Model, TensorSpec
from strop.plan.discover import backends
from strop.plan.mislabeled import held, likely_cause
from strop.plan.open_axes import sized
from strop.plan.outputs import own_classes, scored_output, takes_missing
from strop.plan.shapes import narrowed
from strop.run.intake import read_model
from strop.run.request import make_request
from strop.store.store import Store
from strop.worker.call import Limits
from strop_child import data, onnx_file
from strop_child.inspector import work as inspector
from strop_child.preprocess import DataError

ML = "ai.onnx.ml"
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4)).astype(np.float32)
WEIGHTS = rng.standard_normal((4, 3)).astype(np.float32)
Y = (X @ WEIGHTS).argmax(axis=1)


def value(name: str, *shape: int | str | None, kind: int = T.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def save(folder: Path, nodes: list, inputs: list, outputs: list, weights: dict | None = None, name: str = "model.onnx") -> Path:
    held_as = [numpy_helper.from_array(np.asarray(array), key) for key, array in (weights or {}).items()]
    body = helper.make_graph(nodes, "g", inputs, outputs, held_as)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)], ir_version=8)
    onnx.save(model, folder / name)
    return folder / name


def scikit_learn(folder: Path, classes: list, zipmap: bool = False, way: str = "classifier") -> Path:
    """A classifier as skl2onnx exports it: the class first, the probabilities behind it, maybe as a sequence of maps."""
    kind = T.STRING if isinstance(classes[0], str) else T.INT64
    listed = {"classlabels_strings" if kind == T.STRING else "classlabels_ints": classes}
    scores = helper.make_node(
        "LinearClassifier", ["X"], ["found", "scores"], domain=ML, coefficients=WEIGHTS.T.ravel().tolist(),
        intercepts=[0.0] * 3, post_transform="NONE", multi_class=0, **listed,
    )  # fmt: skip
    nodes = [scores, helper.make_node("Normalizer", ["scores"], ["probabilities"], domain=ML, norm="L1")]
    weights = {"classes": np.array(classes, np.int64), "shape": np.array([-1])} if way == "extracted" else {}
    if way == "extracted":  # as of a neural network or naive Bayes
        nodes += [helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
                  helper.make_node("ArrayFeatureExtractor", ["classes", "best"], ["taken"], domain=ML),
                  helper.make_node("Reshape", ["taken", "shape"], ["label"])]  # fmt: skip
    else:
        nodes += [helper.make_node("Identity", ["found"], ["label"])]
    outputs = [value("label", None, kind=kind), value("probabilities", None, 3)]
    if zipmap:
        nodes += [helper.make_node("ZipMap", ["probabilities"], ["output_probability"], domain=ML, classlabels_int64s=[0, 1, 2])]
        maps = helper.make_sequence_type_proto(helper.make_map_type_proto(T.INT64, helper.make_tensor_type_proto(T.FLOAT, [])))
        outputs[1] = helper.make_value_info("output_probability", maps)
    return save(folder, nodes, [value("X", None, 4)], outputs, weights)


def described(path: Path) -> Model:
    artifact = Artifact(kind="onnx", path=str(path), digest="d", bytes=1, files=(path.name,))
    found = onnx_file.describe(str(path))
    found.pop("files")
    return Model(artifact=artifact, reader="onnxruntime", **found)


@pytest.mark.parametrize("classes", [[0, 1, 2], [1, 2, 3], ["bird", "cat", "dog"]])
@pytest.mark.parametrize("way", ["classifier", "extracted"])
def test_a_scikit_learn_export_is_scored_by_its_probabilities_in_its_own_classes(tmp_path, classes, way):
    if way == "extracted" and isinstance(classes[0], str):
        classes = [7, 8, 9]  # names are looked up elsewhere
    model = described(scikit_learn(tmp_path, classes, way=way))
    found = scored_output(model, None)
    assert (found.name, "'label' is the class alone" in found.why) == ("probabilities", True)
    assert own_classes(model, None) == [str(one) for one in classes]
    assert scored_output(model, "probabilities").why == ""
    np.savez(tmp_path / "eval.npz", X=X, labels=np.array(classes)[Y])
    specs = [spec.model_dump() for spec in model.inputs]
    made = data.prepare(
        str(tmp_path / "eval.npz"), specs, {}, None, "classes", str(tmp_path), own_classes=own_classes(model, None)
    )  # fmt: skip
    labels = np.load(tmp_path / made["labels"])
    assert score("top1", X @ WEIGHTS, X @ WEIGHTS, labels).value == 1.0
    assert bool(made["notes"]) == (classes != [0, 1, 2])


def test_a_class_that_is_scored_itself_is_compared_as_it_stands(tmp_path):
    assert own_classes(described(scikit_learn(tmp_path, [1, 2, 3])), "label") == []
    with pytest.raises(Refused, match="holds text"):
        scored_output(described(scikit_learn(tmp_path, ["a", "b", "c"])), "label")


def test_a_zipmap_is_refused_with_the_exporters_flag(tmp_path):
    with pytest.raises(onnx_file.ModelError, match=r"'output_probability' is a sequence\(map\(int64, float32\)\)") as refused:
        described(scikit_learn(tmp_path, [0, 1, 2], zipmap=True))
    assert "options={'zipmap': False}" in refused.value.hint


@pytest.mark.parametrize(
    ("kind", "told"),
    [(T.BFLOAT16, "bfloat16"), (T.INT4, "int4"), (T.UINT4, "uint4"), (T.FLOAT8E4M3FN, "float8_e4m3"), (T.STRING, "takes text")],
)
def test_types_that_no_array_holds_are_refused_by_name(tmp_path, kind, told):
    path = save(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], [value("x", "n", 3, kind=kind)], [value("y", "n", 3)])
    with pytest.raises(ModelError, match=told) as refused:
        read_model(backends(), path, tmp_path / "log.txt", Limits(60.0), Store(tmp_path / "store"))
    assert refused.value.exit_code == 3 and refused.value.hint
    assert told.removeprefix("takes text") in str(inspector.inspect(str(path))["inputs"])


@pytest.mark.parametrize(
    ("labels", "options", "expected", "note"),
    [
        (np.eye(3, dtype=np.float32)[Y], {}, Y, "one-hot"),
        (np.eye(2)[Y % 2], {}, Y % 2, "one-hot"),
        (Y[:, None].astype(np.float32), {}, Y[:, None], ""),
        (np.array(["bird", "cat", "dog"])[Y], {"own_classes": ["dog", "cat", "bird"]}, 2 - Y, "model's own classes"),
        (np.array([b"bird", b"cat", b"dog"])[Y], {"own_classes": ["bird", "cat", "dog"]}, Y, "model's own classes"),
        (np.array(["bird", "cat", "dog"])[Y], {"classes": "cat\ndog\nbird\n"}, (Y + 2) % 3, "classes given"),
        (Y.astype(str), {}, Y, "numbers they spell"),
        (Y, {"own_classes": ["0", "1", "2"]}, Y, ""),
        (np.stack([Y, np.full(60, -1)], 1), {}, np.stack([Y, np.full(60, -1)], 1), ""),
        (np.stack([Y, np.full(60, -1)], 1), {"own_classes": ["1", "2"]}, np.stack([Y, np.full(60, -1)], 1), ""),
    ],
)
def test_labels_are_read_as_they_are_kept(tmp_path, labels, options, expected, note):
    if "classes" in options:
        (tmp_path / "names.txt").write_text(options["classes"])
        options = {"classes": str(tmp_path / "names.txt")}
    np.savez(tmp_path / "eval.npz", x=X, labels=labels)
    spec = {"name": "x", "dtype": "float32", "shape": ["n", 4]}
    made = data.prepare(str(tmp_path / "eval.npz"), [spec], {}, None, "classes", str(tmp_path), **options)
    np.testing.assert_array_equal(np.load(tmp_path / made["labels"]), expected)
    assert note in "".join(made["notes"]) and bool(note) == bool(made["notes"])


@pytest.mark.parametrize(
    ("labels", "options", "what"),
    [
        (np.array(["bird", "cat", "dog"])[Y], {}, "are names 'bird'"),
        (np.array(["bird", "cow"])[Y % 2], {"own_classes": ["bird", "cat", "dog"]}, "hold 'cow'; the classes are bird, cat, dog"),
        (Y + 1, {"own_classes": ["0", "2", "3"]}, "hold '1'; the classes are 0, 2, 3"),
    ],
)
def test_labels_whose_class_is_not_known_are_explained(tmp_path, labels, options, what):
    np.savez(tmp_path / "eval.npz", x=X, labels=labels)
    spec = {"name": "x", "dtype": "float32", "shape": ["n", 4]}
    with pytest.raises(DataError, match=what):
        data.prepare(str(tmp_path / "eval.npz"), [spec], {}, None, "classes", str(tmp_path), **options)


def test_labels_of_tokens_are_never_one_hot(tmp_path):
    tokens = np.eye(4, dtype=np.int64)[rng.integers(0, 4, 60)]
    np.savez(tmp_path / "eval.npz", x=X, labels=tokens)
    spec = {"name": "x", "dtype": "float32", "shape": ["n", 4]}
    made = data.prepare(str(tmp_path / "eval.npz"), [spec], {}, None, "tokens", str(tmp_path))
    np.testing.assert_array_equal(np.load(tmp_path / made["labels"]), tokens)


SCORES = X @ WEIGHTS
ONE: NDArray[np.floating] = SCORES[:, :1]


@pytest.mark.parametrize(
    ("outputs", "labels", "cause"),
    [
        (SCORES, Y + 1, "subtract 1"),
        (ONE, (ONE[:, 0] <= 0).astype(int), "swapped"),
        (np.eye(2)[Y % 2], 1 - Y % 2, "swapped"),
        (SCORES, rng.permutation(Y) + 5, "labels go up to 7, the output has 3 values"),
        (np.ones((60, 3)), Y, "the same for every example"),
        (SCORES, rng.permutation(Y), "wrong preprocessing"),
    ],
)
def test_a_model_at_chance_is_told_the_likely_cause(outputs, labels, cause):
    assert cause in likely_cause("top1", outputs, labels)
    assert held(np.array([[1.5, -2]])) == "float64 [1, 2] from -2 to 1.5"


def one_column(folder: Path) -> Path:
    return save(folder, [helper.make_node("Sigmoid", ["x"], ["y"])], [value("x", "n", 1)], [value("y", "n", 1)])


def test_one_column_of_probabilities_is_two_classes():
    """0.973 and not 0.482, which is what the first of one value would be."""
    labels = (ONE[:, 0] > 0).astype(int)
    assert score("top1", 1 / (1 + np.exp(-ONE)), 1 / (1 + np.exp(-ONE)), labels).value == 1.0
    assert score("top1", ONE, ONE, np.where(labels, 1, -1)).value == 1.0


def trees(folder: Path) -> Path:
    """One split: x0 <= 0.5 or missing → 1, else 2."""
    node = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain=ML, n_targets=1, nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0], nodes_missing_value_tracks_true=[1, 0, 0],
        target_treeids=[0, 0], target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.0, 2.0],
    )  # fmt: skip
    return save(folder, [node], [value("x", "n", 4)], [value("y", "n", 1)])


def test_a_missing_feature_of_a_tree_is_data(tmp_path):
    assert takes_missing(described(trees(tmp_path))) and not takes_missing(described(one_column(tmp_path)))
    holes = X.astype(np.float64)
    holes[3, 1] = np.nan
    np.savez(tmp_path / "eval.npz", x=holes)
    spec = {"name": "x", "dtype": "float32", "shape": ["n", 4]}
    made = data.prepare(str(tmp_path / "eval.npz"), [spec | {"missing": True}], {}, None, None, str(tmp_path))
    np.testing.assert_array_equal(np.load(tmp_path / made["inputs"]["x"]), holes.astype(np.float32))
    with pytest.raises(DataError, match=r"NaN or infinity \(first in row 3\)"):
        data.prepare(str(tmp_path / "eval.npz"), [spec], {}, None, None, str(tmp_path))
    holes[5, 0] = np.inf
    np.savez(tmp_path / "eval.npz", x=holes)
    with pytest.raises(DataError, match=r"holds infinity \(first in row 5\)"):
        data.prepare(str(tmp_path / "eval.npz"), [spec | {"missing": True}], {}, None, None, str(tmp_path))


@given(st.lists(st.integers(0, 8), min_size=1, max_size=20), st.integers(2, 9))
def test_one_hot_labels_of_any_classes_come_back(classes, width):
    from strop_child.labels import as_classes

    wanted = np.array(classes) % width
    np.testing.assert_array_equal(as_classes(np.eye(width)[wanted], [], [], "labels")[0], wanted)


def cached(folder: Path) -> Path:
    """A model with external data as a download cache keeps it: links of a snapshot into one folder of blobs."""
    path = save(folder, [helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", "n", 64)], [value("y", "n", 64)],
                {"w": rng.standard_normal((64, 64)).astype(np.float32)})  # fmt: skip
    blobs, snapshot = folder / "models--m" / "blobs", folder / "models--m" / "snapshots" / "rev" / "onnx"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    onnx.save(onnx.load(path), blobs / "aaa", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    (blobs / "model.onnx_data").rename(blobs / "bbb")
    for name, blob in (("model.onnx", "aaa"), ("model.onnx_data", "bbb")):
        (snapshot / name).symlink_to(os.path.relpath(blobs / blob, snapshot))
    return snapshot / "model.onnx"


def test_a_snapshot_of_the_hugging_face_cache_is_read_through_its_links(tmp_path):
    path = cached(tmp_path)
    found = read_model(backends(), path, tmp_path / "log.txt", Limits(60.0), Store(tmp_path / "store"))
    assert (found.parameters, found.artifact.files) == (64 * 64, ("model.onnx", "model.onnx_data"))
    place = Path(found.artifact.path)
    assert not any((place.parent / name).is_symlink() for name in found.artifact.files)
    assert onnx.load(place).graph.initializer[0].raw_data == (path.parent / "model.onnx_data").read_bytes()
    assert inspector.inspect(str(path))["parameters"] == 64 * 64


@pytest.mark.parametrize("plain_model", [False, True])
def test_a_link_out_of_the_models_real_folder_is_still_refused(tmp_path, plain_model):
    path = cached(tmp_path)
    target = (path.parent / "model.onnx_data").resolve()
    secret = tmp_path / "secret"
    secret.write_bytes(target.read_bytes())
    if plain_model:
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    else:
        (path.parent / "model.onnx_data").unlink()
        (path.parent / "model.onnx_data").symlink_to(secret)
    with pytest.raises(onnx_file.ModelError, match="leaves the model's folder"):
        onnx_file.describe(str(path))


def test_numpy_types_are_described(tmp_path):
    path = save(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], [value("x", "n", 3, kind=T.FLOAT16)],
                [value("y", "n", 3, kind=T.FLOAT16)])  # fmt: skip
    assert described(path).inputs == (TensorSpec(name="x", dtype="float16", shape=("n", 3)),)


def with_inputs(*specs: TensorSpec) -> Model:
    artifact = Artifact(kind="onnx", path="/m.onnx", digest="d", bytes=1, files=("m.onnx",))
    return Model(artifact=artifact, reader="onnxruntime", inputs=specs, outputs=specs, parameters=1)


def test_open_axes_of_pictures_are_asked_for_and_never_timed_at_one_pixel():
    model = with_inputs(TensorSpec(name="x", dtype="float32", shape=("n", 3, None, None)))
    with pytest.raises(Refused, match=r"leaves sizes open: x \[n, 3, \?, \?\]") as refused:
        sized(model, {})
    assert "--shape x=1x3x224x224" in refused.value.hint
    given = make_request("m.onnx", shape=["x=1,3,48,192"]).shapes
    assert given == make_request("m.onnx", shape=["x=1x3x48x192"]).shapes == {"x": (1, 3, 48, 192)}
    assert sized(narrowed(model, given), {})[0].inputs[0].shape == ("n", 3, 48, 192)
    named = with_inputs(TensorSpec(name="x", dtype="float32", shape=("n", 3, "height", "width")))
    assert sized(named, {"height": 48, "width": 192})[0].inputs[0].shape == ("n", 3, 48, 192)
    with pytest.raises(Refused, match="height, width"):
        sized(named, {"height": 48})


def test_a_text_has_the_usual_length_where_nothing_says_another():
    ids, mask = (TensorSpec(name=name, dtype="int64", shape=("batch", "sequence")) for name in ("input_ids", "mask"))
    found, taken = sized(with_inputs(ids, mask), {})
    assert ([s.shape for s in found.inputs], taken) == ([("batch", 64)] * 2, ("sequence",))
    found, taken = sized(with_inputs(ids.model_copy(update={"shape": ("batch", None)})), {})
    assert (found.inputs[0].shape, taken) == (("batch", 64), ("input_ids, axis 1",))
