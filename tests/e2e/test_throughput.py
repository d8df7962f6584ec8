"""Several requests in flight: real processes on null models that sleep, so that two of their sessions overlap on any machine."""

import json
from pathlib import Path

import pytest

import strop
from conftest import DATA, DEMO, candidates, null_model, run_strop
from strop.core.throughput import Load, throughput_of
from strop.plan.discover import backends
from strop.run import loading, throughput
from strop.run.loading import loaded_pair
from strop.run.pairing import Subject
from strop.run.throughput import Size
from strop.worker.call import Limits, Work


def sleeping(folder: Path, *offers: str) -> Path:
    path = null_model(folder, offers, milliseconds=5, examples=40)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sleeps": True}))
    return path


def test_two_streams_serve_more_than_one(tmp_path: Path) -> None:
    """Two callers of two sleeping sessions complete more than two callers of one; by how much is left to the machine."""
    import numpy as np

    path = sleeping(tmp_path)
    np.save(tmp_path / "x.npy", np.load(tmp_path / "eval.npz")["x"])
    one = Subject(
        name="one", work=Work(backends()["null"].work), artifact=str(path), settings={}, inputs={"x": str(tmp_path / "x.npy")},
        examples=40, batch=1, threads=1, spins=False, log=tmp_path / "log.txt", concurrency=2,
    )  # fmt: skip
    pair = loaded_pair(one, one._replace(name="two", settings={"streams": 2}), 0, 1, 0, Limits(30.0), threads=2)
    assert pair.threads == (2, 2)
    assert all(block.completed and block.latencies_ns for quad in pair.quads for block in quad.blocks)
    found = throughput_of([pair], Load(2, 1), "search", "one")
    assert found.ratio is not None and found.ratio.value > 1
    assert found.latency_ms


def test_a_run_by_throughput(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small samples: what is recorded counts here, and that there are figures."""
    monkeypatch.setattr(throughput, "LOOK", Size(1, 1))
    monkeypatch.setattr(throughput, "FULL", Size(3, 1))
    monkeypatch.setattr(loading, "BLOCK_S", 0.01)
    path = sleeping(tmp_path, "fast")
    outcome = strop.optimize(
        str(path), data=str(tmp_path / "eval.npz"), threads=2, concurrency=2, prefer="throughput=1", goal=["throughput>=1"],
        must=["tail_ratio<=100"], budget="none", out=str(tmp_path / "out"), store=str(tmp_path / "store"),
    )  # fmt: skip
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert document["task"]["workload"] == {"batches": [1], "concurrency": 2, "streams": 2}
    assert {"plain+streams", "fast+streams"} <= set(candidates(document))
    chosen = candidates(document)[document["chosen"]["name"]]
    figure = chosen["measurement"]["throughput"]
    assert (figure["concurrency"], figure["unit"], figure["stage"]) == (2, "examples", "confirmation")
    assert figure["rate"]["value"] > 0 and figure["ratio"]["value"] > 0
    assert next(g for g in chosen["gates"] if g["metric"] == "throughput")["result"] == "PASS"
    assert document["chosen"]["name"].endswith("+streams")  # two sessions overlap, one does not
    assert "requests in flight" in (tmp_path / "out" / "report.md").read_text()
    manifest = json.loads((tmp_path / "out" / "bundle" / "manifest.json").read_text())
    assert manifest["workload"]["concurrency"] == 2 and manifest["measurements"]["throughput"]["rate"]["value"] > 0
    assert outcome.result(outcome.baseline).throughput is not None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--streams", 2, "--concurrency", 2, "--threads", 1), "--streams 2 is more than the budget of cores"),
        (("--streams", 1, "--concurrency", 0), "--concurrency 0 is not above 0"),
    ],
)
def test_what_cannot_be_served_is_one_clear_error(tmp_path: Path, flags: tuple[object, ...], words: str) -> None:
    null_model(tmp_path, ["fast"])
    done = run_strop(tmp_path, "optimize", "model.null", *DATA, *flags, "--dry-run")
    assert done.code == 2 and words in done.err and "Traceback" not in done.err


def test_openvino_is_offered_with_its_streams(tmp_path: Path) -> None:
    done = run_strop(
        tmp_path, "optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", "--threads", 2, "--concurrency", 4, "--dry-run",
        "--json",
    )  # fmt: skip
    found = {offer["name"]: offer["recipe"] for offer in json.loads(done.out) if offer["recipe"]}
    assert found["int8-static+streams"]["settings"]["threads"] == 1
    assert "fp32+streams" not in found
