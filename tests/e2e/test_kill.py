"""Pull the plug: the same command goes on, ends with the same candidates, rebuilds nothing, leaves nobody behind."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conftest import DATA, DEMO, candidates, null_model, report, run_strop

OFFERS = ["fast", "exception", "inaccurate"]
BUDGET = ("--budget", "25s")


def start(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "strop", *map(str, arguments)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def events(folder: Path) -> list[dict]:
    """Whole lines of the journal; a last line cut off by a kill is left out."""
    lines = []
    for path in folder.glob(".strop/runs/*/events.jsonl"):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
    return lines


def kill_at(folder: Path, line: int, victim: str, *arguments: object) -> bool:
    """Start, and `kill -9` parent or children as soon as the journal has `line` lines. False where it ended before."""
    process = start(folder, *arguments)
    parent = psutil.Process(process.pid)
    before = len(events(folder))
    while process.poll() is None and len(events(folder)) < before + line:
        time.sleep(0.002)
    family = []
    with contextlib.suppress(psutil.Error):
        family = parent.children(recursive=True)
    alive = process.poll() is None
    for one in [process.pid] if victim == "parent" else [c.pid for c in family]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    if victim == "parent":
        process.wait()
        _, left = psutil.wait_procs(family, timeout=5)
        assert not left, f"orphans: {left}"
    else:
        process.wait(timeout=200)
    return alive


def assert_whole(folder: Path) -> None:
    """Every JSON file in the store parses; every build is complete."""
    for path in folder.glob(".strop/**/*.json"):
        if ".partial-" not in str(path):
            json.loads(path.read_text())
    for build in folder.glob(".strop/build/*"):
        if not build.name.startswith(".partial-"):
            said = json.loads((build / "step.json").read_text())
            assert all((build / name).exists() for name in said["files"])


def finish(folder: Path, *arguments: object) -> dict:
    done = run_strop(folder, *arguments)
    assert done.code in (0, 10), done.err
    return report(folder)


def names(document: dict) -> dict[str, str]:
    return {name: c["status"] for name, c in candidates(document).items()}


def settled(document: dict) -> dict[str, str]:
    """Those whose status no timing decides."""
    return {n: s for n, s in names(document).items() if n.partition("+")[0] in OFFERS and "+" not in n}


def out_of_budget(*documents: dict) -> set[str]:
    """What a busy machine left no time for."""
    return {n for d in documents for n, s in settled(d).items() if s == "not reached"}


def total_lines(folder: Path) -> tuple[int, dict]:
    model = null_model(folder, OFFERS)
    document = finish(folder, "optimize", model, *DATA, *BUDGET)
    return len(events(folder)), document


def check_kill(folder: Path, line: int, victim: str, expected: dict) -> None:
    model = null_model(folder, OFFERS)
    kill_at(folder, line, victim, "optimize", model, *DATA, *BUDGET)
    assert_whole(folder)
    built = {e["candidate"] for e in events(folder) if e["event"] == "build-done"}
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob(".strop/build/*")}
    document = finish(folder, "optimize", model, *DATA, *BUDGET)
    assert_whole(folder)
    assert settled(document).keys() == settled(expected).keys()
    differing = {n for n, status in settled(document).items() if status != settled(expected)[n]}
    assert differing <= out_of_budget(document, expected)
    after = {p.name: p.stat().st_mtime_ns for p in folder.glob(".strop/build/*")}
    assert {k: after[k] for k in before if not k.startswith(".partial-")} == {
        k: v for k, v in before.items() if not k.startswith(".partial-")
    }
    again = [e["candidate"] for e in events(folder) if e["event"] == "build-done"]
    assert all(again.count(name) == 1 for name in built)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict]:
    """How many lines a run that nobody kills writes, and its report."""
    return total_lines(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize(("share", "victim"), [(0.3, "parent"), (0.6, "child")])
def test_kill_somewhere(tmp_path: Path, whole: tuple[int, dict], share: float, victim: str) -> None:
    check_kill(tmp_path, max(1, int(whole[0] * share)), victim, whole[1])


@pytest.mark.slow
def test_kill_after_every_line(tmp_path: Path, whole: tuple[int, dict]) -> None:
    """Parent and children in turn."""
    for line in range(1, whole[0] + 1):
        folder = tmp_path / str(line)
        folder.mkdir()
        check_kill(folder, line, "parent" if line % 2 else "child", whole[1])


@pytest.mark.slow
def test_kill_a_real_run_at_random_moments(tmp_path: Path) -> None:
    """Twenty times, anywhere; the run after them ends as one that was never killed would."""
    rng = random.Random(0)
    arguments = ("optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml")
    for turn in range(20):
        process = start(tmp_path, *arguments)
        family: list[psutil.Process] = []
        time.sleep(rng.uniform(0.5, 9))
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(process.pid).children(recursive=True)
        if turn % 2 and family:
            for one in family:
                with contextlib.suppress(psutil.Error):
                    one.kill()
            time.sleep(0.5)
        process.kill()
        process.wait()
        _, left = psutil.wait_procs(family, timeout=5)
        assert not left, f"orphans: {left}"
        assert_whole(tmp_path)
    document = finish(tmp_path, *arguments)
    offered = json.loads(run_strop(tmp_path, *arguments, "--dry-run", "--json").out)
    wanted = {o["name"] for o in offered if o["recipe"] is not None}
    assert wanted <= names(document).keys()
    assert not [n for n, s in names(document).items() if s == "failed"]
    assert run_strop(tmp_path, "bundle", "verify", "strop-out/latest/bundle").code == 0
