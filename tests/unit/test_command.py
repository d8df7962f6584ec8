"""The command line of a request: parsed as the shell and the CLI do it, it gives the same request."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import Context
from typer.main import get_command

from strop.cli import options
from strop.cli.app import app
from strop.run import flags
from strop.run.building import BUILD_ALONE
from strop.run.command import flags_of
from strop.run.request import make_request

OLIVE = '{"passes": {"q": {"type": "OnnxQuantization"}}}'


def parsed(command, takes, line, **more):
    """The request of a command line, without running it."""
    program = get_command(app)
    of = program.get_command(Context(program), command)
    values = of.make_context(command, shlex.split(line)).params
    return make_request(values["model"], **(options.given(values, ("config", *takes)) | more))


names = st.text(st.characters(codec="utf-8", exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@st.composite
def given_flags(draw):
    """Any of the flags that `build` takes, with odd names and texts."""
    whole, pairs = st.integers(1, 10**6), st.lists(st.builds("{}={}".format, names, texts), max_size=2)
    possible = {
        "data": texts, "calibration": texts, "questions": texts, "classes": texts, "tokenizer": texts, "labels": texts,
        "preset": texts, "output": texts, "task": st.sampled_from(["classification", "feature-extraction"]),
        "metric": st.sampled_from(["topk", "mae", "difference"]), "map": pairs,
        "column": st.lists(st.builds("{}={}".format, st.sampled_from(["text", "label"]), texts), max_size=2),
        "size": st.lists(st.builds("{}={}".format, names, whole), max_size=2),
        "batch_axis": st.lists(st.builds("{}={}".format, names, st.integers(0, 9)), max_size=2),
        "batches": st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True),
        "time_limit_s": st.floats(0.001, 10**6) | st.just(20.0), "seed": st.integers(0, 99),
        **dict.fromkeys(("k", "eval_tokens", "prompt_tokens", "output_tokens", "context", "threads", "memory_limit_mb"), whole),
    }  # fmt: skip
    chosen = draw(st.sets(st.sampled_from(sorted(possible))))
    return {name: draw(possible[name]) for name in sorted(chosen)}


@given(given_flags())
def test_the_flags_of_build_parse_back_to_an_equal_request(asked):
    request = make_request("m.onnx", **asked)
    line = shlex.join(["m.onnx", "--recipe", "int8", *flags_of(request, BUILD_ALONE)])
    assert parsed("build", flags.BUILD, line) == request


def test_the_flags_of_optimize_parse_back_to_an_equal_request():
    request = make_request(
        "m.onnx", budget="90s", target="raspberry-pi-5", purpose="mobile", must=["accuracy_retained>=0.975"],
        goal=["speedup>=1.5", "memory_ratio<=0.4"], prefer="speed=0.7,memory=0.3", backends=["null"], recipes=["a", "b+c"],
        batch_axis=["x=1"], column=["label=a b"], preset="imagenet", tokenizer="t's.json", classes="c d.txt", time_limit_s=1.5,
    )  # fmt: skip
    line = shlex.join(["m.onnx", *flags_of(request, flags.OPTIMIZE)])
    assert "--batch-axis x=1" in line
    assert parsed("optimize", flags.OPTIMIZE_FOR, line, target="raspberry-pi-5") == request


@pytest.mark.parametrize("budget", ["none", "auto", 1000000, 0.5])
def test_budgets_are_told_as_they_were_asked(budget):
    request = make_request("m.onnx", budget=budget)
    line = shlex.join(["m.onnx", *flags_of(request, flags.OPTIMIZE)])
    assert parsed("optimize", flags.OPTIMIZE_FOR, line) == request


def test_what_a_strop_toml_says_otherwise_is_told(tmp_path):
    (tmp_path / "strop.toml").write_text("[task]\nk = 3\nbatches = [8]\n")
    request = make_request(str(tmp_path / "m.onnx"), k=5, batches=[1])
    line = shlex.join([str(tmp_path / "m.onnx"), "--recipe", "int8", *flags_of(request, BUILD_ALONE)])
    assert parsed("build", flags.BUILD, line) == request


def test_paths_are_absolute_for_a_script_that_is_run_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = make_request("m.onnx", data="a b.npz", classes="c.txt")
    assert flags_of(request, BUILD_ALONE, absolute=True) == ["--data", f"{tmp_path}/a b.npz", "--classes", f"{tmp_path}/c.txt"]
