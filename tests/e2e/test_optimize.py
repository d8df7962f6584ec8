"""`optimize` on a real ONNX model with real data, and what comes out of it."""

import json
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import psutil
import pytest

from conftest import DATA, DEMO, assert_faster, candidates, null_model, report, run_strop

RECIPES = ("--recipe", "int8-static", "--recipe", "int8-dynamic")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A small run on the demo's model, one thread."""
    folder = tmp_path_factory.mktemp("demo")
    arguments = ("optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", "--threads", 1, "--budget", "32s", *RECIPES)
    done = run_strop(folder, *arguments)
    assert done.code in (0, 10), done.err
    return folder, report(folder)


def test_outcome_is_consistent(demo: tuple[Path, dict]) -> None:
    """The chosen candidate is on the list, its musts passed, and a goal that is not reached makes it provisional."""
    _, document = demo
    chosen = candidates(document)[document["chosen"]["name"]]
    musts = {g["result"] for g in chosen["gates"] if g["kind"] == "must"}
    assert musts == {"PASS"}
    every = all(g["result"] in ("PASS", "NOT APPLICABLE") for g in chosen["gates"])
    assert document["outcome"] == ("chosen" if every else "provisional")
    assert document["baseline"]["measurement"]["accuracy"] == pytest.approx(0.9175)
    assert document["frontier"]
    served = document["baseline"]["measurement"]["throughput"]
    assert (served["concurrency"], served["unit"]) == (1, "examples") and served["rate"]["value"] > 0
    assert document["timing"]["total"] > document["timing"]["parent"]


def test_budget_is_kept(demo: tuple[Path, dict]) -> None:
    """45 s, within 10 %: what the run itself booked."""
    assert demo[1]["timing"]["total"] <= 49.5


def test_bundle_runs_without_strop(demo: tuple[Path, dict], tmp_path: Path) -> None:
    """`infer.py` with Strop's package out of reach answers as the measured session did."""
    folder, document = demo
    bundle = tmp_path / "bundle"
    shutil.copytree(folder / "strop-out" / "latest" / "bundle", bundle)
    arrays = np.load(DEMO / "eval.npz")
    np.savez(tmp_path / "in.npz", input=arrays["input"])
    code = "import sys; sys.modules['strop'] = None; sys.argv = sys.argv[1:]; import runpy; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    subprocess.run([sys.executable, "-c", code, bundle / "infer.py", tmp_path / "in.npz", tmp_path / "out.npz"], check=True)
    got = np.load(tmp_path / "out.npz")["output"]
    name = document["chosen"]["name"]
    check = next(folder.glob(f".strop/runs/*/candidates/{name}/check/check.json"))
    measured = np.load(check.parent / json.loads(check.read_text())["shards"]["output"])
    np.testing.assert_allclose(got, measured, rtol=1e-5, atol=1e-6)
    assert (got.argmax(axis=1) == arrays["labels"]).mean() == pytest.approx(candidates(document)[name]["measurement"]["accuracy"])


@pytest.mark.slow
def test_bundle_runs_in_a_bare_environment(demo: tuple[Path, dict], tmp_path: Path) -> None:
    """A virtual environment with nothing but the bundle's requirements."""
    folder, _ = demo
    bundle = folder / "strop-out" / "latest" / "bundle"
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", bundle / "requirements.txt"], check=True)
    np.savez(tmp_path / "in.npz", input=np.load(DEMO / "eval.npz")["input"])
    subprocess.run([python, bundle / "infer.py", tmp_path / "in.npz", tmp_path / "out.npz"], check=True)
    accuracy = (np.load(tmp_path / "out.npz")["output"].argmax(axis=1) == np.load(DEMO / "eval.npz")["labels"]).mean()
    assert accuracy >= 0.95 * 0.9175


def test_bundle_verify_finds_every_change(demo: tuple[Path, dict], tmp_path: Path) -> None:
    folder, _ = demo
    whole = folder / "strop-out" / "latest" / "bundle"
    assert run_strop(tmp_path, "bundle", "verify", whole).code == 0
    changes = {
        "changed: infer.py": lambda b: (b / "infer.py").write_text((b / "infer.py").read_text() + "\n"),
        "missing: runner.py": lambda b: (b / "runner.py").unlink(),
        "extra: new.txt": lambda b: (b / "new.txt").write_text("x"),
        "manifest.json: changed": lambda b: (b / "manifest.json").write_text(
            (b / "manifest.json")
            .read_text()
            .replace('"outcome": "provisional"', '"outcome": "chosen"')
            .replace('"examples": 400', '"examples": 401')
        ),
    }
    for text, change in changes.items():
        copy = tmp_path / "copy"
        shutil.copytree(whole, copy)
        change(copy)
        done = run_strop(tmp_path, "bundle", "verify", copy)
        assert done.code == 9
        assert text in done.err.replace("\n", " ")
        shutil.rmtree(copy)


