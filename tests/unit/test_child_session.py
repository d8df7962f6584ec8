"""Families of models in the child: each is one module that gives sessions with one protocol."""

import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from strop_child import session
from strop_child.serve import OWN, Child

SORTING = """
from strop_child import clock
from strop_child.session import model_files, start

class Sorting:
    verbs = frozenset({"evaluate", "longest"})

    def __init__(self, work, artifact, settings, **_):
        self.model_files = model_files(artifact)
        started = start(work, artifact, lambda: work.open(artifact, settings), lambda runtime: runtime([2, 1]))
        self.runtime, self.begin, self.moments, self.opened = started.runtime, started.begin, started.moments, started.opened

    def call(self, index):
        return self.runtime([index % 7, 3, 1])

    def warm(self):
        runs, median = clock.warm(self.call)
        return {"runs": runs, "median_ns": median}

    def block(self, runs):
        return clock.block(self.call, 0, runs)[0]

    def evaluate(self, out, expected=None):
        return {"examples": 7}

    def longest(self, most):
        return {"length": min(most, 3)}

def open_session(work, **request):
    return Sorting(work, **request)
"""
"""A toy: it sorts lists."""


@pytest.fixture
def child(tmp_path: Path) -> Child:
    (tmp_path / "sorting_family.py").write_text(SORTING)
    child = Child()
    child.work = SimpleNamespace(open=lambda path, settings: sorted)
    return child


def test_a_third_family_is_one_module(child: Child, tmp_path: Path) -> None:
    """It is opened, timed, watched and asked for a verb of its own; the child names it nowhere."""
    opened = child.answer(
        "open", {"family": str(tmp_path / "sorting_family.py"), "artifact": str(tmp_path / "m"), "settings": {}}
    )
    assert {"load_s", "first_inference_s", "profiles", "properties"} <= opened.keys()
    assert child.answer("warm", {})["runs"] > 0
    assert len(child.answer("block", {"runs": 3})["latencies_ns"]) == 3
    assert child.answer("evaluate", {"out": str(tmp_path)}) == {"examples": 7}
    assert child.answer("longest", {"most": 2}) == {"length": 2}
    child.answer("count", {})
    watched = child.answer("watch", {"length_s": 0.001, "most": 5})
    assert [m["doing"] for m in watched["memory"][:3]] == ["empty", "loaded", "first inference"]


def test_what_a_family_cannot_do_is_refused_by_name(child: Child, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no session is open"):
        child.answer("phases", {"requests": 1})
    child.answer("open", {"family": str(tmp_path / "sorting_family.py"), "artifact": str(tmp_path / "m"), "settings": {}})
    with pytest.raises(ValueError, match="no verb 'phases': a Sorting has evaluate, longest"):
        child.answer("phases", {"requests": 1})
    with pytest.raises(ValueError, match="no family 'sound'"):
        child.answer("open", {"family": "sound", "artifact": "", "settings": {}})


@pytest.mark.parametrize("family", session.FAMILIES)
def test_every_family_has_the_protocol(family: str) -> None:
    kind = inspect.signature(importlib.import_module(session.FAMILIES[family]).open_session).return_annotation
    methods = {name for name, value in vars(session.Session).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert methods == {"call", "warm", "block", "evaluate"}
    assert all(callable(getattr(kind, name)) for name in methods | kind.verbs)
    assert not kind.verbs & OWN
