"""Builders that last: each step finds everything as a fresh process would, and what becomes of one step costs no other."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from strop.core.errors import BudgetError, WorkerCrash, WorkerFailure, WorkerMemory, WorkerTimeout
from strop.core.model import Artifact
from strop.core.recipe import Step
from strop.core.task import TENSOR
from strop.plan.discover import backends
from strop.run.budget import Budget
from strop.run.builders import Builders, lanes
from strop.run.building import build, build_all
from strop.run.context import Run
from strop.run.family import family_named
from strop.run.place import Place
from strop.run.request import make_request
from strop.store.store import RunFolder, Store
from strop.worker.call import Limits, Work

from .makers import Heard, model, recipe, target, task

WORK = """
import json, os, random, signal, subprocess, sys, tempfile, threading, time
import numpy as np

STATE, IMPORTED = [], []

def warm_build(step):
    IMPORTED.append(step["name"])
    if step["name"] == "threads":
        threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()

def build(step, artifact, out_dir, data):
    return globals()[step["name"]](out_dir, **step["params"])

def careless(out_dir):
    assert not sys.stdin.read(), "the requests of others"
    here = [STATE[:], os.environ.get("LEFT"), os.getcwd() == tempfile.gettempdir(), os.listdir(".")]
    drawn = [random.random(), float(np.random.random())]
    STATE.append(1)
    os.environ["LEFT"] = "behind"
    random.seed()
    np.random.seed()
    open("left", "w").close()
    os.chdir("/")
    open(os.path.join(out_dir, "model"), "w").write(json.dumps([here, drawn]))
    return {"file": "model", "who": [os.getppid(), os.getpid(), len(IMPORTED)]}

def fail(out_dir): raise ValueError("refused")
def die(out_dir, number): os.kill(os.getpid(), number)
def leave(out_dir): sys.exit(3)
def hang(out_dir): time.sleep(1e6)
def bomb(out_dir, size): return np.ones(size, np.uint8).nbytes and say(out_dir, "built")
def say(out_dir, text):
    print(text, flush=True)
    open(os.path.join(out_dir, "model"), "w").write(text)
    return "model"
def spawn(out_dir):
    pid = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, start_new_session=True).pid
    return {"file": "model", "pid": pid}
def threads(out_dir): return {"file": "model", "pid": os.getpid()}
def meet(out_dir, place, me, other):
    open(os.path.join(place, me), "w").close()
    while not os.path.exists(os.path.join(place, other)):
        time.sleep(0.01)
    return say(out_dir, me)
