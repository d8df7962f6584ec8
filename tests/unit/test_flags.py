"""Keywords of public functions: a misspelt one is an error that names the nearest, a value is never read as another type."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.main import get_command

import strop
from strop.cli.app import app
from strop.cli.options import parameter
from strop.run import options
from strop.run.forms import COUNT
from strop.run.init import line
from strop.run.options import OPTIONS, Option
from strop.run.request import Request, formed, make_request

FUNCTIONS = [name for name in strop.__all__ if inspect.isfunction(getattr(strop, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_refuses_what_it_does_not_know(name):
    required = [p for p in inspect.signature(getattr(strop, name)).parameters.values() if p.default is p.empty and p.kind < 2]
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'xyzzy'"):
        getattr(strop, name)(*["x"] * len(required), xyzzy=1)


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: strop.optimize("m.onnx", dta="eval.npz"), "'dta'; did you mean 'data'?"),
        (lambda: strop.optimize("m.onnx", backend="onnxruntime"), "'backend'; did you mean 'backends'?"),
        (lambda: strop.optimize("m.onnx", confg="strop.toml"), "did you mean 'config'?"),
        (lambda: strop.optimize_for("m.onnx", ["this-machine"], recipe=["x"]), "did you mean 'recipes'?"),
        (lambda: strop.list_recipes("m.onnx", taget="x"), "did you mean 'target'?"),
        (lambda: strop.build("m.onnx", "int8", chek=True), "did you mean 'check'?"),
        (lambda: strop.bench(["a.onnx", "b.onnx"], budget="5m"), "'budget'"),
        (lambda: strop.bench(["a.onnx", "b.onnx"], must=["speedup>=1"]), "'must'"),
        (lambda: strop.inspect("m.onnx", traget="x"), "did you mean 'target'?"),
    ],
)
def test_the_nearest_name_is_named(call, near):
    with pytest.raises(TypeError) as refused:
        call()
    assert near in f"{refused.value.message}; {refused.value.hint}"


def test_what_is_obviously_meant_is_taken():
    given = {"must": "speedup>=1", "batches": 8, "budget": 90, "data": Path("a/b"), "k": np.int64(3), "time_limit_s": 5}
    assert formed(given) == {
        "must": ["speedup>=1"], "batches": [8], "budget": "90.000000", "data": "a/b", "k": 3, "time_limit_s": 5.0,
    }  # fmt: skip
    assert formed({"map": {"input": "x"}, "size": {"n": 3}, "prefer": {"speed": 1}, "batches": range(1, 3), "must": None}) == {
        "map": ["input=x"], "size": ["n=3"], "prefer": "speed=1", "batches": [1, 2], "must": None,
    }  # fmt: skip
    assert formed({"shape": {"x": (1, np.int64(3)), "y": "1x4"}}) == {"shape": ["x=1x3", "y=1x4"]}
    request = make_request(Path("m.onnx"), must="speedup>=3", batches=8, budget=90, backends="onnxruntime", map={"input": "x"})
    assert [str(g) for g in request.gates if g.metric == "speedup"] == ["speedup ≥ 3"]
    assert (request.batches, request.budget_s, request.backends, request.mapping) == ((8,), 90, ("onnxruntime",), {"input": "x"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("classes", 3, "a text"), ("batches", "8", "a whole number"), ("batches", 8.5, "a whole number"), ("k", True, "whole"),
        ("must", [3], "a text"), ("must", 3, "a list of texts"), ("strict", "yes", "True or False"), ("threads", "2", "whole"),
        ("time_limit_s", "5", "a number"), ("budget", [5], "a number"), ("out", b"x", "a text"), ("metric", ["top1"], "a text"),
    ],
)  # fmt: skip
def test_another_type_is_refused_by_name(name, value, expected):
    with pytest.raises(TypeError) as refused:
        make_request("m.onnx", **{name: value})
    assert str(refused.value).startswith(f"{name}={value!r} is {type(value).__name__}; expected")
    assert expected in str(refused.value)


def test_one_text_is_not_a_list_of_letters():
    with pytest.raises(strop.StropError, match="bench compares two or more"):
        strop.bench("model.onnx")
    with pytest.raises(strop.StropError, match="raspberry-pi-55"):
        strop.optimize_for("model.onnx", "raspberry-pi-55")


@pytest.mark.parametrize(
    ("command", "takes"), [("optimize", options.OPTIMIZE), ("build", options.BUILD), ("bench", options.BENCH)]
)
def test_a_command_takes_what_its_function_takes(command, takes):
    context = typer.Context(get_command(app))
    given = {p.name for p in get_command(app).get_command(context, command).params if p.param_type_name == "option"}
    keywords = inspect.signature(getattr(strop, command)).parameters
    names = {option.name for option in takes}
    assert names <= given and names <= keywords.keys()
    of_the_command = {"config", "json", "quiet", "help", "dry_run", "require_goals", "allow_provisional", "recipe", "check"}
    assert given - names <= of_the_command


def test_every_option_becomes_part_of_a_request():
    """None is declared that a request would ignore."""
    assert {option.part for option in OPTIONS if option.help} <= Request.model_fields.keys()
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


def test_signatures_show_keywords_with_their_types():
    shown = inspect.signature(strop.optimize).parameters
    assert (shown["k"].annotation, shown["k"].default, shown["k"].kind) == (int | None, None, inspect.Parameter.KEYWORD_ONLY)
    assert "flags" not in shown


def test_a_new_option_is_one_row():
    """Flag, help, keyword, key and its check, the line of `init` all follow from it."""
    toy = Option("toy_size", COUNT, "Size of the toy [3].", key="task.toy", shown="3", comment="of the toy")
    made = parameter(toy, repeated=False, text=toy.help)
    assert (toy.spelled, made.name, made.default) == ("--toy-size", "toy_size", None)
    assert line(toy) == "# toy = 3                           # of the toy"
    assert toy.form.python(np.int64(4)) == 4 and toy.form.written(4) == ["4"]
    with pytest.raises(strop.StropError, match="--toy-size 0 is not above 0"):
        toy.form.read(toy.spelled, 0)
