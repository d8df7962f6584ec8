"""A bundle is the one that was packed, or every changed, missing and extra file is named."""

import json

import pytest

from strop.bundle.pack import MANIFEST, dump, seal
from strop.bundle.verify import verify_bundle
from strop.core.errors import BundleError
from strop.core.manifest import Answer, Manifest
from strop.core.model import TensorSpec
from strop.core.noun import SCHEMA
from strop.core.recipe import Recipe
from strop.core.task import Workload
from strop.store import files

FILES = {"infer.py": "print()", "model/m.onnx": "weights"}


@pytest.fixture
def bundle(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 4))
    manifest = Manifest(
        strop="0", outcome="chosen", model="model/m.onnx", inputs=(spec,), outputs=(spec,), preprocessing=(), workload=Workload(),
        preprocess=None, task=Answer(kind="classification", pooling="mean", output="x"),
        recipe=Recipe(name="fp32", runtime="null"), settings={"threads": 1}, source={"file": "m.onnx", "bytes": 7}, versions={},
        measurements={"speedup": {"value": 2.06, "low": 2.01}, "accuracy": None}, gates=(), environment={},
        files={name: files.digest_file(tmp_path / name) for name in FILES},
    )  # fmt: skip
    write(tmp_path, dump(manifest.model_copy(update={"digest": seal(dump(manifest))})))
    return tmp_path


def write(folder, value):
    (folder / MANIFEST).write_text(json.dumps(value, indent=1))


def test_a_whole_bundle_is_verified(bundle):
    assert verify_bundle(str(bundle)).model == "model/m.onnx"


def test_a_bundle_of_a_strop_that_knew_fewer_fields_is_whole(bundle):
    raw = json.loads((bundle / MANIFEST).read_text())
    del raw["arrays"], raw["recipe"]["unrepresentative"]
    write(bundle, {**raw, "digest": seal(raw)})
    assert verify_bundle(str(bundle)).arrays == {}
    write(bundle, {**raw, "digest": seal(raw), "outcome": "provisional"})
    with pytest.raises(BundleError, match="its digest is not its own"):
        verify_bundle(str(bundle))


def test_pythons_own_cache_is_a_change_with_a_hint_of_its_own(bundle):
    (bundle / "__pycache__").mkdir()
    (bundle / "__pycache__" / "runner.cpython-311.pyc").write_text("")
    with pytest.raises(BundleError, match="extra: __pycache__") as refused:
        verify_bundle(str(bundle))
    assert "remove __pycache__" in refused.value.hint


def test_every_difference_is_named(bundle):
    (bundle / "infer.py").write_text("print(1)")
    (bundle / "model" / "m.onnx").unlink()
    (bundle / "more.txt").write_text("")
    (bundle / "model" / "x__pycache__y").write_text("")
    (bundle / "dangling").symlink_to("nowhere")
    with pytest.raises(BundleError) as refused:
        verify_bundle(str(bundle))
    for problem in (
        "changed: infer.py",
        "missing: model/m.onnx",
        "extra: more.txt",
        "extra: dangling",
        "extra: model/x__pycache__y",
    ):
        assert problem in refused.value.message


def test_a_link_to_the_same_content_is_a_change(bundle, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "m.onnx"
    (bundle / "model" / "m.onnx").rename(elsewhere)
    (bundle / "model" / "m.onnx").symlink_to(elsewhere)
    with pytest.raises(BundleError, match=r"changed: model/m\.onnx"):
        verify_bundle(str(bundle))


@pytest.mark.parametrize(
    "change", [{"outcome": "provisional"}, {"measurements": {"speedup": 9}}, {"files": {}}, {"settings": {"threads": 2}}]
)
def test_an_edited_manifest_is_found_out(bundle, change):
    write(bundle, json.loads((bundle / MANIFEST).read_text()) | change)
    with pytest.raises(BundleError, match="its digest is not its own"):
        verify_bundle(str(bundle))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"schema": "x"}', '{"schema": 1, "other": 2}'])
def test_a_damaged_manifest_is_refused(bundle, text):
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="changed or damaged"):
        verify_bundle(str(bundle))


def test_a_newer_bundle_and_none_at_all_are_refused(bundle, tmp_path_factory):
    write(bundle, json.loads((bundle / MANIFEST).read_text()) | {"schema": SCHEMA + 1})
    with pytest.raises(BundleError, match="newer Strop"):
        verify_bundle(str(bundle))
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        verify_bundle(str(tmp_path_factory.mktemp("empty")))
