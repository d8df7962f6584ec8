"""Bad input: one clear line, its own exit code, a hint, and nothing lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import DATA, DEMO, Done, null_model, run_strop
from strop.core.noun import SCHEMA

USAGE, MODEL, DATAERR, CONFIG, BASELINE, OUTPUT, BUDGET = 2, 3, 4, 5, 6, 7, 8


def dense(folder: Path, name: str = "m.onnx", external: str | None = None, opset: int = 17, op: str = "MatMul") -> Path:
    """x [batch, 8] @ W → y [batch, 4]; with `external`, W lies in a file beside the model under that location."""
    weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32), "W")
    if external is not None:
        (folder / "weights.bin").write_bytes(weight.raw_data)
        size = len(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", external), ("offset", "0"), ("length", str(size))):
            entry = weight.external_data.add()
            entry.key, entry.value = key, value
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "W"], ["y"], "product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def refused(done: Done, code: int, *words: str) -> None:
    """That exit code, one line of error with these words, no traceback."""
    assert done.code == code, done.err + done.out
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    for word in words:
        assert word in lines[0], lines[0]
    assert "Traceback" not in done.err


def _cut(folder: Path) -> Path:
    path = folder / "cut.onnx"
    path.write_bytes((DEMO / "kws.onnx").read_bytes()[:50_000])
    return path


def _linked(folder: Path) -> Path:
    path = dense(folder, external="link.bin")
    outside = folder.parent / f"{folder.name}-outside.bin"
    outside.write_bytes((folder / "weights.bin").read_bytes())
    (folder / "link.bin").symlink_to(outside)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "none.onnx", ["none.onnx", "no such file"]),
        (lambda p: shutil.copy(DEMO / "strop.toml", p / "text.onnx"), ["text.onnx", "not an ONNX model"]),
        (lambda p: shutil.copy(DEMO / "strop.toml", p / "model.txt"), ["model.txt", "no known format"]),
        (_cut, ["cut.onnx", "truncated"]),
        (lambda p: dense(p, external="../weights.bin"), ["'W'", "'../weights.bin'", "leaves the model's folder"]),
        (lambda p: dense(p, external="/etc/hostname"), ["'/etc/hostname'", "leaves the model's folder"]),
        (_linked, ["'link.bin'", "leaves the model's folder"]),
        (lambda p: dense(p, external="gone.bin"), ["'gone.bin'", "missing"]),
        (lambda p: dense(p, opset=99), ["opset 99"]),
        (lambda p: dense(p, op="Frobnicate"), ["unknown operator", "'Frobnicate'"]),
    ],
    ids=["missing", "not-onnx", "suffix", "truncated", "climbs", "absolute", "symlink", "gone", "opset", "operator"],
)
def test_model(tmp_path: Path, make: Callable[[Path], Path], words: list[str]) -> None:
    refused(run_strop(tmp_path, "optimize", make(tmp_path)), MODEL, *words)


def _arrays(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


X = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)
Y = np.arange(40) % 4
NAN = X.copy()
NAN[7, 3] = np.nan


@pytest.mark.parametrize(
    ("arrays", "flags", "words"),
    [
        ({"x": X}, ["--metric", "top1"], ["no labels"]),
        ({"x": X, "labels": Y}, ["--labels", "truth"], ["'truth'"]),
        ({"x": X[:, :5], "labels": Y}, [], ["[40, 5]", "'x'"]),
        ({"a": X, "b": X, "labels": Y}, [], ["'x'", "has a float32[40, 8]"]),
        ({"x": X[:0], "labels": Y[:0]}, [], ["empty"]),
        ({"x": X, "labels": Y[:9]}, [], ["differ in their number"]),
        ({"x": NAN, "labels": Y}, [], ["NaN", "row 7"]),
        ({"x": np.array([{}] * 40, dtype=object), "labels": Y}, [], ["pickled"]),
        ({"x": X.astype(complex), "labels": Y}, [], ["complex128"]),
    ],
    ids=["no-labels", "label-name", "shape", "name", "empty", "counts", "nan", "pickle", "type"],
)
def test_data(tmp_path: Path, arrays: dict[str, np.ndarray], flags: list[str], words: list[str]) -> None:
    done = run_strop(tmp_path, "optimize", dense(tmp_path), "--data", _arrays(tmp_path, **arrays), *flags)
    refused(done, DATAERR, *words)


def test_a_name_that_the_model_has_not_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    data = _arrays(tmp_path, x=X, labels=Y)
    refused(run_strop(tmp_path, "optimize", dense(tmp_path), "--data", data, "--map", "z=x", "--dry-run"), USAGE, "--map z=")


def test_missing_data_file(tmp_path: Path) -> None:
    refused(run_strop(tmp_path, "optimize", dense(tmp_path), "--data", "none.npz"), DATAERR, "none.npz", "no such file")


def test_damaged_data_file(tmp_path: Path) -> None:
    path = _arrays(tmp_path, x=X, labels=Y)
    path.write_bytes(path.read_bytes()[:500])
    refused(run_strop(tmp_path, "optimize", dense(tmp_path), "--data", path), DATAERR, "d.npz")


def test_overlap_of_calibration_and_evaluation(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", x=np.concatenate([X[:3] + 9, X[5:7]]))
    done = run_strop(tmp_path, "optimize", dense(tmp_path), "--data", _arrays(tmp_path, x=X, labels=Y), "--calibration", "c.npz")
    refused(done, DATAERR, "2 of 5", "row 3", "row 5")


def test_baseline_at_chance(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 4, 40)
    done = run_strop(tmp_path, "optimize", dense(tmp_path), "--data", _arrays(tmp_path, x=X, labels=labels))
    refused(done, BASELINE, "no better than chance")


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--metric", "brilliance"], CONFIG, ["unknown metric", "'brilliance'"]),
        (["--must", "speedup>=3", "--goal", "speedup>=2"], CONFIG, ["contradict", "speedup ≥ 3", "speedup ≥ 2"]),
        (["--must", "memory_ratio>=2", "--goal", "memory_ratio<=0.5"], CONFIG, ["contradict"]),
        (["--must", "glory>=1"], CONFIG, ["unknown metric", "'glory'"]),
        (["--must", "speedup"], CONFIG, ["'speedup'"]),
        (["--prefer", "speed=0.7,memory=0.7"], CONFIG, ["sum to 1"]),
        (["--prefer", "looks=1"], CONFIG, ["'looks'"]),
        (["--budget", "soon"], 2, ["'soon'"]),
        (["--budget", "5x"], 2, ["'5x' is not a duration"]),
        (["--budget", "0.5s"], BUDGET, ["0.5 s", "below one build and one check"]),
        (["--threads", "4096"], 2, ["--threads 4096"]),
        (["--recipe", "nonsense"], CONFIG, ["'nonsense'"]),
        (["--backend", "nonsense"], CONFIG, ["'nonsense'"]),
        (["--config", "none.toml"], CONFIG, ["none.toml"]),
        (["--output", "nothing"], DATAERR, ["'nothing'"]),
        (["--out", "/proc/strop-out"], OUTPUT, ["/proc/strop-out"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_flags(tmp_path: Path, flags: list[str], code: int, words: list[str]) -> None:
    refused(run_strop(tmp_path, "optimize", null_model(tmp_path, ["fast"]), *DATA, *flags), code, *words)


def test_config_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "strop.toml").write_text('[task]\nbatches = "many"\n')
    refused(run_strop(tmp_path, "optimize", dense(tmp_path)), CONFIG, "strop.toml", "task.batches", "'many'")


def test_foreign_output_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = run_strop(tmp_path, "optimize", dense(tmp_path), "--out", "mine")
    refused(done, OUTPUT, "mine", "not made by Strop")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_newer_store_is_refused(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 4, 40)
    command = ("optimize", dense(tmp_path), "--data", _arrays(tmp_path, x=X, labels=labels))
    refused(run_strop(tmp_path, *command), BASELINE, "no better than chance")
    record = next(tmp_path.glob(".strop/runs/*/candidates/*/candidate.json"))
    record.write_text(record.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    refused(run_strop(tmp_path, *command), 12, "newer Strop")


def test_full_disk(tmp_path: Path) -> None:
    """On a file system of 1 MB: one clear line; with room again the same command goes on."""
    model = null_model(tmp_path, ["fast"])
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=200k tmpfs "{small}" && exec "$@"'
    prefix = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    done = run_strop(tmp_path, "optimize", model, *DATA, "--store", small / "store", prefix=prefix)
    refused(done, OUTPUT, "disk full")


def test_changed_bundle_and_missing_bundle(tmp_path: Path) -> None:
    refused(run_strop(tmp_path, "bundle", "verify", tmp_path), 9, "no manifest.json")


def test_onnx_of_old_style_and_with_external_data_is_read(tmp_path: Path) -> None:
    """Weights listed as inputs are no inputs; weights beside the model are part of it."""
    path = dense(tmp_path, external="weights.bin")
    assert run_strop(tmp_path, "init", path).code == 0
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info("W", TensorProto.FLOAT, [8, 4]))
    onnx.save(model, str(tmp_path / "old.onnx"))
    done = run_strop(tmp_path, "optimize", tmp_path / "old.onnx", "--dry-run", "--json")
    assert done.code == 0, done.err
