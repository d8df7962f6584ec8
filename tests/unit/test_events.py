"""Every event that the code sends is declared with its details, and whoever is told knows only declared ones."""

import ast
import inspect
import io
import json
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

import strop
from strop.cli.progress import NOTICES, Progress
from strop.core.events import EVENTS, Event, Told
from strop.store.store import RunFolder

SENDERS = ("emit", "tell", "event")
SOURCES = sorted(Path(strop.__file__).parent.rglob("*.py"))


def sent():
    """(event, keywords, whether others may come with them, whether it is kept) of each call that names an event."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDERS and node.args:
                first = node.args[0]
                for name in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
                    if isinstance(name, ast.Constant) and isinstance(name.value, str):
                        words = {k.arg for k in node.keywords if k.arg is not None}
                        yield name.value, words, any(k.arg is None for k in node.keywords), node.func.attr == "emit"


def test_every_event_has_its_row():
    assert EVENTS.keys() == set(get_args(Event))


def test_what_is_sent_is_what_is_declared():
    seen = list(sent())
    assert len(seen) > 40
    for name, words, more, kept in seen:
        told = EVENTS[name]
        assert words <= set(told.details) if more else words == set(told.details), name
        assert not kept or told.kept, f"{name} goes into the journal"


@pytest.mark.parametrize("name", [name for name in vars(Progress) if name.startswith("_on_")])
def test_whoever_is_told_takes_the_details(name):
    event = name.removeprefix("_on_").replace("_", "-")
    taken = [p for p in inspect.signature(getattr(Progress, name)).parameters.values() if p.name != "self"]
    names = {p.name for p in taken if p.kind is not p.VAR_KEYWORD}
    rest = any(p.kind is p.VAR_KEYWORD for p in taken)
    assert names <= set(EVENTS[event].details) if rest else names == set(EVENTS[event].details)


def test_notices_are_of_events():
    assert NOTICES.keys() <= EVENTS.keys()


def test_a_new_event_is_one_row(tmp_path, monkeypatch):
    """It goes into the journal and to the observer; a display that has nothing to say of it stays silent."""
    monkeypatch.setitem(EVENTS, "toy-seen", Told("a toy was seen", ("toy",), kept=True))
    run, shown = RunFolder(tmp_path / "run"), Console(file=io.StringIO())
    run.folder.mkdir()
    run.event("toy-seen", toy="bear")
    Progress(shown, None)("toy-seen", {"toy": "bear"})
    assert json.loads((run.folder / "events.jsonl").read_text())["toy"] == "bear"
    assert shown.file.getvalue() == ""
