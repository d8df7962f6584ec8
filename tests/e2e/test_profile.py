"""Profiles of a real run: asked for beforehand and afterwards, with and without a profiler in the runtime, and refused."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import DATA, DEMO, null_model, report, run_strop

QUICK = ("--threads", 1, "--recipe", "int8-static", "--backend", "onnxruntime", "--budget", "45s", "--quiet")
ASK = ("optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", *QUICK)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A short run of the demo's model, not profiled."""
    folder = tmp_path_factory.mktemp("profiled")
    done = run_strop(folder, *ASK)
    assert done.code in (0, 10), done.err
    return folder, report(folder)


def test_a_finished_run_is_profiled_and_its_reports_hold_it(finished: tuple[Path, dict]) -> None:
    folder, document = finished
    done = run_strop(folder, "runs", "profile", document["run"], "--candidate", "fp32", "--candidate", "int8-static", "--json")
    assert done.code == 0, done.err
    found = {p["candidate"]: p["profile"] for p in json.loads(done.out)}
    precisions = {name: {o["precision"] for o in p["operators"] if o["operator"] == "Conv"} for name, p in found.items()}
    assert precisions == {"fp32": {"fp32"}, "int8-static": {"int8"}}
    fp32 = found["fp32"]
    assert sum(o["ns"] for o in fp32["operators"]) > 0
    assert fp32["cpu_ns"] > 0
    assert len(fp32["latencies_ns"]) >= 20
    assert [m["doing"] for m in fp32["memory"]][:3] == ["empty", "loaded", "first inference"] or not fp32["memory"]
    run = folder / ".strop" / "runs" / document["run"]
    again = json.loads((run / "report.json").read_text())
    assert {p["candidate"] for p in again["evidence"]["profiles"]} == {"fp32", "int8-static"}
    assert set(again["evidence"]["bottlenecks"]) == {"fp32", "int8-static"}
    assert "Conv int8" in (run / "report.md").read_text()
    assert 'id="profile"' in (run / "report.html").read_text()


def test_the_same_command_asks_for_the_profile_afterwards(finished: tuple[Path, dict]) -> None:
    folder, document = finished
    done = run_strop(folder, *ASK, "--profile")
    assert done.code in (0, 10), done.err
    again = report(folder)
    assert again["run"] == document["run"]
    assert again["evidence"]["profiles"][0]["candidate"] == document["baseline"]["name"]


def test_unknown_candidates_and_lost_data_are_refused(finished: tuple[Path, dict], tmp_path: Path) -> None:
    folder, document = finished
    shutil.copytree(folder / ".strop", tmp_path / ".strop")
    done = run_strop(tmp_path, "runs", "profile", document["run"], "--candidate", "nothing")
    assert done.code == 2
    assert "'nothing' was not measured" in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_runtime_without_a_profiler_is_watched_all_the_same(tmp_path: Path) -> None:
    null_model(tmp_path, ["fast"])
    done = run_strop(tmp_path, "optimize", "model.null", *DATA, "--quiet", "--profile", "--threads", 1)
    assert done.code in (0, 10, 11), done.err
    profile = report(tmp_path)["evidence"]["profiles"][0]["profile"]
    assert profile["no_operators"]
    assert profile["wall_ns"] > 0
    run = report(tmp_path)["run"]
    shutil.rmtree(tmp_path / ".strop" / "data")
    done = run_strop(tmp_path, "runs", "profile", run)
    assert "pruned" in done.err
    assert "--fresh --profile" in done.err
