"""`strop devices` and `strop inspect` as a user runs them."""

import json
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from conftest import DEMO, run_strop

FRAMEWORKS = ("onnx", "onnxruntime", "openvino", "torch", "transformers", "nncf", "olive", "mlx", "tflite")


def test_this_machine_is_what_the_kernel_says(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "devices", "--json")
    assert done.code == 0, done.err
    here = json.loads(done.out)
    flags = set(here["cpu_flags"])
    lscpu = shutil.which("lscpu")
    if lscpu is not None:
        lines = subprocess.run([lscpu], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout.splitlines()
        said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        assert flags <= set(said["Flags"].split()) if "Flags" in said else flags
        for name in ("avx2", "avx512f", "avx512_vnni", "amx_int8"):
            assert (name in here["instructions"]) == (name in said.get("Flags", "").split()), name
        assert here["cpu"] == said["Model name"]
    assert here["cores"] >= 1
    assert here["memory_bytes"] > 0


@pytest.mark.skipif(shutil.which("taskset") is None, reason="no taskset on this platform")
def test_under_a_limit_the_limit_is_reported(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "devices", "--json", prefix=("taskset", "-c", "0"))
    assert json.loads(done.out)["cores"] == 1


@pytest.mark.parametrize(
    "arguments", [["devices"], ["devices", "list"], ["inspect", str(DEMO / "kws.onnx"), "--target", "apple-m4"]]
)
def test_no_framework_is_imported(tmp_path: Path, arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["strop", *{arguments!r}]
from strop.cli.app import app
try:
    app()
except SystemExit as done:
    assert not done.code
found = [name for name in {FRAMEWORKS!r} if name in sys.modules]
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_is_shown_with_its_sources(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "devices", "show", "raspberry-pi-5")
    assert done.code == 0, done.err
    assert "8 GB" in done.out
    assert "https://" in done.out
    toml = run_strop(tmp_path, "devices", "show", "raspberry-pi-5", "--toml").out
    (tmp_path / "mine.toml").write_text(toml.replace('"8 GB"', '"4 GB"'))
    mine = json.loads(run_strop(tmp_path, "devices", "show", "mine.toml", "--json").out)
    assert mine["memory_bytes"] == 4_000_000_000


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["devices", "show", "raspberry-pi"], 2, "no device 'raspberry-pi' in the catalog"),
        (["devices", "show", "gone.toml"], 5, "gone.toml: cannot be read: No such file or directory"),
        (["devices", "show", "odd.toml"], 5, "odd.toml: memory.sise: no such key, found '2 GB'"),
        (["inspect", str(DEMO / "kws.onnx"), "--target", "odd.toml"], 5, "odd.toml: memory.sise"),
        (["inspect", str(DEMO / "kws.onnx"), "--for", "fun"], 2, "--for fun: no such purpose"),
        (["inspect", "gone.onnx"], 3, "gone.onnx: no such file"),
        (["inspect", "odd.toml"], 3, "odd.toml"),
        (["inspect", "empty"], 3, "empty"),
    ],
)
def test_bad_input_is_one_line_with_its_own_code(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    (tmp_path / "odd.toml").write_text('name = "odd"\n[memory]\nsise = "2 GB"\n')
    (tmp_path / "empty").mkdir()
    done = run_strop(tmp_path, *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 2


def test_inspect_counts_what_the_file_holds(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "inspect", DEMO / "kws.onnx", "--target", "raspberry-pi-5", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    weights = onnx.load(DEMO / "kws.onnx").graph.initializer
    floats = sum(int(np.prod(w.dims)) for w in weights if w.data_type == onnx.TensorProto.FLOAT)
    assert found["inspection"]["parameters"] == floats
    assert sum(found["inspection"]["stored"].values()) == sum(int(np.prod(w.dims)) for w in weights)
    assert [f["precision"] for f in found["footprints"]] == ["fp32", "fp16", "int8", "int4"]
    assert all(f["verdict"] == "fits" for f in found["fits"])
    assert found["advice"]["asked"][-1]["pick"] == ["openvino"]
    assert {r["framework"] for r in found["advice"]["ranking"] if r["blocked"]} == {"llamacpp", "mlx"}


def test_explain_prints_the_path_and_every_rule(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "inspect", DEMO / "kws.onnx", "--target", "apple-m4", "--explain", "--for", "mobile")
    assert done.code == 0, done.err
    assert "└─ Is the target in the Apple ecosystem? yes (apple)" in done.out
    assert "facts overrule the tree: Apple MLX" in done.out
    for rule in ("[tree.apple]", "[requirement.mobile]", "[platform.apple-silicon]", "mlx-language-only"):
        assert rule in done.out


def escape(folder: Path) -> Path:
    """An ONNX model whose weight lies outside of its folder."""
    (folder / "secret.bin").write_bytes(bytes(64))
    place = folder / "model"
    place.mkdir()
    weight = onnx.TensorProto(name="w", dims=[4, 4], data_type=onnx.TensorProto.FLOAT, data_location=onnx.TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="../secret.bin")
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 4]) for n in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    (place / "m.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return place / "m.onnx"


def absurd_counts(folder: Path) -> Path:
    """A GGUF file of 24 bytes that promises 2⁶² tensors."""
    (folder / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 1 << 62))
    return folder / "m.gguf"


def huge_header(folder: Path) -> Path:
    """A safetensors file whose header would be a terabyte."""
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 40) + b"{}")
    return folder


def remote_code(folder: Path) -> Path:
    """A configuration that names code of its own, beside code that would leave a trace."""
    (folder / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoModel": "modeling.Mine"}}')
    (folder / "modeling.py").write_text('open("ran", "w")\n')
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


def pickled(folder: Path) -> Path:
    (folder / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}')
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"w": 1}))
    return folder


@pytest.mark.parametrize("make", [escape, absurd_counts, huge_header, remote_code, pickled], ids=lambda make: make.__name__)
def test_hostile_files_are_refused_in_one_line(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    done = run_strop(tmp_path, "inspect", path)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 2
    assert str(path) in done.err
    assert not (tmp_path / "ran").exists()
