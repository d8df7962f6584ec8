"""The data worker: what it reads, what it refuses and why, splits without shared rows, inputs within bounds."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop_child import data
from strop_child.preprocess import DataError

SPEC = {"name": "x", "dtype": "float32", "shape": ["batch", 3]}
rng = np.random.default_rng(0)
X = rng.standard_normal((10, 3)).astype(np.float32)
Y = np.arange(10) % 3


@pytest.fixture
def prepare(tmp_path):
    """Prepares a source; a dict of arrays is saved as an .npz first. Gives the folder of shards and their description."""

    def run(source, specs=(SPEC,), mapping=None, labels=None, label_kind=None):
        if isinstance(source, dict):
            np.savez(tmp_path / "data.npz", **source)
            source = tmp_path / "data.npz"
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        return out, data.prepare(str(source), list(specs), mapping or {}, labels, label_kind, str(out))

    return run


def test_an_npz_becomes_shards(prepare):
    out, made = prepare({"x": X, "labels": Y}, label_kind="classes")
    assert made | {"group": 1, "packages": {}, "files": []} == made
    assert (made["inputs"], made["labels"], made["count"], made["notes"]) == ({"x": "input0.npy"}, "labels.npy", 10, [])
    assert json.loads((out / "data.json").read_text()) == made
    assert sorted(p.name for p in out.iterdir()) == ["data.json", "input0.npy", "labels.npy"]
    np.testing.assert_array_equal(np.load(out / "input0.npy"), X)
    np.testing.assert_array_equal(np.load(out / "labels.npy"), Y)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("y", Y, ["y"]),
        ("Y_test", Y.astype(float), ["Y_test"]),
        ("targets", np.eye(3)[Y], ["targets"]),
        ("answer", Y[:, None], ["answer"]),
        ("names", np.array(["a", "b"])[Y % 2], []),
        ("id", Y, []),
        ("position", np.arange(10), []),
        ("weight", X[:, 0], []),
        ("y", Y[:5], []),
    ],
)
def test_what_looks_like_labels_and_is_not_used_is_told(prepare, name, values, found):
    assert prepare({"x": X, name: values})[1]["unused"] == found
    assert prepare({"x": X, name: values, "labels": Y})[1]["unused"] == []


def test_arrays_may_hold_their_examples_where_the_model_does(tmp_path):
    spec = {"name": "x", "dtype": "float32", "shape": ["batch", 5, 4]}
    rows = rng.standard_normal((10, 5, 4)).astype(np.float32)
    for number, (array, notes) in enumerate([(rows, 0), (rows.transpose(1, 0, 2), 1)]):
        np.savez(tmp_path / "data.npz", x=array, labels=Y)
        out = tmp_path / str(number)
        out.mkdir()
        made = data.prepare(str(tmp_path / "data.npz"), [spec], {}, None, "classes", str(out), {"x": 1})
        assert (made["count"], len(made["notes"])) == (10, notes)
        np.testing.assert_array_equal(np.load(out / "input0.npy"), rows)


@pytest.mark.parametrize(
    ("array", "hint"), [(np.zeros((4, 3, 8, 8)), "--shape x=1x3x8x8"), (np.zeros((4, 8)), "one row an example")]
)
def test_data_of_another_size_are_compared_with_what_shape_says(prepare, array, hint):
    spec = {**SPEC, "shape": ["batch", 3, 64, 64], "told": [1, 3, 64, 64]}
    with pytest.raises(DataError, match=r"--shape asks for x=1x3x64x64") as refused:
        prepare({"x": array.astype(np.float32)}, [spec])
    assert hint in refused.value.hint
    assert str(list(array.shape)) in str(refused.value)
    assert "model" not in str(refused.value)


def test_an_npy_and_a_folder_are_read_too(prepare, tmp_path):
    np.save(tmp_path / "any.npy", X)
    assert prepare(tmp_path / "any.npy")[1]["count"] == 10
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", X)
    np.save(tmp_path / "folder" / "labels.npy", Y)
    assert prepare(tmp_path / "folder", label_kind="classes")[1]["labels"] == "labels.npy"


def test_arrays_are_found_by_name_by_mapping_or_alone(prepare):
    two = [SPEC, {**SPEC, "name": "z"}]
    assert set(prepare({"x": X, "other": X}, two, mapping={"z": "other"})[1]["inputs"]) == {"x", "z"}
    assert prepare({"x": X, "more": X, "another": X})[1]["count"] == 10
    assert prepare({"features": X, "y": Y}, labels="y", label_kind="classes")[1]["labels"] == "labels.npy"
    with pytest.raises(DataError, match="no array for the model's input 'z'") as refused:
        prepare({"x": X, "other": X}, two)
    assert "--map z=ARRAY" in refused.value.hint


def with_row(row, value):
    broken = X.copy()
    broken[row, 1] = value
    return broken


CLASSES = {"label_kind": "classes"}
REFUSED = [
    ({"x": with_row(4, np.nan)}, {}, "NaN or infinity .first in row 4"),
    ({"x": with_row(0, np.inf)}, {}, "NaN or infinity .first in row 0"),
    ({"x": X[:0]}, {}, "'x' is empty"),
    ({"x": np.float32(3)}, {}, "'x' is a single number"),
    ({}, {}, "holds no arrays"),
    ({"x": X, "labels": Y[:9]}, {}, "differ in their number of examples"),
    ({"x": X[:, :2]}, {}, r"has shape \[10, 2\]"),
    ({"x": X[None]}, {}, "has shape"),
    ({"x": X.astype("U8")}, {}, "the model takes float32"),
    ({"a": X, "b": X}, {}, "no array for the model's input"),
    ({"x": X}, {"mapping": {"w": "x"}}, "names no input of the model"),
    ({"x": X}, {"labels": "y"}, "no array 'y' for the labels"),
    ({"x": X}, CLASSES, "no labels"),
    ({"x": X, "labels": Y + 0.5}, CLASSES, "whole class numbers"),
    ({"x": X, "labels": np.array(["cat"] * 10)}, CLASSES, "are names .cat."),
    ({"x": X, "labels": np.full(10, np.nan)}, {"label_kind": "numbers"}, "NaN or infinity"),
]


@pytest.mark.parametrize(("arrays", "options", "what"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_reason(prepare, arrays, options, what):
    with pytest.raises(DataError, match=what):
        prepare(arrays, **options)


def test_whole_numbers_widen_to_floats_with_a_note(prepare):
    out, made = prepare({"x": (X * 100).astype(np.uint8)})
    assert np.load(out / "input0.npy").dtype == np.float32
    assert made["casts"] == {"x": ["uint8", "float32"]}


@pytest.mark.parametrize(
    ("value", "given", "wanted"),
    [(200, "uint8", "int8"), (2**40, "int64", "int32"), (1e6, "float32", "float16"), (1e300, "float64", "float32")],
)
def test_a_cast_that_would_change_values_is_refused(prepare, value, given, wanted):
    spec = {"name": "x", "dtype": wanted, "shape": ["batch", 1]}
    with pytest.raises(DataError, match=f"beyond the range of {wanted}"):
        prepare({"x": np.full((2, 1), value, given)}, [spec])
    assert prepare({"x": np.full((2, 1), 100, given)}, [spec])[1]["count"] == 2


def test_float_labels_that_are_whole_become_classes(prepare):
    out, _ = prepare({"x": X, "labels": Y.astype(np.float64)}, label_kind="classes")
    assert np.load(out / "labels.npy").dtype == np.int64


def test_pickled_objects_are_refused(prepare, tmp_path):
    objects = np.array([{}, None], dtype=object)
    np.savez(tmp_path / "o.npz", x=objects, allow_pickle=True)
    np.save(tmp_path / "o.npy", objects, allow_pickle=True)
    for source in (tmp_path / "o.npz", tmp_path / "o.npy"):
        with pytest.raises(DataError, match="pickled objects"):
            prepare(source)


@pytest.mark.parametrize("keep", [0, 5, 100, 200])
def test_a_damaged_file_is_refused(prepare, tmp_path, keep):
    for name, save in (("d.npy", np.save), ("d.npz", np.savez)):
        save(tmp_path / name, X)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:keep])
        with pytest.raises(DataError):
            prepare(tmp_path / name)


def shards(folder, **arrays):
    """A data set as the worker is given it; `labels` are apart."""
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    files = {name: str(folder / f"{name}.npy") for name in arrays}
    return {"labels": files.pop("labels", None), "inputs": files}


def test_overlap_counts_the_shared_examples(tmp_path):
    evaluation = shards(tmp_path / "e", x=X, z=Y[:, None])
    calibration = shards(tmp_path / "c", x=np.vstack([X[7:9] + 9, X[3:6]]), z=np.concatenate([Y[7:9], [9], Y[4:6]])[:, None])
    assert data.overlap(evaluation, calibration) == {"count": 2, "first": [3, 4]}
    apart = shards(tmp_path / "d", x=X + 1, z=Y[:, None])
    assert data.overlap(evaluation, apart) == {"count": 0, "first": None}


examples = st.lists(st.integers(0, 6), min_size=2, max_size=60).filter(lambda rows: len(set(rows)) > 3)


@given(examples, st.integers(0, 3))
def test_a_split_shares_no_row_and_keeps_labels_with_their_rows(tmp_path_factory, rows, seed):
    folder = tmp_path_factory.mktemp("split")
    x = np.array(rows, np.float32)[:, None]
    outs = [folder / name for name in ("evaluation", "calibration")]
    for out in outs:
        out.mkdir()
    whole = shards(folder / "whole", x=x, labels=np.array(rows))
    try:
        made = data.split(whole, 0.2, 200, seed, *map(str, outs))
    except DataError as error:
        assert "too few different examples" in str(error)
        return
    parts = [np.load(out / "input0.npy")[:, 0] for out in outs]
    assert not set(parts[0]) & set(parts[1])
    assert sorted(np.concatenate(parts)) == sorted(rows)
    for part, out, name in zip(parts, outs, ("evaluation", "calibration"), strict=True):
        np.testing.assert_array_equal(part, np.load(out / "labels.npy"))
        assert made[name]["count"] == len(part) > 0


def test_a_split_is_reproducible_and_bounded(tmp_path):
    whole, found = shards(tmp_path / "whole", x=np.arange(500.0)[:, None]), []
    for number in range(2):
        outs = [tmp_path / f"{name}{number}" for name in "ec"]
        for out in outs:
            out.mkdir()
        made = data.split(whole, 0.5, 40, 3, *map(str, outs))
        found.append(np.load(outs[1] / "input0.npy"))
    assert made["calibration"]["count"] == 40
    np.testing.assert_array_equal(*found)


def test_examples_that_are_all_alike_cannot_be_split(tmp_path):
    for out in "ec":
        (tmp_path / out).mkdir()
    with pytest.raises(DataError, match="too few different examples"):
        data.split(shards(tmp_path / "w", x=np.ones((5, 2))), 0.2, 9, 0, str(tmp_path / "e"), str(tmp_path / "c"))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 5), st.integers(0, 9))
def test_generated_indices_stay_within_their_bounds(tmp_path_factory, low, span, size, seed):
    out = tmp_path_factory.mktemp("generated")
    specs = [
        {"name": "ids", "dtype": "int64", "shape": ["batch", "sequence"]},
        {"name": "mask", "dtype": "bool", "shape": ["batch", None]},
        {"name": "x", "dtype": "float16", "shape": [1, 3, "sequence"]},
        {"name": "kind", "dtype": "int32", "shape": ["batch"]},
    ]
    made = data.generate(specs, {"ids": (low, low + span)}, {"sequence": size}, 7, seed, str(out))
    ids, mask, x, kind = (np.load(out / made["inputs"][spec["name"]]) for spec in specs)
    assert ids.shape == (7, size)
    assert low <= ids.min() <= ids.max() <= low + span
    assert (mask.shape, mask.dtype) == ((7, 1), np.bool_)
    assert (x.shape, x.dtype) == ((7, 3, size), np.float16)
    assert set(kind.tolist()) <= {0, 1}
    assert (made["count"], made["labels"]) == (7, None)


def test_what_cannot_be_generated_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot generate"):
        data.generate([{"name": "x", "dtype": "object", "shape": ["n"]}], {}, {}, 3, 0, str(tmp_path))


def test_generated_floats_keep_to_the_declared_range(tmp_path):
    specs = [{"name": "x", "dtype": "float32", "shape": ["batch", 50]}]
    made = data.generate(specs, {"x": (-2.0, 6.0)}, {}, 20, 0, str(tmp_path))
    values = np.load(tmp_path / made["inputs"]["x"])
    assert -2 <= values.min() < -1.5
    assert 5.5 < values.max() <= 6
    assert made["notes"] == ["inputs were generated: from the model's signature; x from -2 to 6, as the model declares"]
