"""Candidates on their way to be timed, with the null backend's real processes: one for the look and the answers of each."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from strop.core.candidate import Candidate, Result, Timing
from strop.core.measurement import Check, Memory
from strop.core.model import Artifact, TensorSpec
from strop.core.recipe import Step
from strop.core.task import TENSOR, Dataset, Task
from strop.core.verdict import EXACTLY_ONE, Gate
from strop.plan.discover import backends
from strop.run import checking
from strop.run import trial as trial_module
from strop.run.baseline import _raced, establish, judged_champion
from strop.run.budget import Budget
from strop.run.checking import Footprint, Visit, check, footprint, one_by_one_s, subject
from strop.run.context import Run
from strop.run.family import family_named
from strop.run.judging import verdict_of
from strop.run.pairing import Subject
from strop.run.place import Place
from strop.run.preparing import outpaced_by, prepare, same_kernels, with_answers_judged
from strop.run.race import Racing
from strop.run.request import make_request
from strop.run.trial import Trial
from strop.store.store import RunFolder, Store, load
from strop.worker.call import DATA_WORK

from .makers import Heard, interval, model, recipe, target

FEATURES, EXAMPLES = 8, 300
STEP = Step(stage="quantize", builder="openvino", name="quantize", consumes="onnx", produces="openvino-ir")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A null model, and inputs without labels."""
    folder = tmp_path_factory.mktemp("given")
    about = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", FEATURES]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch", 4]}], "seed": 0, "milliseconds": 0.5, "offers": [],
    }  # fmt: skip
    path = folder / "m.null"
    path.write_text(json.dumps(about))
    np.save(folder / "input0.npy", np.random.default_rng(1).standard_normal((EXAMPLES, FEATURES)).astype(np.float32))
    data = Dataset(digest="d", folder=str(folder), count=EXAMPLES, inputs={"x": "input0.npy"})
    artifact = Artifact(kind="null", path=str(path), digest="d" * 64, bytes=200, files=("m.null",))
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", FEATURES))
    task = Task(evaluation=data, calibration=None, metric="agreement", output="y")
    return model().model_copy(update={"artifact": artifact, "inputs": (spec,)}), task


@pytest.fixture
def make_run(tmp_path):
    made: list[Run] = []

    def make(budget=None):
        store = Store(tmp_path / "store")
        (store.runs / "m-now").mkdir(parents=True, exist_ok=True)
        request = make_request(str(tmp_path / "m.null"), store=str(tmp_path / "store"))
        folder, here = RunFolder(store.runs / "m-now"), Place(target(), target())
        limit = Budget(request.budget_s if budget is None else budget)
        run = Run(request, store, folder, backends(), here, Heard(), limit, family_named(TENSOR))
        made.append(run)
        return run

    yield make
    for run in made:
        run.builders.close()


@pytest.fixture
def started(monkeypatch):
    """The names of those for which a process was started to be looked at or checked."""
    names: list[str] = []
    start = checking.run_child

    def counted(run, of, seconds=None):
        names.append(of.name)
        return start(run, of, seconds)

    monkeypatch.setattr(checking, "run_child", counted)
    return names


def null(name, mode="honest", factor=0.5, after=0, before=()):
    step = Step(
        stage="quantize", builder="null", name="derive", consumes="null", produces="null",
        params={"mode": mode, "factor": factor, "after": after},
    )  # fmt: skip
    return recipe(name, steps=(*before, step))


def test_a_group_is_prepared_each_in_one_process(given, make_run, started):
    run, (found, task) = make_run(), given
    reference = recipe("plain", role="reference")
    baseline = establish(run, found, task, reference)
    assert baseline.check.batched == 32
    assert started == ["plain"]
    group = [null("fast"), null("nan", "nan"), null("twin"), null("broken", "build-exception"), null("late", "crash", after=130),
             null("slow", factor=20.0)]  # fmt: skip
    trials = {t.name: t for t in prepare(run, found, task, group, baseline, [baseline])}
    assert list(trials) == [r.name for r in group]
    assert [t.name for t in trials.values() if t.ready] == ["fast"]
    results = {name: (t.result.status, t.result.reason) for name, t in trials.items()}
    assert results["fast"] == ("in progress", "")
    assert results["nan"][0] == "failed"
    assert results["twin"] == ("duplicate", "same weights and settings as fast")
    assert results["broken"][0] == "failed"
    assert results["late"][0] == "failed"
    assert "SIGSEGV" in results["late"][1]
    assert results["slow"][0] == "dropped"
    assert "first look" in results["slow"][1]
    assert started == ["plain", "fast", "nan", "late", "late", "slow"], "a process that died is tried without larger batches"
    assert load(run.folder.candidate("late") / "memory-0.json", Footprint).memory is not None
    assert not (run.folder.candidate("slow") / "check").exists()
    told = [d["candidate"] for e, d in run.observer if e == "candidate-done"]
    assert told == ["nan", "twin", "broken", "late", "slow"], "the one that is prepared is not done"
    (again,) = prepare(make_run(), found, task, group[:1], baseline, [baseline])
    assert again == trials["fast"]
    assert started[6:] == [], "what is on disk is read"


