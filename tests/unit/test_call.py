"""The process boundary, with real children: every way to fail has its error, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from strop.core.errors import BudgetError, OutputError, WorkerCrash, WorkerFailure, WorkerMemory, WorkerMissing, WorkerTimeout
from strop.worker.call import Child, Limits, Work

WORK = """
import errno, os, signal, subprocess, sys, time

class Odd(Exception):
    hint = "do it otherwise"

def echo(value): return value
def where(): return [os.getcwd(), os.environ["TMPDIR"], os.getpid()]
def environment(): return dict(os.environ)
def fail(): raise Odd("first line\\nsecond line")
def wordless(): raise ValueError
def full(): raise OSError(errno.ENOSPC, "No space left on device")
def die(number): os.kill(os.getpid(), number)
def leave(code): sys.exit(code)
def hang(): time.sleep(1e6)
def log(text): print(text, file=sys.stderr)
def spawn(): return subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL).pid
def noise():
    print('{"ok": true, "result": "a lie"}')
    os.write(1, b"raw bytes \\xff\\n")
    subprocess.run(["echo", "from a grandchild"], stdin=subprocess.DEVNULL)
    return "the truth"
def bomb():
    import numpy
    return int(numpy.ones(2 << 30, numpy.uint8).sum())
"""
LIMITS = Limits(60.0)


@pytest.fixture
def work(tmp_path) -> Work:
    (tmp_path / "work.py").write_text(WORK)
    return Work(tmp_path / "work.py")


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "logs" / "log.txt"


def gone(pid: int, seconds: float = 30.0) -> bool:
    """Whether a process ends within a generous time; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_plain_values_go_there_and_back(work, log):
    value = {"text": "größe\n", "numbers": [1, 2.5, None, True]}
    with Child(work, log, LIMITS) as child:
        assert child.call("echo", value=value) == value
        assert child.call("echo", value="again") == "again"


def test_the_scratch_folder_is_the_childs_own_and_removed(work, log):
    with Child(work, log, LIMITS) as child:
        folder, temporary, pid = child.call("where")
        assert folder == temporary != str(Path.cwd())
        assert pid == child.pid
        (Path(folder) / "left").write_text("behind")
    assert not Path(folder).exists()
    assert gone(pid)


def test_an_exception_keeps_kind_message_and_hint(work, log):
    with Child(work, log, LIMITS) as child:
        with pytest.raises(WorkerFailure) as failure:
            child.call("fail")
        assert (failure.value.kind, failure.value.message, failure.value.hint) == ("Odd", "first line", "do it otherwise")
        assert "second line" in failure.value.log_tail
        with pytest.raises(WorkerFailure, match="ValueError"):
            child.call("wordless")
        assert child.call("echo", value="still there") == "still there"


def test_a_work_module_that_does_not_load_is_a_failure_of_the_first_call(tmp_path, log):
    (tmp_path / "work.py").write_text("import no_such_module_at_all")
    with Child(Work(tmp_path / "work.py"), log, LIMITS) as child, pytest.raises(WorkerFailure) as failure:
        child.call("echo", value=1)
    assert failure.value.kind == "ModuleNotFoundError"


CLASHES = """
import multiprocessing
from . import clock, memory

def mine(): return [clock.WHOSE, memory.WHOSE]
def theirs():
    import json, shards
def sample():
    from strop_child import memory
    return sorted(memory.sample())
def elsewhere():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(clock.tick)
"""


def test_a_backends_modules_hide_none_of_strops_nor_of_pythons(tmp_path, log):
    """Its folder is a package, also for the processes that it spawns; nothing of it is found by a name alone."""
    (tmp_path / "__init__.py").write_text("raise RuntimeError('the parent side, run in the child')")
    for name in ("clock", "memory", "forked", "works", "json", "shards"):
        (tmp_path / f"{name}.py").write_text(f"WHOSE = 'the backend has {name}'\ndef tick(): return WHOSE\n")
    (tmp_path / "work.py").write_text(CLASHES)
    with Child(Work(tmp_path / "work.py"), log, LIMITS) as child:
        assert child.call("mine") == ["the backend has clock", "the backend has memory"]
        assert "private" in child.call("sample")
        assert child.call("elsewhere") == "the backend has clock"
        with pytest.raises(WorkerFailure, match="No module named 'shards'"):
            child.call("theirs")


def test_a_sibling_imported_by_its_bare_name_is_refused_with_the_way_to_write_it(tmp_path, log):
    (tmp_path / "runner.py").write_text("")
    (tmp_path / "work.py").write_text("import runner")
    with Child(Work(tmp_path / "work.py"), log, LIMITS) as child, pytest.raises(WorkerFailure) as failure:
        child.call("probe")
    assert failure.value.hint == "write `from . import runner`: a backend's child side is a package"


