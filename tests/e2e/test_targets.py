"""`strop optimize --target`: for a device that is not this machine nothing is guessed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import strop
from conftest import DEMO, report, run_strop
from strop.run.machine import this_machine

DATA = ("--data", DEMO / "eval.npz", "--calibration", DEMO / "calibration.npz")
KWS = DEMO / "kws.onnx"
LESSER = """
name = "lesser"
[cpu]
architecture = "x86_64"
isa = ["sse4_2", "avx", "avx2", "fma", "f16c"]
cores = 1
[memory]
size = "200 MB"
"""
OPEN = ("speedup ≥ 2", "tail_ratio ≤ 1.5", "memory_ratio ≤ 0.5")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model for two devices at once."""
    folder = tmp_path_factory.mktemp("two")
    done = run_strop(
        folder, "optimize", KWS, *DATA, "--target", "raspberry-pi-5", "--target", "apple-m4", "--recipe", "int8-static",
    )  # fmt: skip
    assert done.code == 0, done.err
    (folder / "err.txt").write_text(done.err)
    return folder / "strop-out" / "latest"


@pytest.mark.parametrize("name", ["raspberry-pi-5", "apple-m4"])
def test_what_only_the_target_can_tell_stays_open(two: Path, name: str) -> None:
    found = json.loads((two / name / "report.json").read_text())
    assert found["place"] == "elsewhere"
    assert found["target"]["name"] == name
    for candidate in found["candidates"]:
        if candidate["name"] == found["baseline"]["name"] or candidate["status"] == "failed":
            continue
        gates = {g["gate"]: g for g in candidate["gates"]}
        assert all(gates[gate]["result"] == "INCONCLUSIVE" for gate in OPEN), candidate["name"]
        assert all(f"unmeasured on target {name}" in gates[gate]["reason"] for gate in OPEN)
        assert candidate["measurement"]["speedup"] is None
        assert candidate["measurement"]["memory_ratio"] is None
    static = next(c for c in found["candidates"] if c["name"] == "int8-static")
    assert static["measurement"]["accuracy_retained"]["low"] > 0.9
    assert found["outcome"] == "provisional"
    assert f"--target {name}" in found["reproduce"]
    page = (two / name / "report.html").read_text()
    assert "Which frameworks, and why" in page
    assert "busy" not in page.split("<script")[0]


def test_an_accelerator_that_is_not_here_is_built_for_and_not_measured(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "optimize", KWS, *DATA, "--target", "apple-m4", "--recipe", "coreml-fp16")
    assert done.code == 0, done.err
    found = report(tmp_path)
    core = next(c for c in found["candidates"] if c["name"] == "coreml-fp16")
    assert core["status"] == "not measurable"
    assert core["measurement"]["bytes"] > 0
    assert found["chosen"]["name"] != "coreml-fp16"
    assert "not measurable here" in (tmp_path / "strop-out" / "latest" / "report.html").read_text()


def test_shared_steps_are_built_once_and_compared(two: Path) -> None:
    built = list((two.parents[1] / ".strop" / "build").glob("*/step.json"))
    kinds = [json.loads(path.read_text())["kind"] for path in built]
    assert kinds.count("onnx+ranges") == 1
    compared = json.loads((two / "comparison.json").read_text())
    assert [t["target"] for t in compared["targets"]] == ["raspberry-pi-5", "apple-m4"]
    page = (two / "comparison.html").read_text()
    assert 'href="apple-m4/report.html"' in page
    assert "unmeasured" in page
    assert (two / "apple-m4" / "report.html").exists()
    assert "raspberry-pi-5" in (two / "comparison.md").read_text()


def test_a_bundle_for_elsewhere_says_so(two: Path) -> None:
    manifest = json.loads((two / "raspberry-pi-5" / "bundle" / "manifest.json").read_text())
    assert manifest["target"] == "raspberry-pi-5"
    assert manifest["measurements"]["speedup"] is None
    assert "was not at hand" in (two / "raspberry-pi-5" / "bundle" / "MODEL_CARD.md").read_text()
    assert run_strop(two, "bundle", "verify", "raspberry-pi-5/bundle").code == 0


def test_a_framework_that_the_target_cannot_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "old-pi.toml").write_text('name = "old-pi"\n[cpu]\narchitecture = "armv7l"\n[memory]\nsize = "1 GB"\n')
    done = run_strop(tmp_path, "optimize", KWS, *DATA, "--target", "old-pi.toml", "--dry-run", "--json")
    offers = {o["name"]: o for o in json.loads(done.out)}
    assert "no onnxruntime wheel for 32-bit ARM" in offers["int8-static"]["reason"]
    assert offers["int8-static"]["recipe"] is None
    assert offers["fp32"]["recipe"] is not None