def test_what_cannot_have_fixed_shapes_is_what_ran(given, make_run):
    """A runner that falls back on a session for any shape says so by its properties: nothing then states fixed shapes."""
    run, (found, task) = make_run(), given
    baseline = establish(run, found, task, recipe("plain", role="reference"))
    fixed = {"shapes": f"x=1x{FEATURES}", "axes": "batch=1"}
    group = [recipe("static", settings=fixed), null("fast").model_copy(update={"settings": {"factor": 0.9, **fixed}})]
    static, fast = prepare(run, found, task, group, baseline, [baseline])
    assert fast.ready and fast.candidate.recipe.settings == fast.subject.settings == {"factor": 0.9}
    assert any("fast runs without fixed shapes: null cannot have x=1x8" in note for note in run.kept)
    assert (
        static.result.status == "duplicate" and static.result.reason == "it cannot have the fixed shapes, and runs as plain does"
    )


def test_a_run_that_was_cut_off_after_the_look_goes_on_with_the_check(given, make_run, started, tmp_path):
    run, (found, task) = make_run(), given
    of = subject(run, establish(run, found, task, recipe("plain", role="reference")).candidate, task)._replace(name="other")
    first = footprint(run, of, 0)
    made, folder = check(run, of, None, None, task)
    assert started == ["plain", "other", "other"], "a process for each, where none is shared"
    with Visit(run, of) as visit:
        assert footprint(run, of, 0, visit=visit) == first
        assert check(run, of, None, None, task, visit=visit) == (made, folder)
    assert started == ["plain", "other", "other"]


def test_the_time_of_single_examples_bounds_others_where_larger_batches_were_faster():
    done = checking.Check(examples=1000, seconds=1.0, rough_latency_ns=5_000_000, batched=32)
    assert one_by_one_s(done) == 5.0
    assert one_by_one_s(done.model_copy(update={"batched": 1})) == 1.0


def test_what_asked_for_bf16_and_computed_as_before_is_a_duplicate():
    def trial(name, precision, ran, **settings):
        one = recipe(name, runtime="openvino", steps=(STEP,), settings={"precision": precision, "threads": 1, **settings})
        return Trial(Result(candidate=Candidate(recipe=one), ran=ran), check=Check(shards={}, examples=1))

    first, half = trial("int8", "f32", "int8 26, fp32 3"), trial("int8-bf16", "bf16", "int8 26, fp32 3")
    assert same_kernels(half, [first]) == "int8"
    assert same_kernels(first, [half]) == "int8-bf16"
    assert same_kernels(half, []) is None
    for different in (trial("x", "bf16", "int8 26, bf16 3"), trial("x", "bf16", ""), trial("x", "f32", "int8 26, fp32 3"),
                      trial("x", "bf16", "int8 26, fp32 3", streams=2)):  # fmt: skip
        assert same_kernels(different, [first]) is None


def seen(name, fastest_ms, peak_mb=100, retained=1.0, role="candidate", judged=True):
    """A candidate whose first calls take this long."""
    made = recipe(name, role=role)
    calls = tuple(int(fastest_ms * 1e6 * (1 + i / 50)) for i in range(10))
    memory = Memory(peak=peak_mb * 10**6, steady=0, empty=0, total_rss=0, load_s=0.1, first_inference_s=0.1)
    ratio = interval(peak_mb / 100, peak_mb / 100 - 0.01, peak_mb / 100 + 0.01)
    found = Trial(
        Result(candidate=Candidate(recipe=made), memory=(memory,), memory_ratio=ratio), check=Check() if judged else None,
        footprints=(Footprint(memory=memory, latencies_ns=calls),),
    )  # fmt: skip
    return found.with_result(retained=interval(retained, retained - 0.01, retained + 0.01)) if judged else found


