"""Where items come from: tables of every kind, folders of pictures, the user's loader; what is broken is counted and named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from strop_child import data, labels
from strop_child.preprocess import DataError
from strop_child.shards import Growing
from strop_child.sources import Broken, class_numbers, read_classes, records

PICTURES = Path(__file__).parents[1] / "data" / "pictures"
ROWS = [("a cat", "1"), ("a dog", "0"), ("two, cats", "1")]
IMAGE = {
    "kind": "image", "input": "x", "resize": [8, 8], "crop": None, "interpolation": "bilinear", "rounding": "nearest",
    "color": "RGB", "scale": 1.0, "mean": None, "std": None, "layout": "NCHW", "dtype": "float32",
}  # fmt: skip
SPEC = {"name": "x", "dtype": "float32", "shape": ["batch", 3, 8, 8]}


def table(folder, suffix):
    path = folder / f"t.{suffix}"
    if suffix == "csv":
        path.write_text("text,label\n" + "".join(f'"{t}",{n}\n' for t, n in ROWS))
    elif suffix == "tsv":
        path.write_text("text\tlabel\n" + "".join(f"{t}\t{n}\n" for t, n in ROWS))
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in ROWS))
    else:
        parquet.write_table(pa.table({"text": [t for t, _ in ROWS], "label": [n for _, n in ROWS]}), path)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same_records(tmp_path, suffix):
    found = list(records(table(tmp_path, suffix), "table", {}, True, Broken(""), {}))
    assert [(r.item, r.label) for r in found] == ROWS
    assert "line 2" in found[1].where or "line 3" in found[1].where


def test_columns_are_named_and_missing_ones_listed(tmp_path):
    (tmp_path / "t.tsv").write_text('id\tsentence1\tsentence2\tscore\n0\tit is "so\tit is\t2.5\n')
    path = str(tmp_path / "t.tsv")
    (one,) = records(path, "table", {}, True, Broken(""), {})
    assert (one.item, one.label) == (('it is "so', "it is"), "2.5")
    with pytest.raises(DataError, match="no column 'gold'; has id, sentence1, sentence2, score"):
        list(records(path, "table", {"label": "gold"}, True, Broken(""), {}))
    with pytest.raises(DataError, match="no column for the file"):
        list(records(path, "pictures-table", {}, True, Broken(""), {}))


@pytest.mark.parametrize(("line", "why"), [(b"\xff\xfe,1\n", "not UTF-8"), (b"one cell\n", "1 cells, the header has 2")])
def test_a_broken_line_is_named(tmp_path, line, why):
    (tmp_path / "t.csv").write_bytes(b"text,label\na,1\n" + line + b"b,0\n")
    broken = Broken("t.csv")
    assert [r.item for r in records(str(tmp_path / "t.csv"), "table", {}, True, broken, {})] == ["a", "b"]
    assert broken.found == [f"t.csv line 3: {why}"]


@given(st.integers(1, 400), st.integers(0, 8))
def test_up_to_one_percent_of_broken_items_are_noted(good, bad):
    broken = Broken("s")
    for number in range(bad):
        broken.add(f"f{number}", "bad")
    if bad > 0.01 * (good + bad):
        with pytest.raises(DataError, match=f"{bad} of {good + bad} items are broken: f0: bad"):
            broken.notes(good)
    else:
        assert len(broken.notes(good)) == (1 if bad else 0)


@given(st.lists(st.integers(0, 999), min_size=1, max_size=5), st.sampled_from(";|"))
def test_several_classes_are_read_back(numbers, mark):
    assert class_numbers(mark.join(map(str, numbers)), []) == numbers


def test_classes_are_numbers_or_names(tmp_path):
    (tmp_path / "c.txt").write_text("cat\ndog\n")
    (tmp_path / "c.json").write_text('{"1": "dog", "0": "cat"}')
    for name in ("c.txt", "c.json"):
        assert class_numbers("dog | cat;1", read_classes(str(tmp_path / name))) == [1, 0, 1]
    for odd in ("bird", "1.5", "-1"):
        with pytest.raises(ValueError, match="class"):
            class_numbers(odd, ["cat", "dog"])


@pytest.fixture
def prepare(tmp_path):
    """Prepares items; gives the folder of shards and their description."""

    def run(source, form, spec=SPEC, **options):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        usual = {
            "columns": {}, "label_kind": "classes", "classes": None, "preprocess": None, "ships": {}, "loader": {},
            "pairs": False, "needed": False,
        }  # fmt: skip
        return out, data.prepare_items(str(source), form, [spec], out=str(out), **(usual | options))

    return run


def test_a_labelled_folder_of_pictures_becomes_shards(prepare):
    out, made = prepare(PICTURES, "pictures", columns={"label": "imagenet_classes"}, preprocess=IMAGE)
    assert (made["count"], made["packages"].keys(), made["notes"]) == (6, {"pillow"}, [])
    assert np.load(out / "input0.npy").shape == (6, 3, 8, 8)
    labels = np.load(out / "labels.npy")
    assert labels.shape == (6, 3)
    assert labels[0].tolist() == [504, 967, 968]
    assert (labels[1:] == -1).any()


def test_one_folder_a_class(prepare, tmp_path):
    for number, picture in enumerate(sorted(PICTURES.glob("*.jpg"))):
        folder = tmp_path / "set" / ("dogs" if number % 2 else "cats")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder)
    out, made = prepare(tmp_path / "set", "pictures", preprocess=IMAGE)
    assert np.load(out / made["labels"]).tolist() == [0, 0, 0, 1, 1, 1]
    (tmp_path / "classes.txt").write_text("dogs\nbirds\ncats\n")
    out, made = prepare(tmp_path / "set", "pictures", preprocess=IMAGE, classes=str(tmp_path / "classes.txt"))
    assert np.load(out / made["labels"]).tolist() == [2, 2, 2, 0, 0, 0]
    assert made["files"] == ["classes.txt"]


def test_broken_pictures_and_mixed_shapes_are_counted(prepare, tmp_path):
    for number in range(250):
        (tmp_path / "set").mkdir(exist_ok=True)
        shutil.copy(PICTURES / "lamp_0003.jpg", tmp_path / "set" / f"{number:03}.jpg")
    (tmp_path / "set" / "007.jpg").write_bytes(b"no picture")
    _, made = prepare(tmp_path / "set", "pictures", preprocess=IMAGE)
    assert made["count"] == 249
    assert "1 of 250 items are broken and left out: 007.jpg: cannot identify image file" in made["notes"][0]
    whole = {**SPEC, "shape": ["batch", 3, "h", "w"]}
    with pytest.raises(DataError, match=r"of 6 items are broken: .*: shape"):
        prepare(PICTURES, "pictures", whole, preprocess={**IMAGE, "resize": None})


LOADER = """
import numpy as np

