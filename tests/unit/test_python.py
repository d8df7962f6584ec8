"""Strop from Python: names, data in memory, values that cannot be meant, and an outcome as a notebook shows it."""

import inspect
import pydoc
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.unit.test_report import outcome, result

import strop
from strop.core.errors import ArgumentError
from strop.core.outcome import Outcome
from strop.run.handed import features, stored
from strop.run.request import formed, make_request


class Frame:
    """What Strop needs of a data frame, whichever library makes it."""

    def __init__(self, **columns):
        self.of = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return self.of[name]


def test_the_package_lists_what_it_has():
    assert set(strop.__all__) <= set(dir(strop))
    text = pydoc.render_doc(strop, renderer=pydoc.plaintext)
    assert "optimize(model" in text and "budget" in text


def test_type_checkers_see_every_public_name():
    source = inspect.getsource(strop)
    assert all(f"import {name} as {name}\n" in source for name in set(strop.__all__) - {"__version__"})


@pytest.mark.parametrize(
    ("call", "what", "hint"),
    [
        (lambda: strop.optimize(3), "model=3 is int; expected a text or a path", "give the path"),
        (strop.optimize, "missing a required argument: 'model'", "help(strop.optimize)"),
        (lambda: strop.optimize("m.onnx", threads="3"), "threads='3' is str; expected a whole number", "Budget of cores"),
        (lambda: strop.optimize("m.onnx", data=3), "data is int; expected a path or data", "a dict of arrays"),
        (lambda: strop.optimize("m.onnx", data={}), "data without any array", "a dict of arrays"),
        (lambda: strop.optimize("m.onnx", data={"x": [[1], [1, 2]]}), "data['x']", "a dict of arrays"),
        (lambda: strop.optimize("m.onnx", metrik="f1"), "unexpected keyword argument 'metrik'", "did you mean 'metric'?"),
        (lambda: strop.inspect("m.onnx", target=3), "target=3 is int", "give the path"),
        (lambda: strop.init("m.onnx", force="yes"), "force='yes' is str; expected True or False", "help(strop.init)"),
        (lambda: strop.bench(3), "a list of texts", ""),
    ],
)
def test_a_wrong_value_is_an_error_with_a_hint(tmp_path, monkeypatch, call, what, hint):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError) as refused:
        call()
    assert what in refused.value.message
    assert hint in refused.value.hint and refused.value.hint in getattr(refused.value, "__notes__", [""])
    assert isinstance(refused.value, strop.StropError) and isinstance(refused.value, TypeError)


def test_data_in_memory_become_a_file_named_by_its_content(tmp_path):
    x, y = np.arange(6, dtype=np.float32).reshape(3, 2), [0, 1, 0]

    def path(value, **flags):
        return stored({"data": value, "store": tmp_path, **flags})["data"]

    first, again = path({"x": x, "labels": y}), path({"x": x.copy(), "labels": y})
    assert first == again != path({"x": x + 1, "labels": y})
    with np.load(first) as arrays:
        assert arrays["x"].tolist() == x.tolist() and arrays["labels"].tolist() == y
    with np.load(path(x)) as arrays:
        assert arrays.files == ["data"]
    assert stored({"data": Path("eval.npz")}) == {"data": Path("eval.npz")}
    request = make_request("m.onnx", data={"x": x}, store=tmp_path, budget=timedelta(minutes=2), must="speedup>=2")
    assert Path(request.data).is_file() and request.budget_s == 120


def test_data_frames_of_numbers_and_of_texts(tmp_path):
    numbers = Frame(a=np.array([1, 2]), b=np.array([3.0, 4.0]), target=np.array([0, 1]))
    made = features({name: np.asarray(numbers[name]) for name in numbers.columns}, None)
    assert {name: array.tolist() for name, array in made.items()} == {"features": [[1, 3], [2, 4]], "labels": [0, 1]}
    named = features({"a": np.zeros(2), "wanted": np.ones(2)}, "wanted")
    assert set(named) == {"features", "wanted"}
    table = stored({"data": Frame(text=np.array(["é", "b"], object), label=np.array([1, 0])), "store": str(tmp_path)})["data"]
    assert Path(table).read_text(encoding="utf-8") == '{"text": "é", "label": 1}\n{"text": "b", "label": 0}\n'


def test_a_duration_is_taken():
    assert formed({"budget": timedelta(seconds=90)}) == {"budget": "90.000000"}


def test_an_outcome_is_short_and_has_its_places():
    found = outcome(result("int8", 2.0), chosen="int8")
    assert len(repr(found)) < 300 and repr(found).startswith("Outcome(provisional: int8, 2× speed, ")
    assert (found.report, found.bundle) == (None, None)
    delivered = found.model_copy(update={"delivered": "out"})
    assert (delivered.report, delivered.bundle) == (Path("out/report.html"), Path("out/bundle"))
    shown = delivered._repr_html_()
    assert shown.count("<tr>") == 1 + len(found.results) and "<b>" in shown
    assert Outcome.model_validate_json(found.model_dump_json()) == found
    assert '"bundle":"bundle"' in found.model_dump_json()


def test_pandas_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(strop.StropError, match="needs pandas") as refused:
        outcome().to_pandas()
    assert refused.value.hint == "pip install pandas"
