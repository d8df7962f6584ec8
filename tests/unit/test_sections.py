"""Sections and blocks: a section is one file, and foreign texts are harmless in every renderer."""

import itertools
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from strop.report import blocks as b
from strop.report import sections
from strop.report.evidence import NO_EVIDENCE
from strop.report.render import html, json, markdown, terminal
from strop.report.sections import parts, sections_of

from .test_page import Parsed
from .test_report import outcome, result
from .test_report_escapes import cells, lines_outside_fences

TOY = """
from strop.report.blocks import READ, TERMINAL, Cell, Section, Sentence, Table
from strop.report.sections import Part

def make(outcome, evidence):
    said = Sentence(f"{len(outcome.results)} toys were counted.", where=(*READ, *TERMINAL))
    return Section("toys", "Toys", (said, Table("All toys", ("toy", "size"), ((Cell("bear"), Cell("9 cm")),))))

def facts(outcome, evidence):
    return {"toys": len(outcome.results)}

SECTION = Part(25, make, facts)
"""
BAD = "a|b\n# FOREIGN heading\n```\n<script>alert(1)</script> [link](http://x) \x1b[2J\u202e \\| c"
RAW = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
ACTS = re.compile(r"<script|(?<!\\)\]\(http|^# ")
"""A tag, a link whose bracket is not escaped, a heading."""
PLOT = b.Plot("curve", BAD, BAD, BAD)
EVERY: tuple[b.Block, ...] = (
    b.Sentence((BAD, *(b.Span(BAD, look) for look in ("strong", "em", "code", "small", "whole")))),
    b.Heading(BAD), b.Bullets((BAD,)), b.Notes((BAD,)), b.Code(BAD, "sh"), b.Facts(((BAD, BAD),)),
    b.Table(BAD, (BAD, BAD), ((b.Cell(BAD, BAD, look="chosen"), b.Cell(BAD, BAD)),), sortable=True),
    b.Cards((b.Card(BAD, BAD, BAD, BAD),)), b.Marks((b.Mark(BAD, "pass", BAD, BAD),)),
    b.Plots((PLOT,), (b.Control("id", BAD, ((BAD, BAD),)),), BAD), b.Flow((b.Question(BAD, True),), BAD, BAD),
    b.Cases((b.Case(((BAD, BAD),), "data:image/png;base64,", BAD),)), b.Quote(BAD), b.Writings((b.Writing(BAD, BAD, BAD, BAD),)),
    b.Fold(BAD, (b.Sentence(BAD),)),
)  # fmt: skip
"""One block of each type, of hostile texts."""


def printed(shown: list[terminal.Shown]) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        for part in shown:
            console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
    return capture.get()


def test_a_section_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toys.py").write_text(TOY)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    found = outcome(result("fast", 3.0), chosen="fast")
    try:
        page = Parsed(html.page(found, NO_EVIDENCE))
        ids = [attrs["id"] for attrs in page.all("section")]
        assert ids[:4] == ["verdict", "leaderboard", "toys", "pareto"] and "#toys" in [a["href"] for a in page.all("a")]
        assert "3 toys were counted." in page.text and "9 cm" in page.text
        assert "## Toys\n\n3 toys were counted.\n\nAll toys:\n\n| toy | size |" in markdown.markdown(found)
        assert "3 toys were counted." in terminal.terminal(found) and "bear" not in printed(terminal.terminal(found))
        assert json.report(found)["toys"] == 3
    finally:
        sys.modules.pop("strop.report.sections.toys", None)


def test_a_file_that_is_no_section_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.py").write_text("")
    monkeypatch.setattr(sections, "__path__", [str(tmp_path)])
    try:
        with pytest.raises(TypeError, match=r"sections\.empty has no SECTION"):
            parts()
    finally:
        sys.modules.pop("strop.report.sections.empty", None)


def test_no_two_sections_have_the_same_place() -> None:
    orders = [part.order for part in parts()]
    assert len(orders) == len(set(orders))


def test_every_renderer_knows_every_block() -> None:
    types = set(b.Block.__subclasses__())
    assert {type(block) for block in EVERY} == types == set(markdown.BLOCKS) == set(terminal.BLOCKS)
    assert all(hasattr(html.template("blocks.html").module, kind.__name__.lower()) for kind in types)


def test_every_medium_has_the_same_sections_but_for_what_says_where() -> None:
    found = outcome(result("fast", 3.0), chosen="fast")
    titles = [[section.title for section in sections_of(found, NO_EVIDENCE, medium)] for medium in ("page", "markdown")]
    assert titles[0] == titles[1]


@pytest.mark.parametrize("block", EVERY, ids=lambda block: type(block).__name__)
def test_foreign_texts_do_not_act(block: b.Block) -> None:
    got = Parsed(str(html.block(block)))
    assert got.open == [] and not got.all("script") and not RAW.search(got.text)
    assert isinstance(block, b.Plots) or "<script>alert(1)</script>" in got.text
    text = markdown.block(block)
    outside = lines_outside_fences(text)
    assert not RAW.search(text)
    assert not [line for line in outside if ACTS.search(line)]
    for above, line in itertools.pairwise(outside):
        assert not (above.startswith("|") and line.startswith("|")) or cells(above) == cells(line)
    shown = terminal.block(block)
    assert not RAW.search(printed(shown)) and not [part for part in shown if isinstance(part, str) and "\n" in part]