@pytest.mark.parametrize(
    ("rival", "trial", "ends"),
    [
        (seen("fast", 1), seen("slow", 3, judged=False), True),
        (seen("fast", 1), seen("near", 1.9, judged=False), False),
        (seen("heavy", 1, peak_mb=200), seen("slow", 3, judged=False), False),
        (seen("wrong", 1, retained=0.9), seen("slow", 3, judged=False), False),
        (seen("unsure", 1, retained=0.955), seen("slow", 3, judged=False), False),
        (seen("unjudged", 1, judged=False), seen("slow", 3, judged=False), False),
        (replace(seen("setting", 1), unjudged=True), seen("slow", 3, judged=False), False),
        (seen("fast", 1), seen("setting", 3, role="baseline-variant", judged=False), False),
        (seen("base", 1, role="reference"), seen("setting", 3, role="baseline-variant", judged=False), True),
    ],
)
def test_a_first_look_ends_only_what_a_judged_rival_beats_in_everything(make_run, rival, trial, ends):
    run, baseline = make_run(), seen("base", 4, role="reference")
    found = outpaced_by(rival, trial, baseline, run)
    assert (found is not None) == ends
    assert found is None or f"slower than {rival.name} at a first look" in found


def setting(name, factor):
    return recipe(name, role="baseline-variant", settings={"factor": factor})


def test_settings_of_the_given_file_are_judged_only_where_one_may_be_chosen(given, make_run, started, monkeypatch):
    """Where judging takes long. The fastest setting becomes the baseline, with answers of its own; the other never is."""
    monkeypatch.setattr(trial_module, "LONG_S", 0.0)
    run, (found, task) = make_run(), given
    baseline = establish(run, found, task, recipe("plain", role="reference"))
    quick, idle = prepare(run, found, task, [setting("quick", 0.6), setting("idle", 1.2)], baseline, [baseline])
    assert quick.unjudged and idle.unjudged and started == ["plain", "quick", "idle"]
    racing = Racing(run, found, task, baseline, "tuning")
    raced = [timed(quick, 1.6), timed(idle, 0.8)]
    racing.enter(raced)
    tuned, trials = judged_champion(run, found, task, racing, [baseline, *raced])
    assert tuned.name == "quick" and not tuned.unjudged and tuned.check.examples == EXAMPLES and tuned in trials
    assert tuned.check_folder == run.folder.candidate("quick") / "check" and tuned.result.retained == EXACTLY_ONE
    assert raced[1] in trials and raced[1].result.accuracy is None
    assert not (run.folder.candidate("idle") / "check").exists()
    (result,) = verdict_of(raced[1], tuned, [Gate(metric="accuracy_retained", bound=0.95)], None).results
    assert result.result == "INCONCLUSIVE" and "under another setting" in result.reason
    assert started == ["plain", "quick", "idle", "quick"]


def timed(trial, speedup):
    """As after a race with the baseline."""
    return trial.with_result(status="measured", search=Timing(stage="search", speedup=interval(speedup)))


def test_a_setting_that_answers_otherwise_fails_when_it_is_judged(given, make_run, monkeypatch, tmp_path):
    monkeypatch.setattr(trial_module, "LONG_S", 0.0)
    run, (found, task) = make_run(), given
    baseline = establish(run, found, task, recipe("plain", role="reference"))
    (wrong,) = prepare(run, found, task, [setting("wrong", 0.3)], baseline, [baseline])
    assert wrong.ready and wrong.unjudged
    path = tmp_path / "nan.null"
    path.write_text(json.dumps({**json.loads(Path(wrong.subject.artifact).read_text()), "mode": "nan"}))
    broken = replace(wrong, subject=wrong.subject._replace(artifact=str(path)))
    after = with_answers_judged(run, found, task, broken, baseline)
    assert after.result.status == "failed" and not after.unjudged


def test_variants_that_no_time_was_left_to_race_are_not_reached(given, make_run):
    """Nothing of a run that is over is in progress, whichever of them was to be the baseline."""
    run, (found, task) = make_run(budget=0.0), given
    of = Subject("m", DATA_WORK, "", {}, {}, 1, 1, 1, False, Path("log"))
    roles = {"reference": "reference", "first": "baseline-variant", "second": "baseline-variant"}
    trials = [
        Trial(Result(candidate=Candidate(recipe=recipe(name, role=role))), subject=of, check=Check(shards={}, examples=1))
        for name, role in roles.items()
    ]
    trials[0] = trials[0].with_result(status="measured")
    _, after = _raced(run, found, task, trials, trials[1])
    assert [(t.name, t.result.status) for t in after] == [
        ("reference", "measured"), ("first", "not reached"), ("second", "not reached"),
    ]  # fmt: skip
