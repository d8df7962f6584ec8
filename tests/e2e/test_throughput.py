"""Several requests in flight: real processes on null models that sleep, so that two of their sessions overlap on any machine."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from benchmarks.export_faults import SIZE, network
from benchmarks.spoil import weights_as_inputs

from conftest import DATA, null_model, run_strop
from strop.core.candidate import Timing
from strop.core.events import nobody
from strop.core.task import Workload
from strop.core.throughput import Load, throughput_of
from strop.core.verdict import EXACTLY_ONE
from strop.plan.discover import backends
from strop.run import loading, throughput
from strop.run.baseline import establish
from strop.run.judging import verdict_of
from strop.run.loading import loaded_pair
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.pairing import Subject
from strop.run.request import make_request
from strop.run.throughput import (
    Size,
    confirmed_under_load,
    server_of,
    with_server,
    with_server_itself,
)
from strop.run.trial import Trial
from strop.worker.call import Limits, Work


def sleeping(folder: Path, *offers: str) -> Path:
    path = null_model(folder, offers, milliseconds=2, examples=40)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sleeps": True}))
    return path


def test_two_streams_serve_more_than_one(tmp_path: Path) -> None:
    """Two callers of two sleeping sessions complete more than two callers of one; by how much is left to the machine."""
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


def test_a_run_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of a run that are about throughput, on few samples: the denominator, a finalist, their verdicts."""
    monkeypatch.setattr(throughput, "LOOK", Size(1, 1))
    monkeypatch.setattr(throughput, "FULL", Size(3, 1))
    monkeypatch.setattr(loading, "BLOCK_S", 0.02)
    sleeping(tmp_path, "fast")
    request = make_request(
        str(tmp_path / "model.null"), data=str(tmp_path / "eval.npz"), threads=2, concurrency=2, prefer="throughput=1",
        must=["throughput>=1"], goal=["throughput_ratio>=0.1"], budget="none", store=str(tmp_path / "store"),
    )  # fmt: skip
    with opened(request, nobody) as (run, given):
        task = run.family.read_task(run, given)
        assert task.workload == Workload(concurrency=2, streams=2, by_throughput=True)
        recipes = {o.name: o.recipe for o in plan_recipes(run, given, task).offers if o.recipe is not None}
        plain, streams, fast = (
            establish(run, given, task, recipes[name]) for name in ("plain", "plain+streams", "fast+streams")
        )  # fmt: skip
        baseline, trials = with_server(run, given, task, plain, [plain, streams])
        assert baseline.server is not None and baseline.server.name == "plain+streams"  # two sessions overlap, one does not
        assert [t.result.throughput.over for t in trials if t.result.throughput] == ["plain+streams"] * 2
        (done,) = confirmed_under_load(run, given, task, baseline, [confirmed(fast)])
        server = next(t for t in with_server_itself(task, baseline, [*trials, done]) if t.name == "plain+streams")
        gates = [g for g in run.gates if g.metric.startswith("throughput")]
        for trial in (done, server):
            figure, verdict = trial.result.throughput, verdict_of(trial, baseline, gates, None)
            assert figure is not None and figure.rate is not None and figure.ratio is not None
            assert (figure.concurrency, figure.stage, figure.over, figure.unit) == (
                2,
                "confirmation",
                "plain+streams",
                "examples",
            )
            assert [r.result for r in verdict.results if r.gate.metric == "throughput"] == ["PASS"]
        assert server.result.throughput is not None and server.result.throughput.ratio == EXACTLY_ONE
        again = confirmed_under_load(run, given, task, baseline, [confirmed(fast)])
        assert [t.loaded for t in again] == [done.loaded]  # read, not measured again


def confirmed(trial: Trial) -> Trial:
    """As after the confirmation of its latency."""
    return trial.with_result(confirmation=Timing(stage="confirmation", speedup=EXACTLY_ONE))


def test_what_cannot_be_served_is_one_clear_error(tmp_path: Path) -> None:
    null_model(tmp_path, ["fast"])
    done = run_strop(tmp_path, "optimize", "model.null", *DATA, "--streams", 2, "--threads", 1, "--dry-run")
    assert done.code == 2 and "--streams 2 is more than the budget of cores" in done.err and "Traceback" not in done.err


def test_a_cleaned_up_baseline_is_set_up_for_load_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The denominator of throughput never falls back on the bad export only because that was tried under settings for load."""
    monkeypatch.setattr(throughput, "LOOK", Size(1, 1))
    monkeypatch.setattr(loading, "BLOCK_S", 0.02)
    onnx.save(weights_as_inputs(network(norms=True)), tmp_path / "bad.onnx")
    np.savez(tmp_path / "eval.npz", x=np.random.default_rng(0).standard_normal((24, 3, SIZE, SIZE)).astype(np.float32))
    request = make_request(
        str(tmp_path / "bad.onnx"), data=str(tmp_path / "eval.npz"), threads=2, concurrency=2, budget="none",
        backends=["onnxruntime"], store=str(tmp_path / "store"),
    )  # fmt: skip
    with opened(request, nobody) as (run, given):
        task = run.family.read_task(run, given)
        recipes = {o.name: o.recipe for o in plan_recipes(run, given, task).offers if o.recipe is not None}
        plain, one, clean = (establish(run, given, task, recipes[n]) for n in ("fp32", "fp32-1thread", "fp32-clean"))
        clean = replace(clean, reference=plain)
        baseline, trials = with_server(run, given, task, clean, [plain, one, clean])
        found = {t.name: t for t in trials}
        assert found["fp32-clean+1thread"].candidate.recipe.cleaned
        assert found["fp32-clean+1thread"].loaded and not found["fp32-1thread"].loaded
        assert server_of(baseline).name in ("fp32-clean", "fp32-clean+1thread")
        assert (
            found["fp32-clean+1thread"].alive and "several requests in flight only" in found["fp32-clean+1thread"].result.reason
        )