"""
LIMITS = Limits(60.0)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere each step has a process of its own")


@pytest.fixture
def work(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "work.py").write_text(WORK)
    return Work(tmp_path / "code" / "work.py")


@pytest.fixture
def builders():
    made = Builders()
    yield made
    made.close()


@pytest.fixture
def ask(work, tmp_path):
    """Ask builders for a step."""

    def call(builders, name, limits=LIMITS, log="log.txt", **params):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        step = {"name": name, "params": params}
        return builders.build("null", work, tmp_path / log, limits, 7, step=step, artifact="", out_dir=str(out), data=None)

    call.out = tmp_path / "out"
    return call


@LINUX
def test_one_builder_imports_once_and_every_step_is_as_in_a_fresh_one(ask, builders):
    """The same bytes, whatever the steps before have left in memory, in the environment or on the disk."""
    made, who = [], []
    fresh = Builders(lasting=False)
    for one in (fresh, builders, builders, fresh, builders):
        who.append(ask(one, "careless")["who"])
        made.append(hashlib.sha256((ask.out / "model").read_bytes()).hexdigest())
    assert len(set(made)) == 1
    lasting = [who[i] for i in (1, 2, 4)]
    assert len({builder for builder, _, _ in lasting}) == 1, "one builder"
    assert len({step for _, step, _ in lasting}) == 3, "a process for each step"
    assert [imported for _, _, imported in lasting] == [1, 2, 3], "the builder is asked to import before every step, and keeps it"
    fresh.close()


@LINUX
@pytest.mark.parametrize(
    ("step", "params", "error"),
    [("fail", {}, WorkerFailure), ("die", {"number": signal.SIGSEGV}, WorkerCrash), ("leave", {}, WorkerCrash)],
)
def test_a_step_that_fails_or_dies_leaves_its_builder_as_it_was(ask, builders, step, params, error):
    before = ask(builders, "careless")["who"][0]
    with pytest.raises(error):
        ask(builders, step, **params)
    assert ask(builders, "careless")["who"][0] == before


def test_how_a_step_died_is_told(ask, builders):
    with pytest.raises(WorkerCrash, match="SIGSEGV") as crash:
        ask(builders, "die", number=signal.SIGSEGV)
    assert not crash.value.killed
    with pytest.raises(WorkerCrash, match="SIGKILL") as crash:
        ask(builders, "die", number=signal.SIGKILL)
    assert crash.value.killed
    with pytest.raises(WorkerCrash, match="exit code 3"):
        ask(builders, "leave")


def test_time_and_memory_are_limited_for_each_step(ask, builders):
    ask(builders, "say", text="hello")
    with pytest.raises(WorkerTimeout, match="no answer within"):
        ask(builders, "hang", LIMITS._replace(seconds=0.2))
    ask(builders, "bomb", size=1 << 28)
    with pytest.raises(WorkerMemory, match="200 MB"):
        ask(builders, "bomb", LIMITS._replace(memory_bytes=200_000_000), size=1 << 28)
    assert ask(builders, "bomb", LIMITS._replace(memory_bytes=800_000_000), size=1 << 28) == "model"
    with pytest.raises(BudgetError):
        ask(builders, "hang", LIMITS._replace(deadline=time.monotonic() + 0.3))
    assert ask(builders, "say", text="goes on") == "model"


def test_each_step_writes_to_its_own_log(ask, builders, tmp_path):
    for name in ("one", "two", "one"):
        ask(builders, "say", log=f"{name}.txt", text=name)
    with pytest.raises(WorkerFailure) as failure:
        ask(builders, "fail", log="two.txt")
    assert (tmp_path / "one.txt").read_text() == "one\none\n"
    assert "refused" in failure.value.log_tail
    assert "refused" in (tmp_path / "two.txt").read_text()


@LINUX
def test_what_a_step_leaves_running_is_ended_with_it(ask, builders):
    pid = ask(builders, "spawn")["pid"]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@LINUX
def test_a_library_that_starts_threads_gets_a_fresh_process_for_each_step(ask, builders):
    """A fork would inherit the locks that its threads hold."""
    first = ask(builders, "threads")["pid"]
    assert ask(builders, "threads")["pid"] != first
    assert ask(builders, "say", text="and others go on") == "model"


@LINUX
def test_a_builder_that_somebody_killed_is_started_again(ask, builders):
    builder = ask(builders, "careless")["who"][0]
    os.kill(builder, signal.SIGKILL)
    with pytest.raises(WorkerCrash) as crash:
        ask(builders, "say", text="lost")
    assert crash.value.killed, "whoever asked asks again"
    assert ask(builders, "careless")["who"][0] != builder


def test_closing_ends_the_step_that_is_under_way(ask, tmp_path):
    builders = Builders()
    waiting = builders.begin(lambda: ask(builders, "meet", place=str(tmp_path), me="here", other="nobody"))
    while not (tmp_path / "here").exists():
        time.sleep(0.01)
    builders.close()
    assert isinstance(waiting.exception(timeout=10), WorkerCrash)
    with pytest.raises(RuntimeError):
        ask(builders, "say", text="too late")
    assert not [t for t in threading.enumerate() if t.name.startswith("builder")]


PARENT = """
import sys, time
from pathlib import Path
from strop.run.builders import Builders
from strop.worker.call import Limits, Work
work, place = Path(sys.argv[1]), Path(sys.argv[2])
step = {"name": "meet", "params": {"place": str(place), "me": "here", "other": "nobody"}}
builders = Builders()
builders.begin(lambda: builders.build("null", Work(work), place / "log.txt", Limits(60.0), 0, step=step, artifact="",
                                      out_dir=str(place), data=None))
while not (place / "here").exists():
    time.sleep(0.01)
