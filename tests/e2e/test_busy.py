"""A machine that is too busy to time: the run says who keeps it busy, ranks by CPU time, and ends with a bundle."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from conftest import DATA, candidates, null_model

BURN = "import os, sys\nos.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned to a core here")


@contextlib.contextmanager
def one_crowded_core(neighbors: int = 2) -> Iterator[tuple[str, ...]]:
    """A core that as many busy processes share; gives the prefix of a command that has to share it with them."""
    core = str(min(os.sched_getaffinity(0)))
    with contextlib.ExitStack() as stack:
        for _ in range(neighbors):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BURN, core]))
            stack.callback(process.kill)
        yield (sys.executable, "-c", f"import os, sys; os.sched_setaffinity(0, [{core}]); os.execvp(sys.argv[1], sys.argv[1:])")


def test_a_busy_machine_gets_figures_by_cpu_time_and_a_bundle(cli, tmp_path):
    """Three processes on one core: every block of 10 ms is delayed, so that nothing can be timed reliably."""
    model = null_model(tmp_path, ["fast"])
    with one_crowded_core() as prefix:
        done = cli("optimize", model, *DATA, "--budget", "25s", "--out", "out", prefix=prefix)
    assert done.code == 0, done.err
    assert "The machine is busy" in done.err.split("recipes offered")[0]
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    fast = candidates(document)["fast"]["measurement"]
    assert fast["clock"] == "CPU time"
    assert fast["speedup"]["value"] > 1
    assert fast["rough_speedup"] is None
    assert "(by CPU time)" in done.out
    assert "too busy" in done.out
    gates = {g["metric"]: g for g in candidates(document)[document["chosen"]["name"]]["gates"]}
    assert gates["speedup"]["result"] == "UNMEASURED"
    assert gates["speedup"]["cause"] in ("too busy", "no time")  # on such a machine the budget may end first
    assert document["chosen"]["name"] == "fast"
    assert (tmp_path / "out" / "bundle" / "manifest.json").exists()


@pytest.mark.slow
def test_bench_prints_a_latency_on_a_busy_machine(cli, tmp_path):
    model = null_model(tmp_path, [], examples=40)
    other = tmp_path / "other.null"
    other.write_text(model.read_text())
    with one_crowded_core() as prefix:
        done = cli("bench", model, other, "--data", "eval.npz", "--json", prefix=prefix)
    assert done.code == 0, done.err
    row = json.loads(done.out)["rows"][1]
    assert row["timing"]["clock"] == "CPU time"
    assert row["speedup"]["value"] > 0
    assert row["timing"]["latency_ms"]["p50"] > 0
