"""What the page is made of: sections, tables, cells, and the templates that turn them into safe HTML."""

from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from strop.core.foreign import clean
from strop.core.verdict import Interval

DASH = "–"


class Cell(NamedTuple):
    """`text`, a smaller line `below` it, what it sorts by (a number; None sorts last), and classes for its look."""

    text: str
    below: str = ""
    sort: float | None = None
    look: str = ""


class Table(NamedTuple):
    """The first cell of a row is its heading; `numbers` are the columns that align right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()
    sortable: bool = False


class Section(NamedTuple):
    """`id` is the anchor. `body` is safe HTML, made by a template."""

    id: str
    title: str
    body: Markup


@cache
def environment() -> Environment:
    return Environment(
        loader=PackageLoader("strop.report", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_harmless,
    )  # fmt: skip


def _harmless(value: Any) -> Any:
    """What comes from outside neither steers the page's direction of writing nor fails to be written; escaping comes after."""
    return value if isinstance(value, Markup | int | float | None) else clean(str(value), keep="\n\t")


def template(name: str) -> Template:
    return environment().get_template(name)


def fill(part: str, **values: Any) -> Markup:
    """One macro of sections.html."""
    made: Markup = getattr(template("sections.html").module, part)(**values)
    return made


def interval_text(figure: Interval | None) -> str:
    if figure is None or figure.low == figure.high:
        return ""
    return f"{figure.low:.3g} to {figure.high:.3g}"


def ratio_cell(figure: Interval | None, unit: str = "") -> Cell:
    return Cell(DASH) if figure is None else Cell(f"{figure.value:.3g}{unit}", interval_text(figure), figure.value)


def percent_cell(figure: Interval | None) -> Cell:
    if figure is None:
        return Cell(DASH)
    spread = "" if figure.low == figure.high else f"{figure.low:.1%} to {figure.high:.1%}"
    return Cell(f"{figure.value:.1%}", spread, figure.value)


def number_cell(value: float | None, digits: str = ".3g") -> Cell:
    return Cell(DASH) if value is None else Cell(format(value, digits), "", value)