def load(source):
    for i in range(5):
        yield np.full((3, 8, 8), i, "float32"), i % 2

def fails(source):
    yield np.zeros((3, 8, 8)), 0
    raise KeyError("gone")
"""


def test_a_loader_of_ones_own(prepare, tmp_path):
    (tmp_path / "mine.py").write_text(LOADER)
    out, made = prepare("", "loader", loader={"function": "mine:load", "folder": str(tmp_path)})
    assert made["count"] == 5
    assert np.load(out / "labels.npy").tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(DataError, match=r"mine:fails failed: KeyError: 'gone' \(mine.py, line 10\)"):
        prepare("", "loader", loader={"function": "mine:fails", "folder": str(tmp_path)})
    with pytest.raises(DataError, match="no function 'nothing'"):
        prepare("", "loader", loader={"function": "mine:nothing", "folder": str(tmp_path)})


def test_a_scorer_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text("def right(outputs, labels, inputs):\n    return outputs['y'].argmax(1) == labels\n")
    y, labels = np.eye(3), np.array([0, 1, 1])
    for name, array in {"y": y, "labels": labels, "x": y}.items():
        np.save(tmp_path / f"{name}.npy", array)
    place = {name: str(tmp_path / f"{name}.npy") for name in ("x", "y", "labels")}
    out = str(tmp_path / "scores.npy")
    data.score("mine:right", str(tmp_path), {"x": place["x"]}, {"y": place["y"]}, place["labels"], 1, out)
    assert np.load(out).tolist() == [1, 1, 0]
    with pytest.raises(DataError, match="2 finite numbers are needed"):
        np.save(tmp_path / "x.npy", y[:2])
        data.score("mine:right", str(tmp_path), {"x": place["x"]}, {"y": place["y"]}, place["labels"], 1, out)


def test_labels_of_words_stand_on_their_first_tokens():
    words = np.array([-1, 0, 1, 1, 2, -1])
    assert labels.aligned([7, 8, 9], words, 8).tolist() == [-100, 7, 8, -100, 9, -100, -100, -100]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_a_shard_grows_to_what_was_appended(tmp_path_factory, sizes):
    path = tmp_path_factory.mktemp("grow") / "s.npy"
    parts = [np.full((n, 2, 3), n, np.float32) for n in sizes]
    with Growing(str(path)) as shard:
        for part in parts:
            shard.append(part)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), np.concatenate(parts))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_many_shards_are_one_set(tmp_path, save):
    rng = np.random.default_rng(0)
    (tmp_path / "set").mkdir()
    whole = {"x": rng.standard_normal((10, 3)).astype(np.float32), "labels": np.arange(10) % 2}
    for number, rows in enumerate((slice(0, 4), slice(4, 9), slice(9, 10))):
        save(tmp_path / "set" / f"part-{number:03}.npz", **{name: array[rows] for name, array in whole.items()})
    out = tmp_path / "out"
    out.mkdir()
    made = data.prepare(
        str(tmp_path / "set"), [{"name": "x", "dtype": "float32", "shape": ["n", 3]}], {}, None, "classes", str(out)
    )
    np.testing.assert_array_equal(np.load(out / made["inputs"]["x"]), whole["x"])
    np.testing.assert_array_equal(np.load(out / made["labels"]), whole["labels"])
    assert sorted(p.name for p in out.iterdir()) == ["data.json", "input0.npy", "labels.npy"]
