"""Races on the command line: who takes part, what a set may hold in memory, and that a killed set is all that is lost."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conftest import DATA, candidates, null_model, report, run_strop
from strop.run.race_set import SHARE_OF_FREE


def sets_of(folder: Path) -> list[dict]:
    paths = sorted(folder.glob(".strop/runs/*/races/search/*/set-*.json"))
    return [json.loads(path.read_text()) for path in paths]


def test_candidates_race_together_and_a_crash_ends_its_own_part_only(tmp_path):
    """`lying` is caught while it is timed: its answers are no longer those that its accuracy was measured on."""
    model = null_model(tmp_path, ["lying", "same", "fast", "faster"])  # what is far slower than one that was judged does not race
    done = run_strop(tmp_path, "optimize", model, *DATA, "--budget", "30s")
    assert done.code in (0, 10), done.err
    found = candidates(report(tmp_path))
    first = sets_of(tmp_path)[0]
    assert first["contestants"][:2] == ["plain", "plain (again)"]
    assert {"fast", "faster", "lying", "same"} == set(first["contestants"][2:])
    assert list(first["failed"]) == ["lying"]
    assert found["lying"]["status"] == "failed"
    for order in first["rounds"]:
        places = [turn["place"] for turn in order]
        assert places.count(0) == 2
        assert {1, 3, 4, 5} <= set(places)
    timing = found["faster"]["measurement"]["search"]
    assert timing["mode"] == "race"
    assert timing["pairs"] == sum("faster" in one["contestants"] for one in sets_of(tmp_path))


@pytest.mark.slow
def test_what_hangs_while_it_is_timed_ends_its_own_part_only(tmp_path):
    """All others wait for its turn to end; then they go on."""
    model = null_model(tmp_path, ["stuck", "same", "fast"])
    done = run_strop(tmp_path, "optimize", model, *DATA, "--budget", "90s")
    assert done.code in (0, 10), done.err
    found = candidates(report(tmp_path))
    assert found["stuck"]["status"] == "failed"
    assert "no answer within" in found["stuck"]["reason"]
    assert list(sets_of(tmp_path)[0]["failed"]) == ["stuck"]
    assert found["fast"]["measurement"]["search"]["speedup"] is not None


@pytest.mark.slow
def test_twelve_large_candidates_never_hold_more_than_their_share(tmp_path):
    """A gigabyte each: as many take part in a set as fit, and all have their turn."""
    names = [f"large-{i}" for i in range(1, 13)]
    model = null_model(tmp_path, names, examples=20)
    free, peak = psutil.virtual_memory().available, 0
    command = [sys.executable, "-m", "strop", "optimize", str(model), *DATA, "--budget", "none", "--threads", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        family = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, sum(p.memory_info().rss for p in [family, *family.children(recursive=True)]))
            except psutil.Error:
                continue
            time.sleep(0.05)
    assert process.returncode in (0, 10)
    assert peak < SHARE_OF_FREE * free
    found, sets = candidates(report(tmp_path)), sets_of(tmp_path)
    assert all(found[name]["measurement"]["search"] is not None for name in names)
    assert len({name for one in sets for name in one["contestants"][2:]} & set(names)) == len(names)
