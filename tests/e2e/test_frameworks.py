"""The real command line across frameworks that live in environments of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import DEMO, candidates, report, run_strop
from strop.plan.discover import backends
from strop.worker.interpreter import find

RECIPES = ("nncf-int8", "nncf-int8-onnx", "openvino-int8-static", "olive-static")
CONFIG = ("--config", DEMO / "strop.toml", "--threads", 1)


def flags(*recipes: str) -> list[str]:
    return [part for name in recipes for part in ("--recipe", name)]


@pytest.fixture
def frameworks(own_environments: Callable[..., None]) -> None:
    own_environments("openvino", "olive")


@pytest.fixture
def answers(tmp_path: Path) -> Callable[[str], np.ndarray]:
    """What a recipe's check answered, in the order of the evaluation data."""

    def read(name: str) -> np.ndarray:
        check = next(tmp_path.glob(f".strop/runs/*/candidates/{name}/check"))
        return np.load(check / next(iter(json.loads((check / "check.json").read_text())["shards"].values())))

    return read


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_one_run_across_frameworks(tmp_path: Path, answers: Callable[[str], np.ndarray]) -> None:
    """Every framework's candidate is built and run, and answers nearly as the baseline does."""
    done = run_strop(tmp_path, "optimize", DEMO / "kws.onnx", *CONFIG, "--budget", "150s", *flags(*RECIPES))
    assert done.code == 0, done.err
    document = report(tmp_path)
    found = candidates(document)
    for name in RECIPES:
        assert found[name]["status"] in ("measured", "dropped"), f"{name}: {found[name]['reason']}"
    checked = [n for n in RECIPES if found[n]["measurement"]["accuracy"] is not None]
    assert {"nncf-int8-onnx", "olive-static"} <= set(checked), "as fast as the baseline, or nearly: not dropped unseen"
    for name in checked:
        assert found[name]["measurement"]["accuracy"] > 0.85
        assert (answers(name).argmax(1) == answers("fp32").argmax(1)).mean() > 0.9
    versions = document["environment"]["versions"]
    assert {"openvino/openvino", "olive/olive-ai", "onnxruntime"} <= versions.keys()


@pytest.mark.usefixtures("frameworks")
def test_an_ir_is_built_and_compared_with_its_onnx(tmp_path: Path) -> None:
    """An IR is input like any other model; its answers are those of the file that it was made from."""
    made = run_strop(tmp_path, "build", DEMO / "kws.onnx", *CONFIG, "--recipe", "openvino-f32", "--out", "ir", "--check")
    assert made.code == 0, made.err
    assert {p.suffix for p in (tmp_path / "ir").iterdir()} >= {".xml", ".bin"}
    compared = run_strop(tmp_path, "bench", DEMO / "kws.onnx", "ir/model.xml", *CONFIG, "--json")
    assert compared.code == 0, compared.err
    first, row = json.loads(compared.out)["rows"]
    assert row["retained"]["value"] == pytest.approx(1.0)
    assert first["largest_difference"] == 0.0
    assert 0.0 < row["largest_difference"] < 1e-4, "another runtime's f32: other roundings, no other answers"


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_an_ir_is_optimized_and_packed(tmp_path: Path, answers: Callable[[str], np.ndarray]) -> None:
    assert run_strop(tmp_path, "build", DEMO / "kws.onnx", *CONFIG, "--recipe", "openvino-f32", "--out", "ir").code == 0
    claims = {"openvino-bf16": "bf16", "openvino-f16-weights-bf16": "bf16", "nncf-int8-mixed": "int8"}
    done = run_strop(tmp_path, "optimize", "ir/model.xml", *CONFIG, "--budget", "40s", *flags(*claims))
    assert done.code == 0, done.err
    document = report(tmp_path)
    for name, kind in claims.items():
        assert f"{kind} " in candidates(document)[name]["measurement"]["ran"], "its kernels are of the type that it claims"
    assert document["chosen"]["backend"] == "openvino"
    assert "openvino==" in (tmp_path / "strop-out" / "latest" / "bundle" / "requirements.txt").read_text()
    assert run_strop(tmp_path, "bundle", "verify", "strop-out/latest/bundle").code == 0
    np.savez(tmp_path / "in.npz", input=np.load(DEMO / "eval.npz")["input"].astype(np.float32))
    assert run_strop(tmp_path, "bundle", "infer", "strop-out/latest/bundle", "in.npz", "out.npz").code == 0
    with np.load(tmp_path / "out.npz") as got:
        assert got[got.files[0]] == pytest.approx(answers(document["chosen"]["name"]), abs=1e-4)


