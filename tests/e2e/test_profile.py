"""Profiles of real runs: asked for beforehand and afterwards, with and without a profiler in the runtime, and refused."""

import json
import shutil

import pytest

from conftest import DATA, DEMO, candidates, null_model, report

QUICK = ("--threads", "1", "--recipe", "int8-static", "--backend", "onnxruntime", "--budget", "60s")


@pytest.fixture
def demo_run(cli, tmp_path):
    """A short run of the demo's model, not profiled."""
    done = cli("optimize", DEMO / "model.onnx", "--config", DEMO / "strop.toml", *QUICK, "--quiet")
    assert done.code in (0, 10), done.err
    return report(tmp_path)["run"]


def test_a_finished_run_is_profiled_and_its_reports_hold_it(cli, tmp_path, demo_run):
    done = cli("runs", "profile", demo_run, "--candidate", "fp32", "--candidate", "int8-static", "--json")
    assert done.code == 0, done.err
    found = {p["candidate"]: p["profile"] for p in json.loads(done.out)}
    precisions = {name: {o["precision"] for o in p["operators"] if o["operator"] == "Conv"} for name, p in found.items()}
    assert precisions == {"fp32": {"fp32"}, "int8-static": {"int8"}}
    fp32 = found["fp32"]
    assert 0 < sum(o["ns"] for o in fp32["operators"])
    assert 0 < fp32["cpu_ns"]
    assert len(fp32["latencies_ns"]) >= 20
    assert [m["doing"] for m in fp32["memory"]][:3] == ["empty", "loaded", "first inference"] or not fp32["memory"]
    folder = tmp_path / ".strop" / "runs" / demo_run
    document = json.loads((folder / "report.json").read_text())
    assert {p["candidate"] for p in document["evidence"]["profiles"]} == {"fp32", "int8-static"}
    assert set(document["evidence"]["bottlenecks"]) == {"fp32", "int8-static"}
    assert "Conv int8" in (folder / "report.md").read_text()
    assert 'id="profile"' in (folder / "report.html").read_text()


def test_a_run_is_asked_for_its_profile_afterwards_by_the_same_command(cli, tmp_path, demo_run):
    done = cli("optimize", DEMO / "model.onnx", "--config", DEMO / "strop.toml", *QUICK, "--quiet", "--profile")
    assert done.code in (0, 10), done.err
    document = report(tmp_path)
    assert document["run"] == demo_run
    assert [p["candidate"] for p in document["evidence"]["profiles"]][0] == document["baseline"]["name"]


def test_unknown_candidates_and_lost_data_are_refused(cli, tmp_path, demo_run):
    done = cli("runs", "profile", demo_run, "--candidate", "nothing")
    assert done.code == 2
    assert "'nothing' was not measured" in done.err
    assert "Traceback" not in done.err
    shutil.rmtree(tmp_path / ".strop" / "data")
    done = cli("runs", "profile", demo_run)
    assert done.code not in (0, 1)
    assert "pruned" in done.err
    assert "--fresh --profile" in done.err


def test_a_runtime_without_a_profiler_is_watched_all_the_same(cli, tmp_path):
    null_model(tmp_path, ["fast"])
    done = cli("optimize", "model.null", *DATA, "--quiet", "--profile", "--threads", "1")
    assert done.code in (0, 10, 11), done.err
    profiles = report(tmp_path)["evidence"]["profiles"]
    assert profiles[0]["profile"]["no_operators"]
    assert profiles[0]["profile"]["wall_ns"] > 0
    assert candidates(report(tmp_path))
