"""The command line as in other tools: short flags, groups, environment variables, near names, hints."""

import io
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

import strop
from strop import cli
from strop.cli.app import app
from strop.core.candidate import Candidate, Result
from strop.core.choose import parse_weights
from strop.core.errors import StropError
from strop.core.model import Artifact, Model, TensorSpec
from strop.core.recipe import Step
from strop.plan.mislabeled import likely_cause
from strop.report.render.terminal import terminal
from strop.report.verdict import three_lines
from strop.run.elsewhere import safest_of_kin
from strop.run.families.tensor.task import require_known_names
from strop.run.options import OPTIMIZE, OPTIONS
from strop.run.request import make_request

from .makers import interval, recipe
from .test_report import outcome
from .test_report import result as measured


def test_every_option_has_a_variable_a_heading_a_key_and_says_what_its_value_is():
    taken = {p.name: p for p in get_command(app).commands["optimize"].params}
    assert all(taken[option.name].envvar == option.variable for option in OPTIMIZE)
    assert all(option.group for option in OPTIMIZE) and all(option.key for option in OPTIONS)
    assert all(option.value for option in OPTIMIZE if option.form.flag is not bool)
    assert len({option.variable for option in OPTIMIZE}) == len(OPTIMIZE)
    shown = CliRunner().invoke(app, ["optimize", "-h"], env={"COLUMNS": "80"}).output
    assert "Gates and choice:" in shown and "--must METRIC>=NUMBER" in shown and "<int>" not in shown


def test_a_variable_stands_for_its_flag_and_the_flag_wins():
    def said(*arguments):
        return CliRunner().invoke(app, ["optimize", "m.onnx", *arguments], env={"STROP_METRIC": "topl"})

    assert "unknown metric 'topl'" in str(said().exception)
    assert "unknown metric 'f2'" in str(said("--metric", "f2").exception)


def test_short_version():
    done = subprocess.run([sys.executable, "-m", "strop", "-v"], capture_output=True, text=True, check=True)
    assert done.stdout == f"strop {strop.__version__}\n"


def test_every_option_can_stand_in_the_file(tmp_path):
    (tmp_path / "strop.toml").write_text('[run]\nbudget = 90\nseed = 3\nout = "o"\nfresh = true\n[task]\ncontext = 99\n')
    request = make_request(tmp_path / "m.onnx")
    assert (request.budget_s, request.seed, request.out, request.fresh, request.context) == (90, 3, str(tmp_path / "o"), True, 99)
    assert make_request(tmp_path / "m.onnx", budget="5m", seed=4).budget_s == 300


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: make_request("m", metric="topl"), "topk"),
        (lambda: make_request("m", must="sped>=2"), "speedup"),
        (lambda: make_request("m", purpose="protoyping"), "prototyping"),
        (lambda: parse_weights("sped=1"), "speed"),
        (lambda: strop.find_device("raspbery-pi-5"), "raspberry-pi-5"),
        (lambda: strop.install_backend("openvno"), "openvino"),
        (lambda: require_known_names(MODEL, {"imput": "x"}, {}), "input"),
        (lambda: require_known_names(MODEL, {}, {"sequnce": 3}), "sequence"),
    ],
)
def test_the_near_name_is_given(call, near):
    with pytest.raises(StropError) as refused:
        call()
    assert "did you mean" in refused.value.hint and near in refused.value.hint


MODEL = Model(
    artifact=Artifact(kind="onnx", path="m.onnx", digest="", bytes=0, files=("m.onnx",)), reader="onnxruntime", parameters=0,
    inputs=(TensorSpec(name="input", dtype="float32", shape=("batch", "sequence")),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 2)),),
)  # fmt: skip


def test_each_fault_of_labels_has_its_own_hint():
    right = np.array([0, 1, 2, 1, 2, 2])
    assert "subtract 1" in likely_cause("top1", np.eye(3)[right], right + 1)
    assert "one-hot" in likely_cause("top1", np.zeros((6, 3)), np.eye(3, dtype=int)[right])
    assert "up to 7" in likely_cause("top1", np.zeros((6, 3)), np.array([0, 1, 7, 1, 2, 2]))