@pytest.mark.usefixtures("frameworks")
def test_an_olive_that_hands_over_nothing_is_one_candidates_failure(tmp_path: Path) -> None:
    """Olive returns without an error although its pass failed; the rest goes on."""
    hopeless = {"passes": {"only": {"type": "OnnxStaticQuantization", "data_config": "no_such_data"}}}
    (tmp_path / "olive.json").write_text(json.dumps(hopeless))
    done = run_strop(
        tmp_path, "optimize", DEMO / "kws.onnx", *CONFIG, "--budget", "60s", "--olive-config", "olive.json",
        *flags("olive-config", "int8-dynamic"),
    )  # fmt: skip
    assert done.code == 0, done.err
    found = candidates(report(tmp_path))
    assert found["olive-config"]["status"] == "failed"
    assert found["olive-config"]["failure"]["stage"] == "build"
    assert found["int8-dynamic"]["status"] != "failed"


@pytest.mark.slow
def test_an_interpreter_that_is_deleted_is_explained_and_taken_up_again(
    tmp_path: Path, own_environments: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its candidate fails as missing and the run ends well; once it is back, the same command mends what it missed."""
    own_environments("openvino")
    found = find(backends()["openvino"])
    python = tmp_path / "home" / "interpreters" / "python"
    python.parent.mkdir(parents=True)
    record = found.model_copy(update={"python": str(python), "managed": False})
    (python.parent / "openvino.json").write_text(record.model_dump_json())

    def bring_back() -> None:
        python.write_text(f'#!/bin/sh\nexec {found.python} "$@"\n')
        python.chmod(0o755)

    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    bring_back()
    command = ["optimize", DEMO / "kws.onnx", *CONFIG, "--budget", "30s", *flags("openvino-f32", "int8-dynamic")]
    with subprocess.Popen(
        [sys.executable, "-m", "strop", *map(str, command)], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not any(
            "baseline-tuned" in p.read_text() for p in tmp_path.glob(".strop/runs/*/events.jsonl")
        ):
            time.sleep(0.05)
        python.unlink()
    assert process.returncode in (0, 10)
    lost = candidates(report(tmp_path))["openvino-f32"]
    assert (lost["status"], lost["failure"]["kind"]) == ("failed", "missing")
    assert candidates(report(tmp_path))["int8-dynamic"]["status"] != "failed"
    bring_back()
    done = run_strop(tmp_path, *command)
    assert done.code == 0, done.err
    assert candidates(report(tmp_path))["openvino-f32"]["status"] != "failed"
    assert len(list(tmp_path.glob(".strop/runs/*"))) == 1


def test_what_is_not_installed_says_how(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "optimize", DEMO / "kws.onnx", "--backend", "openvino")
    assert done.code == 13
    assert "strop backends install openvino" in done.err
    probes = {p["name"]: p for p in json.loads(run_strop(tmp_path, "backends", "--json").out)}
    assert not probes["openvino"]["works"]
    assert "strop backends install openvino" in probes["openvino"]["why_not"]


def test_installing_what_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    assert run_strop(tmp_path, "backends", "install", "onnxruntime").code == 2
    assert run_strop(tmp_path, "backends", "install", "nonsense").code == 2
    done = run_strop(tmp_path, "backends", "install", "openvino", "--python", "/bin/ls")
    assert done.code == 13
    assert "no Python" in done.err
    done = run_strop(tmp_path, "backends", "install", "openvino", "--python", sys.executable)
    assert done.code == 13
    assert "does not work in" in done.err
    probes = {p["name"]: p for p in json.loads(run_strop(tmp_path, "backends", "--json").out)}
    assert not probes["openvino"]["works"]
