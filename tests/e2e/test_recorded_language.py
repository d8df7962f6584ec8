"""The recorded run of a language model: its raw samples give the same figures today; and its candidates are profiled."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.recorded.archive import HERE, unpack
from tests.recorded.replay import as_judged_then, places, replay, reports

from conftest import run_strop


@pytest.mark.slow
def test_a_recorded_run_gives_the_same_today(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers", "llamacpp", "openvino")
    found = replay("language", tmp_path)
    assert not found.touched
    assert found.now.offers == found.then.offers
    for then, now in zip(found.then.results, found.now.results, strict=True):
        assert as_judged_then(now.verdict) == as_judged_then(then.verdict)
        assert now.model_copy(update={"verdict": None}) == then.model_copy(update={"verdict": None})
    assert (found.now.outcome, found.now.choice) == (found.then.outcome, found.then.choice)
    recorded, today = reports(found)
    assert list(today) == list(recorded)
    for key in today.keys() - {"reproduce"}:
        assert today[key] == recorded[key], key


@pytest.mark.slow
def test_a_language_model_is_profiled_in_two_runtimes(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    """The page has operators, memory and bottlenecks of both; a runtime without a profiler is watched all the same."""
    own_environments("transformers", "llamacpp", "openvino")
    store = tmp_path / ".strop"
    unpack(HERE / "language.tar.xz", store, places(store))
    (run,) = (store / "runs").iterdir()
    names = ("openvino-f32", "transformers-fp32", "gguf-f32")
    done = run_strop(tmp_path, "runs", "profile", run.name, *(part for name in names for part in ("--candidate", name)), "--json")
    assert done.code == 0, done.err
    found = {p["candidate"]: p["profile"] for p in json.loads(done.out)}
    for name in names[:2]:
        operators = {o["operator"]: o for o in found[name]["operators"]}
        assert operators["MatMul"]["ns"] > 0 and operators["MatMul"]["kind"] == "compute", name
    assert found["gguf-f32"]["no_operators"] and found["gguf-f32"]["wall_ns"] > 0
    assert all([m["doing"] for m in p["memory"]][:3] == ["empty", "loaded", "first inference"] for p in found.values())
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="profile"' in page and "aten::" in page
    assert set(json.loads((run / "report.json").read_text())["evidence"]["bottlenecks"]) == set(names)
