"""OpenVINO's runner with fixed shapes, in its own environment: right answers, copies, and bounded memory while shapes change."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import DEMO, candidates, report, run_strop
from strop.plan.discover import backends
from strop.worker.call import CHILD
from strop.worker.interpreter import work_of

SCRIPT = """
import sys, json
import numpy as np
sys.path[:0] = sys.argv[1:3]
import runner
from strop_child import memory
from strop_child.shaped import open_shaped

fair = {"precision": "f32", "hint": "LATENCY", "streams": 1, "threads": 1}
path, plain = sys.argv[3], runner.open(sys.argv[3], fair)
name = plain.inputs[0]
fixed = {**fair, "shapes": f"{name}=1x49x10x1|{name}=2x49x10x1"}
session = open_shaped(runner.open, path, fixed, "fallback")
found = {"start": len(session.sessions.opened), "shapes": session.properties["shapes"]}

def x(rows, seed=0):
    return {name: np.random.default_rng(seed).standard_normal((rows, 49, 10, 1)).astype(np.float32)}

def apart(one, other):
    return max(float(np.abs(one[n] - other[n]).max()) for n in other)

found["apart"] = max(apart(session.run(x(rows, rows)), plain.run(x(rows, rows))) for rows in (1, 2, 3, 5, 1, 2, 7))
found["opened"] = len(session.sessions.opened)
kept = [session.run(x(1, seed)) for seed in range(3)]
found["copies"] = max(apart(kept[seed], plain.run(x(1, seed))) for seed in range(3))
views = [next(iter(session.run_views(x(1, seed)).values())) for seed in range(2)]
found["views"] = bool(np.shares_memory(*views))
frozen = {name: np.asfortranarray(x(1)[name])}
frozen[name].flags.writeable = False
found["frozen"] = apart(session.run(frozen), plain.run(x(1)))
fork = session.fork()
found["fork"] = max(apart(fork.run(x(rows)), plain.run(x(rows))) for rows in (1, 2, 4))
try:
    open_shaped(runner.open, path, fixed).run(x(3))
except ValueError as error:
    found["refused"] = str(error)

def many(begin):
    for rows in range(begin, begin + 150):
        session.run(x(3 + rows % 160))
    return memory.sample()["private"]

many(0)
before = many(150)
found["grown"] = many(300) - before if before else 0
print(json.dumps(found))
"""


@pytest.mark.slow
def test_fixed_shapes(own_environments: Callable[..., None]) -> None:
    own_environments("openvino")
    backend = backends()["openvino"]
    done = subprocess.run(
        [work_of(backend).python, "-c", SCRIPT, CHILD.parents[1], backend.work.parent, DEMO / "kws.onnx"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["start"], found["opened"], found["shapes"]) == (1, 3, "1x49x10x1")
    assert max(found["apart"], found["copies"], found["frozen"], found["fork"]) < 1e-4, found
    assert found["views"]
    assert "has shape [3, 49, 10, 1]; it takes" in found["refused"]
    assert found["grown"] < 32 << 20, found


@pytest.mark.slow
def test_a_run_with_fixed_shapes(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    """Every candidate of OpenVINO is compiled for the shape of the workload, with several requests in flight too."""
    own_environments("openvino")
    done = run_strop(
        tmp_path, "optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", "--threads", 1, "--recipe", "openvino-f32",
        "--backend", "openvino", "--budget", "40s", "--concurrency", 2,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = candidates(report(tmp_path))
    assert found["openvino-f32"]["status"] in ("measured", "dropped"), found["openvino-f32"]["reason"]
    for name, candidate in found.items():
        assert ("shapes" in candidate["recipe"]["settings"]) == name.startswith(("openvino", "nncf", "fp32-static")), name


@pytest.mark.slow
def test_a_bundle_states_what_its_fallback_adds(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("openvino")
    done = run_strop(
        tmp_path, "optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", "--target", "intel-n100",
        "--recipe", "openvino-f32", "--backend", "openvino",
    )  # fmt: skip
    assert done.code == 0, done.err
    bundle = tmp_path / "strop-out" / "latest" / "bundle"
    shapes = json.loads((bundle / "manifest.json").read_text())["shapes"]
    assert shapes["sets"] == [{"input": [1, 49, 10, 1]}]
    assert shapes["others"] == "fallback"
    assert shapes["fallback_bytes"] is None or shapes["fallback_bytes"] > 0
    np.savez(tmp_path / "in.npz", input=np.load(DEMO / "eval.npz")["input"][:5].astype(np.float32))
    assert run_strop(tmp_path, "bundle", "infer", bundle, "in.npz", "out.npz").code == 0
