"""Estimates of the rest of a run: they read what does not change once, and see what was built meanwhile."""

import shutil

import pytest

from strop.core.candidate import Candidate
from strop.core.events import nobody
from strop.core.recipe import Step
from strop.core.task import TENSOR
from strop.plan.discover import backends
from strop.run.budget import Budget
from strop.run.building import step_key
from strop.run.context import Run
from strop.run.family import family_named
from strop.run.place import Place
from strop.run.planning import build_s
from strop.run.request import make_request
from strop.store.store import RunFolder, Store, save, write_json

from .makers import model, recipe, target, task

STEP = Step(name="fast", builder="onnxruntime", consumes="onnx", produces="onnx", stage="quantize")
FAST = recipe("fast", steps=(STEP,))


@pytest.fixture
def run(tmp_path):
    """A run in a store with an earlier one of the same model, in which the build took 7 s."""
    store = Store(tmp_path / "store")
    earlier = RunFolder(store.runs / "m-earlier")
    write_json(earlier.folder / "run.json", {})
    save(earlier.candidate("fast") / "candidate.json", Candidate(recipe=FAST, build_s=7.0))
    request = make_request(str(tmp_path / "m.null"), store=str(tmp_path / "store"))
    folder, here = RunFolder(store.runs / "m-now"), Place(target(), target())
    return Run(request, store, folder, backends(), here, nobody, Budget(request.budget_s), family_named(TENSOR))


def test_earlier_runs_are_read_once(run):
    assert build_s(run, FAST, model(), task(), []) == 7.0
    shutil.rmtree(run.store.runs)
    assert build_s(run, FAST, model(), task(), []) == 7.0


def test_what_was_built_meanwhile_costs_nothing(run):
    assert build_s(run, FAST, model(), task(), []) == 7.0
    versions = run.recall(("versions", ("onnxruntime",)), dict)
    folder = run.store.root / "build" / step_key(run, STEP, model().artifact, task(), versions)
    write_json(folder / "step.json", {"file": "m.onnx", "files": [], "kind": "onnx", "digest": "d"})
    assert build_s(run, FAST, model(), task(), []) == 0.0
