"""A family of models that Strop does not know, in one folder: optimized, profiled, packed and reported like any other."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from conftest import DATA, FEATURES, Done, candidates, null_model, report, run_strop

TOY = Path(__file__).parent.parent / "toy_family"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = tmp_path_factory.mktemp("toy")
    null_model(folder, []).rename(folder / "model.toy")
    info = folder / "path" / "toy-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[strop.backends]\ntoy = toy:BACKEND\n\n[strop.families]\nmirrored = toy:FAMILY\n")
    here = os.pathsep.join([str(info.parent), str(TOY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    arguments = ("model.toy", *DATA, "--profile", "--threads", 1, "--budget", "60s")
    return folder, run_strop(folder, "optimize", *arguments, prefix=["env", f"PYTHONPATH={here}"])


def test_it_is_optimized_and_reported(finished: tuple[Path, Done]) -> None:
    folder, done = finished
    assert done.code == 0, done.err
    found = report(folder)
    assert found["task"]["family"] == "mirrored"
    fast = candidates(found)["fast"]["measurement"]
    assert fast["accuracy"] is not None and fast["accuracy_retained"]["value"] == 1.0
    assert "fast" in (folder / "strop-out" / "latest" / "report.html").read_text()


def test_it_is_profiled(finished: tuple[Path, Done]) -> None:
    folder, _ = finished
    assert {p["candidate"] for p in report(folder)["evidence"]["profiles"]} >= {"plain"}


def test_its_bundle_answers_in_its_own_way(finished: tuple[Path, Done]) -> None:
    bundle = finished[0] / "strop-out" / "latest" / "bundle"
    spec = importlib.util.spec_from_file_location("toy_infer", bundle / "infer.py")
    assert spec is not None and spec.loader is not None
    infer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(infer)
    loaded, x = infer.load(bundle), np.random.default_rng(1).standard_normal((3, FEATURES)).astype(np.float32)
    one, other = loaded.session.run({"x": x})["y"], loaded.session.run({"x": -x})["y"]
    np.testing.assert_allclose(loaded.run({"x": x})["y"], (one - other) / 2)