def test_a_doctor_says_what_is_missing_used_and_busy(tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    old = tmp_path / "home" / "interpreters" / "openvino-0000000000"
    old.mkdir(parents=True)
    (old / "file").write_bytes(b"123")
    (tmp_path / "store" / "data" / ("a" * 64)).mkdir(parents=True)
    (tmp_path / "store" / "data" / ("a" * 64) / "x").write_bytes(b"12345")
    health = strop.doctor(tmp_path / "store")
    parts = {part.name: part for part in health.backends}
    assert "null" not in parts and parts["onnxruntime"].works
    assert parts["openvino"].fix == "strop backends install openvino"
    assert [(use.bytes, use.fix) for use in health.disk if use.bytes] == [
        (3, f"rm -r {old}"), (5, f"strop runs prune --store {tmp_path / 'store'}"),
    ]  # fmt: skip
    assert 0 <= health.busy_cores <= health.cores
    assert CliRunner().invoke(app, ["doctor", "--store", str(tmp_path / "store")]).exit_code == 0


def test_pruning_all_removes_runs_too(tmp_path):
    run = tmp_path / "runs" / "m-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    store = strop.Store(tmp_path)
    assert store.prune() == 0 and run.is_dir()
    assert store.prune(runs=True) >= 2 and not run.exists()


def test_elsewhere_the_safest_of_a_recipes_variants_is_chosen():
    def made(name, kept, step="static", safety=3, **fields):
        steps = (Step(builder="onnxruntime", name=step, stage="quantize", consumes="onnx", produces="onnx", params={"by": name}),)
        candidate = Candidate(recipe=recipe(name, runtime="onnxruntime", precision="int8", steps=steps, safety=safety, **fields))
        return Result(candidate=candidate, retained=interval(kept))

    first, better, safer = made("int8-static", 0.984), made("int8-tensor", 1.0, safety=4), made("int8-bias", 1.004, safety=2)
    dynamic = made("int8-dynamic", 1.0, step="dynamic", safety=0)
    assert safest_of_kin(first, [dynamic, first, better, safer]).name == "int8-bias"
    assert safest_of_kin(first, [dynamic, first]).name == "int8-static"
    assert safest_of_kin(better, [better, made("int8-other", 1.0, safety=4)]).name == "int8-tensor"


def test_on_the_terminal_the_verdict_stands_last_and_what_was_not_reached_is_a_line():
    left = [Result(candidate=Candidate(recipe=recipe(f"late-{i}")), status="not reached") for i in range(5)]
    found = outcome(measured("int8", 2.0), *left, chosen="int8")
    shown = terminal(found)
    assert [part for part in shown[-3:] if isinstance(part, str)] == list(three_lines(found))
    assert "5 not reached within the budget: late-0, late-1, late-2 and 2 more." in shown
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    for part in shown:
        console.print(part)
    text = console.file.getvalue()
    assert "late-4" not in text and "\x1b[1;32m→" in text


def test_no_word_is_broken_at_80_columns():
    busy = [measured(f"int8-static-percentile-{i}", 2.0 + i / 100) for i in range(3)]
    console = Console(width=80, file=io.StringIO())
    for part in terminal(outcome(*busy, chosen=busy[0].name)):
        console.print(part)
    words = set(console.file.getvalue().split())
    assert {"int8-static-percentile-0", "speed", "confirmed", "baseline"} <= words


def test_where_strop_cannot_run_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(StropError, match="does not run on Windows") as refused:
        strop.__getattr__("optimize")
    assert "WSL" in refused.value.hint
    monkeypatch.setattr("sys.argv", ["strop", "doctor"])
    assert cli.answer() == 1 and "WSL" in capsys.readouterr().err
