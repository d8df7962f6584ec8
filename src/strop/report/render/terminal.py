"""What a command prints of an outcome: lines and tables. `harmless` keeps foreign texts from steering the terminal."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from strop.core.foreign import clean
from strop.core.outcome import Outcome
from strop.report import blocks as b
from strop.report.evidence import NO_EVIDENCE, Evidence
from strop.report.parts import DASH
from strop.report.sections import sections_of

VERDICT = "verdict"
STYLES = {"failed": "red", "confirmed": "green", "dropped": "dim", "duplicate": "dim"}
"""The last cell of a row → the style of the row; the chosen one's is below."""
CHOSEN, CHOSEN_STYLE = "→ ", "bold green"
Shown = str | Table
"""A line, or a table that fits itself to the terminal's width."""


def terminal(outcome: Outcome, evidence: Evidence = NO_EVIDENCE) -> list[Shown]:
    """What stands there from top to bottom. Sections have no titles here; the verdict stands last, where the eye is."""
    body, verdict = body_and_verdict(outcome, evidence)
    return [*body, *verdict]


def body_and_verdict(outcome: Outcome, evidence: Evidence = NO_EVIDENCE) -> tuple[list[Shown], list[Shown]]:
    """The verdict apart, for whoever has more to say before it."""
    found: dict[bool, list[Shown]] = {True: [], False: []}
    for section in sections_of(outcome, evidence, "terminal"):
        found[section.id == VERDICT] += [part for each in section.blocks for part in block(each)]
    return found[False], found[True]


def block(of: b.Block) -> list[Shown]:
    """One block; empty where a terminal has nothing for it."""
    return BLOCKS[type(of)](of)


def harmless(text: str) -> str:
    """On one line, without anything that moves the cursor or turns the direction of writing."""
    return clean(text.replace("\n", " "))


def line(words: b.Words) -> str:
    """A sentence without its marks."""
    parts = [words] if isinstance(words, str) else [p if isinstance(p, str) else _span(p) for p in words]
    return harmless("".join(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = (), whole: Sequence[int] = ()) -> Table:
    """A plain table; columns in `right` are aligned right, those in `whole` never wrap, other long cells do."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for number, name in enumerate(head):
        made.add_column(
            Text(harmless(name)), justify="right" if number in right else "left", overflow="fold", no_wrap=number in whole
        )
    for row in rows:
        made.add_row(*[Text(harmless(cell)) for cell in row], style=_style(row))
    return made


def _style(row: Sequence[str]) -> str:
    """Colors say how far a candidate came; they never stand alone, the words are there too."""
    if not row:
        return ""
    return CHOSEN_STYLE if row[0].startswith(CHOSEN) else STYLES.get(row[-1], "")


def _span(part: b.Span) -> str:
    return f" ({part.text})" if part.look == "small" else part.text


def _table(of: b.Table) -> list[Shown]:
    rows = [[f"{cell.text} ({cell.below})" if cell.below else cell.text for cell in row] for row in of.rows]
    return [table(of.head, rows, of.numbers, (0,) if of.whole else ())]


def _cases(of: b.Cases) -> list[Shown]:
    terms = [term for term, _ in of.items[0].facts]
    return [table(terms, [[line(dict(case.facts).get(term, DASH)) for term in terms] for case in of.items])]


def _list(items: Iterable[str]) -> list[Shown]:
    return [f"- {each}" for each in items]


BLOCKS: dict[type[b.Block], Callable[[Any], list[Shown]]] = {
    b.Sentence: lambda of: [line(of.words)],
    b.Heading: lambda of: [harmless(of.text)],
    b.Bullets: lambda of: _list(map(line, of.items)),
    b.Notes: lambda of: [f"note: {line(words)}" for words in of.items],
    b.Code: lambda of: [f"  {harmless(each)}" for each in of.text.splitlines()],
    b.Facts: lambda of: [f"{harmless(term)}: {line(words)}" for term, words in of.items],
    b.Table: _table,
    b.Cards: lambda of: [harmless(f"{c.title}: {c.figure}{f' ({c.interval})' if c.interval else ''} {c.text}") for c in of.items],
    b.Marks: lambda of: [harmless(f"{m.sign}: {m.words} ({m.small})") for m in of.items],
    b.Plots: lambda _: [],
    b.Flow: lambda of: [*_list(harmless(f"{q.ask} {'yes' if q.yes else 'no'}") for q in of.questions), harmless(f"→ {of.end}")],
    b.Cases: _cases,
    b.Quote: lambda of: [f"> {harmless(of.text)}"],
    b.Writings: lambda of: [harmless(f"{one.names} ({one.how}): {one.same}{one.departs}") for one in of.items],
    b.Fold: lambda of: [harmless(of.title), *(part for each in of.blocks for part in block(each))],
}
