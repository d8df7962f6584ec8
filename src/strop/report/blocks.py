"""What a report is made of: sections of typed blocks, which each renderer draws in its own way. Values only.

A block says what is to be read, never how it is escaped or drawn. Text is plain text; the only markup inside a sentence is a
`Span`.
"""

from dataclasses import replace
from typing import Literal

from pydantic.dataclasses import dataclass

Medium = Literal["page", "markdown", "terminal"]
READ: tuple[Medium, ...] = ("page", "markdown")
PAGE: tuple[Medium, ...] = ("page",)
TERMINAL: tuple[Medium, ...] = ("terminal",)


@dataclass(frozen=True)
class Span:
    """A part of a sentence that stands out: `small` print, or a few words that stay `whole` on one line."""

    text: str
    look: Literal["strong", "em", "code", "small", "whole"]


Words = str | tuple[str | Span, ...]
"""A sentence, or its parts."""


def strong(text: str) -> Span:
    return Span(text, "strong")


def code(text: str) -> Span:
    return Span(text, "code")


@dataclass(frozen=True, kw_only=True)
class Block:
    """`where`: the media that show it. What is for people to read at length is on the page and in Markdown."""

    where: tuple[Medium, ...] = READ


@dataclass(frozen=True)
class Sentence(Block):
    """One paragraph. `script`: it speaks of what is there with JavaScript only."""

    words: Words
    look: Literal["", "lead", "run-in", "script"] = ""


@dataclass(frozen=True)
class Heading(Block):
    """Inside of a section."""

    text: str


@dataclass(frozen=True)
class Bullets(Block):
    """A list of sentences."""

    items: tuple[Words, ...]


@dataclass(frozen=True)
class Notes(Block):
    """What is to be noted of the run."""

    items: tuple[Words, ...]


@dataclass(frozen=True)
class Code(Block):
    """Lines to copy, or a log."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Facts(Block):
    """Terms, each with what there is to say."""

    items: tuple[tuple[str, Words], ...]


@dataclass(frozen=True)
class Cell:
    """`text`, a smaller line `below` it, what it sorts by (a number; None sorts last), and classes for its look."""

    text: str
    below: str = ""
    sort: float | None = None
    look: str = ""


@dataclass(frozen=True)
class Table(Block):
    """The first cell of a row is its heading; `numbers` are the columns that align right. Cells that are `whole` never wrap."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()
    sortable: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Card:
    """One figure in large print, with its interval and what it means."""

    title: str
    figure: str
    interval: str
    text: str


@dataclass(frozen=True)
class Cards(Block):
    """The figures that come first."""

    items: tuple[Card, ...]


@dataclass(frozen=True)
class Mark:
    """A judgment: its sign, its look (`pass`, `fail`, `inconclusive`, `unmeasured`), what was judged, and the figure."""

    sign: str
    look: str
    words: str
    small: str


@dataclass(frozen=True)
class Marks(Block):
    """Judgments, one a line."""

    items: tuple[Mark, ...]


@dataclass(frozen=True)
class Control:
    """A choice of axis: `options` by key."""

    id: str
    label: str
    options: tuple[tuple[str, str], ...]
    start: str = ""


@dataclass(frozen=True)
class Plot:
    """What `page.js` draws, and of which part of the page's data; `label` says in words what is seen."""

    draw: Literal["pareto", "quality", "curve", "memory"]
    label: str
    title: str = ""
    of: str = ""
    axis: str = ""
    size: Literal["", "middle", "small"] = ""


@dataclass(frozen=True)
class Plots(Block):
    """Plots side by side. The table that holds the same stands beside them, so they are on the page alone."""

    plots: tuple[Plot, ...]
    controls: tuple[Control, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Question:
    """A question of a tree, and how it was answered."""

    ask: str
    yes: bool


@dataclass(frozen=True)
class Flow(Block):
    """The path through a tree of questions, and where it ends."""

    questions: tuple[Question, ...]
    end: str
    caption: str


@dataclass(frozen=True)
class Case:
    """One example: facts about it, and a picture as a data URI, if there is one."""

    facts: tuple[tuple[str, Words], ...]
    picture: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Cases(Block):
    """Examples side by side. The first has all terms."""

    items: tuple[Case, ...]


@dataclass(frozen=True)
class Quote(Block):
    """A text of somebody else's."""

    text: str


@dataclass(frozen=True)
class Writing:
    """What one or more models wrote: the part that is as expected, and the rest from where it departs."""

    names: str
    how: str
    same: str
    departs: str


@dataclass(frozen=True)
class Writings(Block):
    """Texts side by side."""

    items: tuple[Writing, ...]


@dataclass(frozen=True)
class Fold(Block):
    """Blocks that the page shows when asked. An `explanation` tells how to read what stands above it; `same` is that again."""

    title: str
    blocks: tuple[Block, ...]
    look: Literal["explanation", "same"] = "explanation"
    open: bool = False


@dataclass(frozen=True)
class Section:
    """`id` is the anchor. A `headline` takes the place of the title; `status` is its word in a frame."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    headline: str = ""
    status: str = ""


def why(title: str, *words: Words) -> Fold:
    """An explanation, a paragraph each."""
    return Fold(title, tuple(Sentence(each) for each in words))


def shown(section: Section, medium: Medium) -> Section:
    """With the blocks of one medium only."""
    return replace(section, blocks=tuple(block for block in section.blocks if medium in block.where))
