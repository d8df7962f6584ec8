"""Every way in which a candidate can go wrong ends as its recorded result, while the rest goes on."""

import os
import subprocess
from pathlib import Path

import pytest

from conftest import DATA, assert_faster, candidates, null_model, report, run_strop

MODES = {
    "crash": ("failed", "SIGSEGV"),
    "kill": ("failed", "SIGKILL"),
    "hang": ("failed", "no answer within"),
    "memory": ("failed", "memory limit"),
    "exception": ("failed", "RuntimeError"),
    "nan": ("failed", "NaN"),
    "shape": ("failed", "shape [3]"),
    "dtype": ("failed", "float64"),
    "random": ("failed", "not deterministic"),
    "slow": ("dropped", "slower"),
    "lying": ("failed", "a timed answer differs"),
    "exit": ("failed", "exit code 0"),
    "inaccurate": ("dropped", "by its whole interval"),
    "build-exception": ("failed", "RuntimeError"),
    "build-crash": ("failed", "SIGSEGV"),
    "build-hang": ("failed", "no answer within"),
    "build-empty": ("failed", "wrote no"),
    "build-memory": ("failed", "memory limit"),
}

LIMITS = ("--time-limit", 5, "--memory-limit", 600)  # a slow machine takes seconds to hand out a gigabyte


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("modes")
    model = null_model(folder, [*MODES, "chatty", "fast"])  # what is far slower than one that was judged would not be judged
    done = run_strop(folder, "optimize", model, *DATA, *LIMITS)
    assert done.code == 0, done.err
    return folder, report(folder)


@pytest.mark.parametrize("mode", MODES)
def test_mode_is_recorded(finished: tuple[Path, dict], mode: str) -> None:
    _, document = finished
    status, text = MODES[mode]
    found = candidates(document)[mode]
    assert found["status"] == status
    assert text in found["reason"]
    assert found["gates"]


def test_failures_carry_log_and_reproduction(finished: tuple[Path, dict]) -> None:
    """The tail of its own log, and a script that fails in the same way."""
    _, document = finished
    found = candidates(document)
    assert "asked to fail" in found["exception"]["failure"]["log_tail"]
    for name, (status, _) in MODES.items():
        assert status != "failed" or os.access(found[name]["reproduce"], os.X_OK)
    script = found["exception"]["reproduce"]
    done = subprocess.run([script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 13
    assert "asked to fail" in done.stderr


def test_the_rest_goes_on(finished: tuple[Path, dict]) -> None:
    """The honest candidate is measured, confirmed and chosen; what a child prints is no answer."""
    _, document = finished
    fast = candidates(document)["fast"]["measurement"]
    timing = fast["confirmation"] or fast["search"]  # on a machine too busy to time it is no finalist
    assert_faster(timing["speedup"], timing, 1.5)
    assert document["chosen"] is not None
    assert candidates(document)["chatty"]["status"] in ("measured", "dropped")


def test_everything_is_json(finished: tuple[Path, dict]) -> None:
    folder, document = finished
    wanted = {"schema", "outcome", "chosen", "baseline", "candidates", "frontier", "environment", "noise", "timing"}
    assert wanted <= document.keys()
    assert {"backend", "recipe", "speedup", "accuracy_retained", "memory_ratio"} <= document["chosen"].keys()
    figures = [document["chosen"][k] for k in ("accuracy_retained", "memory_ratio", "speedup")]
    timed = document["noise"]["speedup"] is not None  # not on a machine that is too busy
    assert all({"value", "low", "high"} == figure.keys() for figure in figures[: 3 if timed else 2])
    assert (folder / "strop-out" / "latest" / "report.md").read_text().startswith("# model.null")


NEWCOMER = """
import dataclasses
from strop.backends.null.spec import BACKEND as NULL
from strop.core.recipe import Offer, Recipe
BACKEND = dataclasses.replace(NULL, name="newcomer", reads=(), offer=lambda *_: [
    Offer(name="new", reason="", recipe=Recipe(name="new", runtime="newcomer", follows_baseline=True))])
"""


def test_a_finished_run_is_not_run_again_and_what_the_user_put_there_stays(finished: tuple[Path, dict]) -> None:
    """Not even where another backend was installed since: it is named."""
    folder, document = finished
    out = (folder / "strop-out" / "latest").resolve()
    (out / "notes.txt").write_text("mine")
    (out / "bundle" / "notes.txt").write_text("mine too")
    (out / "report.md").write_text("annotated")
    newcomer = folder / "newcomer"
    (newcomer / "newcomer-1.dist-info").mkdir(parents=True)
    (newcomer / "newcomer_spec.py").write_text(NEWCOMER)
    (newcomer / "newcomer-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: newcomer\nVersion: 1\n")
    (newcomer / "newcomer-1.dist-info" / "entry_points.txt").write_text("[strop.backends]\nnewcomer = newcomer_spec:BACKEND\n")
    before = next(folder.glob(".strop/runs/*/events.jsonl")).read_text().count("candidate-done")
    here = os.pathsep.join([str(newcomer), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    done = run_strop(folder, "optimize", folder / "model.null", *DATA, *LIMITS, prefix=["env", f"PYTHONPATH={here}"])
    assert done.code == 0
    assert report(folder) == document
    assert next(folder.glob(".strop/runs/*/events.jsonl")).read_text().count("candidate-done") == before
    assert "installed since this run: newcomer" in done.out
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "bundle.kept-1" / "notes.txt").read_text() == "mine too"
    assert (out / "report.md.kept-1").read_text() == "annotated"
    assert f"{out.relative_to(folder) / 'bundle'} was not as Strop wrote it: kept as" in done.out
    assert run_strop(folder, "bundle", "verify", out / "bundle").code == 0