print("under way", flush=True)
time.sleep(60)
"""


def test_builder_and_step_die_with_the_command(work, tmp_path):
    command = [sys.executable, "-c", PARENT, str(work.path), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        parent.stdout.readline()
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert len(family) >= 1
    _, left = psutil.wait_procs(family, timeout=10)
    assert not left


def test_lanes():
    assert lanes(1, 0, 1 << 40) == 1
    assert lanes(64, 1 << 34, 1 << 34) == 1


class Tight(Run):
    """A run on a machine where half of the memory is too little."""

    def limits(self, seconds=None, session=False, among=1):
        return super().limits(seconds, session)._replace(memory_bytes=200_000_000 if among > 1 else 2_000_000_000)


@pytest.fixture
def make_run(tmp_path, work):
    made: list[Run] = []

    def make(kind=Run, budget=None):
        null = backends()["null"]
        found = {name: dataclasses.replace(null, name=name, work=work.path) for name in ("left", "right", "null")}
        store = Store(tmp_path / "store")
        (store.runs / "m-now").mkdir(parents=True, exist_ok=True)
        request = make_request(str(tmp_path / "m.null"), store=str(tmp_path / "store"), time_limit_s=20.0)
        folder, here = RunFolder(store.runs / "m-now"), Place(target(), target())
        run = kind(request, store, folder, found, here, Heard(), Budget(budget or request.budget_s), family_named(TENSOR))
        made.append(run)
        return run

    yield make
    for run in made:
        run.builders.close()


def chain(name, *steps):
    """A recipe of steps, each (builder, function, parameters)."""
    made = [
        Step(stage="quantize", builder=builder, name=function, consumes="null", produces="null", params=params)
        for builder, function, params in steps
    ]
    return recipe(name, steps=tuple(made))


def start(tmp_path):
    path = tmp_path / "m.null"
    path.write_text("{}")
    artifact = Artifact(kind="null", path=str(path), digest="d" * 64, bytes=2, files=("m.null",))
    return model().model_copy(update={"artifact": artifact})


def test_builders_work_side_by_side_and_a_shared_step_is_built_once(make_run, tmp_path):
    """Two steps wait for each other; where one came after the other neither would end."""
    run, given = make_run(), start(tmp_path)
    (tmp_path / "place").mkdir()
    shared = ("left", "say", {"text": "shared"})
    meeting = [("meet", {"place": str(tmp_path / "place"), "me": me, "other": other}) for me, other in (("a", "b"), ("b", "a"))]
    recipes = [
        chain("one", shared, ("left", *meeting[0])), chain("two", shared, ("right", *meeting[1])),
        chain("three", shared, ("right", "fail", {})), recipe("given"),
    ]  # fmt: skip
    found = build_all(run, recipes, given, task())
    assert {name: c and bool(c.failure) for name, c in found.items()} == {
        "one": False, "two": False, "three": True, "given": False,
    }  # fmt: skip
    assert len([p for p in (tmp_path / "store" / "build").iterdir() if p.is_dir()]) == 3
    assert found["one"].built[0] == found["two"].built[0] == found["three"].built[0]
    assert {d["candidate"] for e, d in run.observer if e == "build-done"} == {r.name for r in recipes}
    again = build_all(run, recipes, given, task())
    assert again == found
    assert len([e for e, _ in run.observer if e == "build-done"]) == 4, "what is recorded is not built again"
    assert build(run, recipes[1], given, task()) == found["two"]


def test_what_a_share_of_the_memory_is_too_little_for_is_built_alone(make_run, tmp_path):
    run, given = make_run(Tight), start(tmp_path)
    recipes = [chain("large", ("left", "bomb", {"size": 1 << 28})), chain("small", ("right", "say", {"text": "small"}))]
    found = build_all(run, recipes, given, task())
    assert not [c.failure for c in found.values() if c is None or c.failure]
    too_large = chain("too-large", ("left", "bomb", {"size": 3 << 30}))
    found = build_all(run, [too_large, chain("other", ("right", "say", {"text": "other"}))], given, task())
    assert found["too-large"].failure.kind == "memory"
    assert found["other"].failure is None


def test_a_budget_that_ends_cuts_what_is_under_way_and_begins_nothing_more(make_run, tmp_path):
    run, given = make_run(budget=1.5), start(tmp_path)
    recipes = [chain(name, ("left", "hang", {})) for name in ("one", "two")]
    found = build_all(run, recipes, given, task())
    assert found == {"one": None}
    assert not list(Path(run.folder.folder).glob("candidates/*/candidate.json"))
