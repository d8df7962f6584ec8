"""A bundle is the one that was packed, or every changed, missing and extra file is named."""

import json
import shutil
import subprocess
import sys

import pytest

from strop.bundle.infer import infer_bundle
from strop.bundle.pack import LANGUAGE, MANIFEST, TEMPLATE, dump, listed, seal
from strop.bundle.verify import verify_bundle
from strop.core.errors import BundleError
from strop.core.manifest import Answer, Manifest
from strop.core.model import TensorSpec
from strop.core.noun import SCHEMA
from strop.core.recipe import Recipe
from strop.core.task import Workload

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
        **listed(tmp_path),
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
    del raw["sizes"], raw["executables"]
    write(bundle, {**raw, "digest": seal(raw)})
    assert verify_bundle(str(bundle)).executables is None
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


def test_empty_folders_modes_and_sizes_count(bundle):
    manifest = json.loads((bundle / MANIFEST).read_text())
    assert (manifest["sizes"], manifest["executables"]) == ({"infer.py": 7, "model/m.onnx": 7}, [])
    (bundle / "model" / "more" / "deep").mkdir(parents=True)
    with pytest.raises(BundleError, match=r"extra: model/more/deep/(\n|$)"):
        verify_bundle(str(bundle))
    shutil.rmtree(bundle / "model" / "more")
    (bundle / "infer.py").chmod(0o755)
    with pytest.raises(BundleError, match=r"changed: infer\.py may be executed"):
        verify_bundle(str(bundle))
    (bundle / "infer.py").chmod(0o600)  # what a umask takes away is no change
    assert verify_bundle(str(bundle)).outcome == "chosen"
    reseal(bundle, sizes={"infer.py": 8, "model/m.onnx": 7})
    with pytest.raises(BundleError, match=r"changed: infer\.py"):
        verify_bundle(str(bundle))


OUTSIDE = ["../outside.onnx", "model/../../outside.onnx", "/etc/hostname", "..", "model\\..\\..\\outside.onnx"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_manifest_that_is_sealed_again_leads_nowhere_else(bundle, name):
    (bundle.parent / "outside.onnx").write_text("weights")
    reseal(bundle, model=name)
    with pytest.raises(BundleError, match=r"manifest\.json: model: .* leaves the bundle"):
        verify_bundle(str(bundle))
    with pytest.raises(BundleError, match="leaves the bundle"):
        infer_bundle(str(bundle), "none.npz", "out.npz")
    reseal(bundle, model="model/m.onnx", files={**json.loads((bundle / MANIFEST).read_text())["files"], name: "0" * 64})
    with pytest.raises(BundleError, match=r"manifest\.json: files: .* leaves the bundle"):
        verify_bundle(str(bundle))
    reseal(bundle, model="model/other.onnx", files=listed(bundle)["files"])
    with pytest.raises(BundleError, match="is not among its files"):
        verify_bundle(str(bundle))


@pytest.mark.parametrize("template", [TEMPLATE, LANGUAGE], ids=["tensor", "language"])
def test_its_own_code_does_not_open_a_model_elsewhere_either(bundle, template):
    shutil.copyfile(template, bundle / "infer.py")
    (bundle / "runner.py").write_text("def open(path, settings):\n    raise SystemExit(f'OPENED {path}')\n")
    (bundle.parent / "outside.onnx").write_text("weights")
    (bundle / "model" / "link.onnx").symlink_to(bundle.parent / "outside.onnx")
    for name in ("../outside.onnx", str(bundle.parent / "outside.onnx"), "model/link.onnx"):
        reseal(bundle, model=name)
        arguments = ["in.npz", "out.npz"] if template == TEMPLATE else ["--prompt", "x"]
        done = subprocess.run(
            [sys.executable, "-B", bundle / "infer.py", *arguments], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"manifest.json: {name!r} leaves the bundle\n"


def reseal(folder, **change):
    """As whoever changes a bundle can do, too."""
    raw = {**json.loads((folder / MANIFEST).read_text()), **change}
    write(folder, {**raw, "digest": seal(raw)})


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


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"schema": "x"}', '{"schema": 1, "other": 2}', '{"a":' * 5000, "[" * 100_000, '{"a": "\\ud800"}'],
)
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
