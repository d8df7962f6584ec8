"""The command line of a request: parsed as the shell and the CLI do it, it gives the same request."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Context
from typer.main import get_command

from strop.cli import options
from strop.cli.app import app
from strop.run import forms as f
from strop.run.command import to_argv
from strop.run.options import BUILD, OPTIMIZE
from strop.run.request import make_request

OLIVE = '{"passes": {"q": {"type": "OnnxQuantization"}}}'


def parsed(command, takes, line, **more):
    """The request of a command line, without running it."""
    program = get_command(app)
    of = program.get_command(Context(program), command)
    values = dict(of.make_context(command, shlex.split(line)).params)
    if command == "optimize":  # it takes several devices, and asks for each
        values["target"] = next(iter(values["target"]), None)
    return make_request(values["model"], **(options.given(values, ["config", *(option.name for option in takes)]) | more))


names = st.text(st.characters(codec="utf-8", exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


whole = st.integers(1, 10**6)


def pairs(values, keys=names):
    return st.lists(st.builds("{}={}".format, keys, values), max_size=2)


FORMS = {
    f.TEXT: texts,
    f.PATH: texts,
    f.DATA: texts,
    f.FOLDER: texts,
    f.DEVICE: st.sampled_from(["raspberry-pi-5", "a/my box.toml"]),
    f.METRIC: st.sampled_from(["topk", "mae", "difference"]),
    f.TEXTS: st.lists(texts, min_size=1, max_size=2),
    f.COUNT: whole,
    f.SEED: st.integers(0, 99),
    f.SECONDS: st.floats(0.001, 10**6) | st.just(20.0),
    f.COUNTS: st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True),
    f.SWITCH: st.booleans(),
    f.PAIRS: pairs(texts),
    f.COLUMNS: pairs(texts, st.sampled_from(["text", "label"])),
    f.SIZES: pairs(whole),
    f.AXES: pairs(st.integers(0, 9)),
    f.BUDGET: st.sampled_from(["none", "auto", 90, 0.5, 10**6]),
    f.SHAPES: st.dictionaries(names, st.lists(st.integers(1, 99), max_size=3).map(lambda rest: (4, *rest)), max_size=2),
    f.WEIGHTS: st.sampled_from(["speed=0.6,memory=0.4", "speed=1", {"speed": 0.7, "accuracy": 0.3}]),
}
"""Any value of an option of that form, with odd names and texts."""
OTHERS = {
    "task": st.sampled_from(["classification", "feature-extraction"]), "other_shapes": st.sampled_from(["fallback", "refuse"]),
    "purpose": st.sampled_from(["any", "mobile"]), "concurrency": st.integers(1, 64),
    "must": st.lists(st.floats(0.1, 1.9).map("accuracy_retained>={}".format), max_size=1),
    "goal": st.lists(st.floats(1, 1000).map("size_mb<={}".format), max_size=1),
}  # fmt: skip


@st.composite
def given_flags(draw, takes):
    """Any of these options; what a file or another option would have to agree with is left out."""
    able = {
        option.name: OTHERS[option.name] if option.name in OTHERS else FORMS[option.form]
        for option in takes
        if option.name != "olive_config"
    }
    chosen = draw(st.sets(st.sampled_from(sorted(able))))
    return {name: draw(able[name]) for name in sorted(chosen - ({"batches"} if "shape" in chosen else set()))}


@given(given_flags(BUILD))
def test_the_flags_of_build_parse_back_to_an_equal_request(asked):
    request = make_request("m.onnx", **asked)
    line = shlex.join(["m.onnx", "--recipe", "int8", *to_argv(request, BUILD)])
    assert parsed("build", BUILD, line) == request


@given(given_flags(OPTIMIZE))
def test_the_flags_of_optimize_parse_back_to_an_equal_request_whatever_is_asked(asked):
    request = make_request("m.onnx", **asked)
    assert parsed("optimize", OPTIMIZE, shlex.join(["m.onnx", *to_argv(request, OPTIMIZE)])) == request


def test_an_olive_configuration_is_told(tmp_path):
    (tmp_path / "o.json").write_text(OLIVE)
    request = make_request("m.onnx", olive_config=tmp_path / "o.json")
    assert to_argv(request, OPTIMIZE) == ["--olive-config", str(tmp_path / "o.json")]
    assert parsed("optimize", OPTIMIZE, shlex.join(["m.onnx", *to_argv(request, OPTIMIZE)])) == request


def test_the_flags_of_optimize_parse_back_to_an_equal_request():
    request = make_request(
        "m.onnx", budget="90s", target="raspberry-pi-5", purpose="mobile", must=["accuracy_retained>=0.975"],
        goal=["speedup>=1.5", "memory_ratio<=0.4"], prefer="speed=0.7,memory=0.3", backends=["null"], recipes=["a", "b+c"],
        batch_axis=["x=1"], column=["label=a b"], preset="imagenet", tokenizer="t's.json", classes="c d.txt", time_limit_s=1.5,
    )  # fmt: skip
    line = shlex.join(["m.onnx", *to_argv(request, OPTIMIZE)])
    assert "--batch-axis x=1" in line
    assert parsed("optimize", OPTIMIZE, line) == request


@pytest.mark.parametrize("budget", ["none", "auto", 1000000, 0.5])
def test_budgets_are_told_as_they_were_asked(budget):
    request = make_request("m.onnx", budget=budget)
    line = shlex.join(["m.onnx", *to_argv(request, OPTIMIZE)])
    assert parsed("optimize", OPTIMIZE, line) == request


def test_what_a_strop_toml_says_otherwise_is_told(tmp_path):
    (tmp_path / "strop.toml").write_text("[task]\nk = 3\nbatches = [8]\n")
    request = make_request(str(tmp_path / "m.onnx"), k=5, batches=[1])
    line = shlex.join([str(tmp_path / "m.onnx"), "--recipe", "int8", *to_argv(request, BUILD)])
    assert parsed("build", BUILD, line) == request


def test_a_gate_as_by_default_is_told_where_a_strop_toml_says_otherwise(tmp_path):
    (tmp_path / "strop.toml").write_text('[gates]\nmust = ["accuracy_retained>=0.9"]\n')
    request = make_request(str(tmp_path / "m.onnx"), must=["accuracy_retained>=0.95"])
    line = shlex.join([str(tmp_path / "m.onnx"), *to_argv(request, OPTIMIZE)])
    assert "--must 'accuracy_retained>=0.95'" in line
    assert {*map(repr, parsed("optimize", OPTIMIZE, line).gates)} == {*map(repr, request.gates)}


def test_paths_are_absolute_for_a_script_that_is_run_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = make_request("m.onnx", data="a b.npz", classes="c.txt")
    assert to_argv(request, BUILD, absolute=True) == ["--data", f"{tmp_path}/a b.npz", "--classes", f"{tmp_path}/c.txt"]