def test_a_device_too_small_is_offered_nothing_large(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text('name = "tiny"\n[cpu]\narchitecture = "aarch64"\n[memory]\nsize = "60 kB"\n')
    done = run_strop(tmp_path, "optimize", KWS, *DATA, "--target", "tiny.toml", "--dry-run", "--json")
    refused = {o["name"]: o["reason"] for o in json.loads(done.out) if o["recipe"] is None}
    assert "needs" in refused["int8-static"]
    assert "of memory" in refused["int8-static"]


@pytest.mark.skipif(not this_machine().has("avx2", "fma", "f16c"), reason="this machine's CPU has no AVX2 to be held to")
def test_a_lesser_cpu_is_imitated_where_the_runtime_can_be_held_to_it(
    tmp_path: Path, own_environments: Callable[..., None]
) -> None:
    own_environments("openvino")
    (tmp_path / "lesser.toml").write_text(LESSER)
    done = run_strop(
        tmp_path, "optimize", KWS, *DATA, "--target", "lesser.toml", "--recipe", "openvino-f32", "--recipe", "nncf-int8",
        "--recipe", "int8-static",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = report(tmp_path)
    assert found["place"] == "imitated"
    measured = {c["name"]: c["measurement"] for c in found["candidates"]}
    imitated = measured["nncf-int8"]["imitated"]
    if imitated is None:  # a machine too busy to time says so, and decides nothing
        assert any("could not be timed under imitation" in note for note in found["notes"])
    else:
        assert imitated["over"] == "openvino-f32"
        assert "ONEDNN_MAX_CPU_ISA=AVX2" in imitated["held_to"]
        assert "1 thread(s)" in imitated["held_to"]
        assert imitated["speedup"]["low"] > 0
    assert measured["int8-static"]["imitated"] is None  # ONNX Runtime cannot be held to fewer instruction sets
    gates = {g["gate"]: g["result"] for c in found["candidates"] if c["name"] == "nncf-int8" for g in c["gates"]}
    assert gates["speedup ≥ 2"] == "INCONCLUSIVE"
    assert "sessions are held to the instruction sets of lesser (openvino), 1 core(s), its memory" in "".join(found["notes"])
    assert "--target " in found["reproduce"] and "lesser.toml" in found["reproduce"]
    assert ("Imitated speed" in (tmp_path / "strop-out" / "latest" / "report.md").read_text()) == (imitated is not None)


def test_several_targets_are_planned_apart(tmp_path: Path) -> None:
    targets = ("--target", "raspberry-pi-5", "--target", "intel-core-ultra-7-155h")
    done = run_strop(tmp_path, "optimize", KWS, *DATA, *targets, "--dry-run", "--json")
    plans = json.loads(done.out)
    assert list(plans) == ["raspberry-pi-5", "intel-core-ultra-7-155h"]
    assert all(offer["name"] for offers in plans.values() for offer in offers)


def test_an_accelerator_of_an_unknown_kind_falls_back_and_says_so(tmp_path: Path) -> None:
    text = 'name = "odd"\n[cpu]\narchitecture = "aarch64"\ncores = 1\n[[accelerators]]\nkind = "quantum"\nname = "Qubits"\n'
    (tmp_path / "odd.toml").write_text(text)
    done = run_strop(tmp_path, "optimize", KWS, *DATA, "--target", "odd.toml", "--recipe", "int8-static", "--budget", "60s")
    assert done.code == 0, done.err
    found = report(tmp_path)
    said = [note for note in found["notes"] if "Qubits" in note]
    assert said == ["Qubits: no framework of Strop's computes on a quantum device; what is made runs on the CPU beside it."]
    assert found["chosen"]["recipe"]["device"] == "cpu"


def test_what_the_store_measured_overrules_the_textbook(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    """What a run on this very machine found to be fastest comes first, whatever the tree picks."""
    own_environments("openvino")
    before = json.loads(run_strop(tmp_path, "inspect", KWS, "--target", "this-machine", "--json").out)["advice"]
    assert not any(x["rule"] == "fact.measured" for r in before["ranking"] for x in r["reasons"])
    done = run_strop(
        tmp_path, "optimize", KWS, *DATA, "--recipe", "int8-static", "--recipe", "openvino-f32", "--budget", "40s",
        "--threads", 1,
    )  # fmt: skip
    assert done.code in (0, 10), done.err
    found = report(tmp_path)
    after = json.loads(run_strop(tmp_path, "inspect", KWS, "--target", "this-machine", "--json").out)["advice"]
    said = {r["framework"]: x for r in after["ranking"] for x in r["reasons"] if x["rule"] == "fact.measured"}
    if found["noise"]["speedup"] is None:
        assert said == {}  # nothing was timed, so nothing was found
        return
    figures = {c["backend"]: [] for c in found["candidates"]}
    for candidate in found["candidates"]:
        figures[candidate["backend"]].append((candidate["measurement"]["speedup"] or {"value": 0.0})["value"])
    if max(figures.get("openvino", [0.0])) > 0:
        fastest = max(figures, key=lambda backend: max(figures[backend]))
        assert after["ranking"][0]["framework"] == fastest
        assert said[fastest]["points"] > 0
        assert found["run"] in said[fastest]["text"]


def test_a_run_that_is_completed_later_does_not_lose_a_better_result(two: Path, tmp_path: Path) -> None:
    """As after a backend's environment came back: the earlier result stays until there is one that is not worse."""
    folder, said = two.parent.parent, []
    path = next(p for p in folder.glob(".strop/runs/*/outcome.json") if json.loads(p.read_text())["target"]["name"] == "apple-m4")
    earlier = json.loads(path.read_text())
    chosen = next(r for r in earlier["results"] if r["candidate"]["recipe"]["name"] == earlier["choice"]["name"])
    chosen["failure"] = {"stage": "check", "kind": "missing", "message": "its interpreter was gone"}
    for gate in chosen["verdict"]["results"]:
        gate["result"] = "PASS"
    path.write_text(json.dumps(earlier))

    def again(replace: bool) -> str:
        made = strop.optimize(
            KWS, data=DATA[1], calibration=DATA[3], target="apple-m4", recipes="int8-static", out=tmp_path / "out",
            store=folder / ".strop", replace=replace, observer=lambda event, details: said.append((event, details)),
        )  # fmt: skip
        strop.verify_bundle(str(tmp_path / "out" / "bundle"))
        return made.bundle_name

    assert again(replace=False) == "bundle"
    assert ("earlier-kept", {"why": f"the new one does not pass {', '.join(OPEN[i] for i in (1, 0, 2))}"}) in said
    assert json.loads(path.read_text()) == earlier
    assert again(replace=True) == json.loads(path.read_text())["bundle"] == "bundle-2"