def test_page_is_written_again_from_the_store(demo: tuple[Path, dict], tmp_path: Path) -> None:
    """The same page, in the run's folder and as a copy; without data it says what is missing, without an outcome why not."""
    folder, document = demo
    shutil.copytree(folder / ".strop", tmp_path / ".strop")
    delivered = (folder / "strop-out" / "latest" / "report.html").read_text(encoding="utf-8")
    assert all(f">{c['name']}<" in delivered for c in document["candidates"])
    done = run_strop(tmp_path, "runs", "report", "kws", "--out", "again/page.html")
    assert (done.code, done.out) == (0, "again/page.html\n")
    assert (tmp_path / "again" / "page.html").read_text(encoding="utf-8") == delivered
    data = Path(document["task"]["evaluation"]["folder"])
    data.rename(data.with_name("away"))
    try:
        assert run_strop(tmp_path, "runs", "report", "kws").code == 0
    finally:
        data.with_name("away").rename(data)
    run = next((tmp_path / ".strop" / "runs").iterdir())
    assert "the evaluation data were pruned" in (run / "report.html").read_text(encoding="utf-8")
    assert "the evaluation data were pruned" in (run / "report.md").read_text(encoding="utf-8")
    (run / "outcome.json").unlink()
    assert "is not finished" in run_strop(tmp_path, "runs", "report", "kws").err.replace("\n", " ")


def test_bundle_infer(demo: tuple[Path, dict], tmp_path: Path) -> None:
    folder, _ = demo
    np.savez(tmp_path / "in.npz", input=np.load(DEMO / "eval.npz")["input"][:5])
    bundle = folder / "strop-out" / "latest" / "bundle"
    assert run_strop(tmp_path, "bundle", "infer", bundle, "in.npz", "out.npz").code == 0
    assert np.load(tmp_path / "out.npz")["output"].shape == (5, 12)
    np.savez(tmp_path / "bad.npz", other=np.zeros(3))
    done = run_strop(tmp_path, "bundle", "infer", bundle, "bad.npz", "bad-out.npz")
    assert done.code == 4
    assert "'input'" in done.err
    assert not (tmp_path / "bad-out.npz").exists()


def test_runs(demo: tuple[Path, dict]) -> None:
    """list, show, prune; a pruned cache loses no report."""
    folder, document = demo
    listed = json.loads(run_strop(folder, "runs", "list", "--json").out)
    assert [r["run"] for r in listed] == [document["run"]]
    assert listed[0]["chosen"] == document["chosen"]["name"]
    assert json.loads(run_strop(folder, "runs", "show", document["run"], "--json").out) == document
    assert run_strop(folder, "runs", "show", "kws").out.startswith("# kws.onnx")
    assert run_strop(folder, "runs", "show", "nobody").code == 12