@pytest.mark.parametrize(
    ("number", "killed"), [(signal.SIGSEGV, False), (signal.SIGABRT, False), (signal.SIGKILL, True), (signal.SIGTERM, True)]
)
def test_a_signal_is_a_crash(work, log, number, killed):
    with Child(work, log, LIMITS) as child:
        with pytest.raises(WorkerCrash, match=number.name) as crash:
            child.call("die", number=number)
        assert crash.value.killed is killed
        with pytest.raises(WorkerCrash):
            child.call("echo", value="to the dead")


def test_an_exit_is_a_crash(work, log):
    with Child(work, log, LIMITS) as child, pytest.raises(WorkerCrash, match="exit code 3") as crash:
        child.call("leave", code=3)
    assert not crash.value.killed


def test_a_hang_ends_at_its_limit(work, log):
    with Child(work, log, Limits(1.0)) as child:
        child.call("echo", value=1, seconds=60.0)
        with pytest.raises(WorkerTimeout, match="within 1 s"):
            child.call("hang")
        assert gone(child.pid)


def test_the_limit_of_one_request_is_the_one_reported(work, log):
    with Child(work, log, LIMITS) as child:
        child.call("echo", value=1)
        with pytest.raises(WorkerTimeout, match="within 1 s"):
            child.call("hang", seconds=1.0)


def test_a_deadline_ends_what_runs_whatever_its_own_limit_and_blames_the_budget(work, log):
    with Child(work, log, LIMITS._replace(deadline=time.monotonic() + 1)) as child:
        with pytest.raises(BudgetError, match="the time budget ended"):
            child.call("hang", seconds=60.0)
        assert gone(child.pid)


def test_a_memory_bomb_meets_its_limit(work, log):
    with Child(work, log, Limits(60.0, 400_000_000)) as child, pytest.raises(WorkerMemory, match="400 MB"):
        child.call("bomb")


def test_a_full_disk_is_the_users_to_settle(work, log):
    with Child(work, log, LIMITS) as child, pytest.raises(OutputError, match="disk full"):
        child.call("full")


def test_noise_on_stdout_does_not_break_the_protocol(work, log):
    with Child(work, log, LIMITS) as child:
        assert child.call("noise") == "the truth"
        assert child.call("echo", value="next") == "next"
    for line in ("a lie", "raw bytes", "from a grandchild"):
        assert line in log.read_text(errors="replace")


def test_the_log_tail_is_this_childs_own(work, log):
    for text in ("first child", "second child"):
        with Child(work, log, LIMITS) as child:
            child.call("log", text=text)
            assert child.log_tail() == text
    assert log.read_text().splitlines() == ["first child", "second child"]


def test_a_paused_child_is_ended_too(work, log):
    with Child(work, log, LIMITS) as child:
        child.call("echo", value=1)
        child.pause()
    assert gone(child.pid)


def test_an_interpreter_that_is_not_there_is_missing(work, log, tmp_path):
    with pytest.raises(WorkerMissing, match="cannot be started"):
        Child(work._replace(python=str(tmp_path / "none")), log, LIMITS)
    assert not list(tmp_path.glob("strop-*"))


def test_an_interpreter_that_goes_away_is_the_cause_of_what_follows(work, log, tmp_path):
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    with Child(work._replace(python=str(link)), log, LIMITS) as child:
        assert child.call("echo", value=1) == 1
        link.unlink()
        with pytest.raises(WorkerMissing, match="went away"):
            child.call("fail")
        with pytest.raises(WorkerMissing, match="went away"):
            child.call("leave", code=1)


def test_leaving_ends_the_whole_group(work, log):
    with Child(work, log, LIMITS) as child:
        grandchild = child.call("spawn")
        assert psutil.pid_exists(grandchild)
    assert gone(grandchild)


def test_threads_of_libraries_are_not_the_users_to_set(work, log):
    with Child(work, log, LIMITS) as child:
        seen = child.call("environment")
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["STROP_PARENT"] == str(os.getpid())


PARENT = """
import sys
from pathlib import Path
from strop.worker.call import Child, Limits, Work
child = Child(Work(Path(sys.argv[1])), Path(sys.argv[2]), Limits(60.0))
child.call("echo", value=1)
print(child.pid, flush=True)
child.call("hang")
"""


def test_a_child_dies_with_its_parent(work, log):
    command = [sys.executable, "-c", PARENT, str(work.path), str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    assert gone(child)
