"""The plug is pulled while a language model is converted, quantized and measured: the same command goes on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from test_kill import assert_whole, events

from conftest import candidates, report, run_strop

STORIES = Path(__file__).parent.parent / "data" / "stories260k"
RECIPES = ("openvino-int8", "openvino-int4-mixed")
ASKED = (
    "--data", STORIES / "eval.txt", "--threads", 1, "--eval-tokens", 1024, "--prompt-tokens", 16, "--output-tokens", 4,
    "--budget", "90s", *(part for name in RECIPES for part in ("--recipe", name)),
)  # fmt: skip


def pulled(folder: Path, reached: Callable[[], bool]) -> bool:
    """Starts the run and kills it with `kill -9` as soon as it has come so far; False where it ended before."""
    command = [sys.executable, "-m", "strop", "optimize", folder / "stories", *ASKED]
    process = subprocess.Popen([*map(str, command)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not reached():
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    alive = process.poll() is None
    if alive:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, left = psutil.wait_procs(family, timeout=10)
    assert not left, f"orphans: {left}"
    return alive


def builds(folder: Path) -> dict[str, int]:
    """Whole builds and when they were made."""
    found = [p for p in folder.glob(".strop/build/*") if not p.name.startswith(".partial-")]
    return {p.name: p.stat().st_mtime_ns for p in found}


@pytest.mark.slow
def test_killed_three_times_it_goes_on(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("export", "transformers", "openvino")
    shutil.copytree(STORIES, tmp_path / "stories", ignore=shutil.ignore_patterns("eval.txt"))

    def begun(more: int) -> Callable[[], bool]:
        """As many builds more as there were, and the next one begun."""
        before = len(builds(tmp_path))
        return lambda: len(builds(tmp_path)) >= before + more and bool(list(tmp_path.glob(".strop/build/.partial-*")))

    assert pulled(tmp_path, begun(0)), "during the conversion"
    assert not builds(tmp_path)
    assert pulled(tmp_path, begun(1)), "during the quantization"
    converted = builds(tmp_path)
    assert len(converted) == 1
    assert_whole(tmp_path)
    assert pulled(tmp_path, lambda: any(e["event"] == "pair-measured" for e in events(tmp_path))), "during the measurement"
    kept = builds(tmp_path)
    assert converted.items() <= kept.items()
    assert_whole(tmp_path)
    done = run_strop(tmp_path, "optimize", tmp_path / "stories", *ASKED, timeout=300)
    assert done.code == 0, done.err
    assert kept.items() <= builds(tmp_path).items(), "nothing was rebuilt"
    assert not list(tmp_path.glob(".strop/build/.partial-*"))
    assert {candidates(report(tmp_path))[name]["status"] for name in RECIPES} <= {"measured", "dropped", "not reached"}
    pairs = [(e["candidate"], e["stage"], e["index"]) for e in events(tmp_path) if e["event"] == "pair-measured"]
    assert len(pairs) == len(set(pairs)), "no pair was measured twice"