@pytest.mark.slow
def test_no_data_is_unmeasured_and_provisional(tmp_path: Path) -> None:
    """Inputs are generated, nothing needs calibration, the outcome is provisional at most."""
    shutil.copy(DEMO / "kws.onnx", tmp_path)
    done = run_strop(tmp_path, "optimize", "kws.onnx", "--threads", 1, "--budget", "24s", "--recipe", "int8-dynamic", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["outcome"] == "provisional"
    assert document["chosen"]["accuracy_retained"] is None
    assert any(g["result"] == "UNMEASURED" for c in document["candidates"] for g in c["gates"])
    assert any("unmeasured" in note for note in document["notes"])


def test_dry_run_builds_nothing(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "optimize", DEMO / "kws.onnx", "--config", DEMO / "strop.toml", "--dry-run", "--json")
    offers = json.loads(done.out)
    assert done.code == 0
    assert {"fp32", "int8-static", "int8-dynamic"} <= {o["name"] for o in offers}
    assert all(o["reason"] for o in offers)
    assert not (tmp_path / "strop-out").exists()


def test_build_one_recipe(tmp_path: Path) -> None:
    done = run_strop(tmp_path, "build", DEMO / "kws.onnx", "--recipe", "int8-dynamic", "--out", "made")
    assert done.code == 0, done.err
    assert (tmp_path / "made" / "model.onnx").stat().st_size > 0
    assert run_strop(tmp_path, "build", DEMO / "kws.onnx", "--recipe", "magic").code == 5


@pytest.mark.slow
def test_bench(tmp_path: Path) -> None:
    """The same table for what the user has; the first is 1 by definition, a slower one is slower."""
    slow = null_model(tmp_path, [], milliseconds=1.0)
    slow.rename(tmp_path / "slow.null")
    quick = null_model(tmp_path, [], milliseconds=0.5)
    quick.rename(tmp_path / "quick.null")
    done = run_strop(tmp_path, "bench", "slow.null", "quick.null", "--data", "eval.npz", "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)["rows"]
    assert rows[0]["speedup"]["value"] == 1.0
    assert_faster(rows[1]["speedup"], rows[1]["timing"], 1.5)
    assert rows[1]["retained"]["value"] == 1.0
    assert [r["largest_difference"] for r in rows] == [0.0, 0.0]


def test_what_is_not_representative_is_judged_and_never_chosen(tmp_path: Path) -> None:
    """It would be the fastest by far, but its speed is another machine's matter."""
    model = null_model(tmp_path, ["foreign"])
    done = run_strop(tmp_path, "optimize", model, *DATA, "--must", "tail_ratio<=99", "--budget", "60s")
    assert done.code == 0, done.err
    assert "not representative" in done.out
    document = report(tmp_path)
    foreign = candidates(document)["foreign"]
    assert foreign["status"] == "measured"
    assert foreign["measurement"]["accuracy_retained"] is not None
    assert foreign["measurement"]["speedup"] is None
    assert not foreign["measurement"]["representative"]
    assert document["chosen"]["name"] != "foreign"
    assert "foreign" not in document["frontier"]
    assert any("made for another machine" in note for note in document["notes"])


def test_backends_and_version(tmp_path: Path) -> None:
    probes = json.loads(run_strop(tmp_path, "backends", "--json").out)
    assert {p["name"] for p in probes if p["works"]} == {"onnxruntime"}
    assert {p["name"] for p in probes if "strop backends install" in p["why_not"]} == {
        "export", "llamacpp", "mlx", "olive", "onnxruntime-genai", "openvino", "transformers",
    }  # fmt: skip
    assert run_strop(tmp_path, "--version").out.startswith("strop ")


def test_parent_imports_no_framework(tmp_path: Path) -> None:
    code = "import sys; sys.argv = ['strop', '--help']\ntry:\n import strop.cli.app as a; a.app()\nexcept SystemExit: pass\n"
    code += "import strop.run.optimize; print('BAD' if {'onnx', 'onnxruntime'} & set(sys.modules) else 'GOOD')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.endswith("GOOD\n")


def test_ctrl_c_leaves_a_resumable_run(tmp_path: Path) -> None:
    """Exit 130 and the command that goes on; SIGINT has its default again, which a background job's children lack."""
    model = null_model(tmp_path, ["fast"])
    command = [sys.executable, "-m", "strop", "optimize", str(model), *DATA]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        try:
            while not list(tmp_path.glob(".strop/runs/*/candidates/plain/check")):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "strop optimize" in err


def test_ctrl_c_during_a_build_ends_it(tmp_path: Path) -> None:
    """The thread that waits for the builder keeps nothing alive."""
    model = null_model(tmp_path, ["build-hang"])
    command = [sys.executable, "-m", "strop", "optimize", str(model), *DATA, "--budget", "none", "--out", "out"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            while '"candidate": "build-hang"' not in "".join(p.read_text() for p in tmp_path.glob(".strop/runs/*/events.jsonl")):
                time.sleep(0.01)
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    _, left = psutil.wait_procs(family, timeout=10)
    assert not left
    assert not list(tmp_path.glob(".strop/build/.partial-*"))


@pytest.mark.slow
def test_further_batch_sizes_are_measured_for_the_choice(tmp_path: Path) -> None:
    model = null_model(tmp_path, ["fast"])
    done = run_strop(tmp_path, "optimize", model, *DATA, "--batch", 1, "--batch", 4)
    assert done.code in (0, 10), done.err
    batches = report(tmp_path)["chosen"]["batches"]
    assert list(batches) == ["4"]
    assert_faster(batches["4"]["speedup"], batches["4"], 1.5)
