"""`report.md`: the outcome for reviews and logs. Every text goes through `line`, `escaped` or a fence."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from strop.core.foreign import clean, fenced, in_markdown
from strop.core.outcome import Outcome
from strop.report import blocks as b
from strop.report.evidence import NO_EVIDENCE, Evidence
from strop.report.parts import DASH
from strop.report.sections import sections_of
from strop.report.verdict import model_name

DEPARTS = "▸"
ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;", "\n": " ⏎ ", "\t": " "}
    | {mark: f"\\{mark}" for mark in "`*_[]~$#:@!"}
)
"""Bars and backslashes by their numbers in HTML, since a table would read them before Markdown does."""


def markdown(outcome: Outcome, evidence: Evidence = NO_EVIDENCE) -> str:
    """The whole report."""
    title = f"# {in_markdown(model_name(outcome))}: {outcome.outcome}"
    return "\n\n".join([title, *(section(each) for each in sections_of(outcome, evidence, "markdown"))]) + "\n"


def section(of: b.Section) -> str:
    """Its title, or its headline as the first sentence, and its blocks."""
    first = f"**{in_markdown(of.headline)}**" if of.headline else f"## {in_markdown(of.title)}"
    return _joined([first, *map(block, of.blocks)])


def block(of: b.Block) -> str:
    """One block; empty where Markdown has nothing for it."""
    return BLOCKS[type(of)](of)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts."""
    return _table([in_markdown(name) for name in head], [[in_markdown(text) for text in row] for row in rows])


def line(words: b.Words) -> str:
    """A sentence on one line, with its marks."""
    return in_markdown(words) if isinstance(words, str) else "".join(map(_span, words))


def escaped(text: str) -> str:
    """A model's text on one line, of which neither Markdown nor HTML takes anything for its own."""
    return clean(text.replace("\r", ""), keep="\n\t").translate(ESCAPES).replace("www.", "www\\.")


def _span(part: str | b.Span) -> str:
    if isinstance(part, str):
        return in_markdown(part)
    text = in_markdown(part.text)
    if part.look == "code" and (text != part.text or "`" in text):
        return text  # a text that had to be escaped is no code: backslashes and entities would show
    return {"strong": f"**{text}**", "em": f"*{text}*", "code": f"`{text}`", "small": f" ({text})", "whole": text}[part.look]


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {each}" for each in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _cell(cell: b.Cell, first: bool) -> str:
    text = in_markdown(cell.text)
    text = f"**{text}**" if first and cell.look == "chosen" else text
    return f"{text} ({in_markdown(cell.below)})" if cell.below else text


def _of_table(of: b.Table) -> str:
    rows = [[_cell(cell, number == 0) for number, cell in enumerate(row)] for row in of.rows]
    return f"{in_markdown(of.caption)}:\n\n{_table([in_markdown(name) for name in of.head], rows)}"


def _flow(of: b.Flow) -> str:
    asked = [f"{in_markdown(q.ask)} {'yes' if q.yes else 'no'}" for q in of.questions]
    return f"{_list([*asked, f'→ {in_markdown(of.end)}'])}\n\n{in_markdown(of.caption)}"


def _cases(of: b.Cases) -> str:
    terms = [term for term, _ in of.items[0].facts]
    rows = [[line(dict(case.facts).get(term, DASH)) for term in terms] for case in of.items]
    return _table([in_markdown(term) for term in terms], rows)


def _card(of: b.Card) -> str:
    interval = f" ({in_markdown(of.interval)})" if of.interval else ""
    return f"**{in_markdown(of.title)}**: {in_markdown(of.figure)}{interval} {in_markdown(of.text)}"


def _writings(of: b.Writings) -> str:
    rows = [[in_markdown(one.names), in_markdown(one.how), _written(one)] for one in of.items]
    return _table(["candidate", "how far", f"text; {DEPARTS} where it departs"], rows)


def _written(one: b.Writing) -> str:
    return escaped(one.same) + (f"{DEPARTS}{escaped(one.departs)}" if one.departs else "")


def _fold(of: b.Fold) -> str:
    inner = _joined(map(block, of.blocks))
    return inner if of.look == "same" else f"**{in_markdown(of.title)}**\n\n{inner}"


BLOCKS: dict[type[b.Block], Callable[[Any], str]] = {
    b.Sentence: lambda of: line(of.words),
    b.Heading: lambda of: f"### {in_markdown(of.text)}",
    b.Bullets: lambda of: _list(map(line, of.items)),
    b.Notes: lambda of: _list(map(line, of.items)),
    b.Code: lambda of: fenced(of.text, of.language),
    b.Facts: lambda of: _list(f"{in_markdown(term)}: {line(words)}" for term, words in of.items),
    b.Table: _of_table,
    b.Cards: lambda of: _list(map(_card, of.items)),
    b.Marks: lambda of: _list(f"{in_markdown(m.sign)}: {in_markdown(m.words)} ({in_markdown(m.small)})" for m in of.items),
    b.Plots: lambda _: "",
    b.Flow: _flow,
    b.Cases: _cases,
    b.Quote: lambda of: f"> {escaped(of.text)}",
    b.Writings: _writings,
    b.Fold: _fold,
}
