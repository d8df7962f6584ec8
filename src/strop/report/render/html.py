"""`report.html`: one page that needs nothing else. Pure: an outcome and its evidence in, text out.

A block of type `Xyz` is drawn by the macro `xyz` of blocks.html. Jinja escapes every value there, and nowhere else.
"""

import base64
import hashlib
import textwrap
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from strop.core.foreign import clean, cleaned
from strop.core.outcome import Outcome
from strop.core.strict import finite
from strop.report.blocks import Block, Flow
from strop.report.charts import chart_data
from strop.report.evidence import Evidence
from strop.report.sections import sections_of
from strop.report.verdict import model_name

SCRIPTS = ("vendor/chart.umd.min.js", "vendor/chartjs-chart-error-bars.umd.min.js", "page/page.js")
STYLE = "page/page.css"
BOX, GAP, WRAP = 56, 34, 34
"""Height of a box of a tree, space to the next, and letters in a line of it."""


def page(outcome: Outcome, evidence: Evidence) -> str:
    """The whole page. Everything that comes from outside is escaped; a content security policy forbids all requests.

    Example:
        >>> Path("report.html").write_text(page(outcome, evidence), encoding="utf-8")
    """
    scripts = [asset(name) for name in SCRIPTS]
    style = asset(STYLE)
    return template("page.html").render(
        model=model_name(outcome), outcome=outcome, scripts=[Markup(text) for text in scripts], style=Markup(style),
        script_hashes=[policy_hash(text) for text in scripts], style_hash=policy_hash(style),
        data=cleaned(finite(chart_data(outcome, evidence))), sections=sections_of(outcome, evidence, "page"),
    )  # fmt: skip


def block(of: Block, level: int = 3) -> Markup:
    """One block; its headings are of this level."""
    made: Markup = getattr(template("blocks.html").module, type(of).__name__.lower())(of, level)
    return made


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("strop.report", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_harmless,
    )  # fmt: skip
    made.globals.update(block=block, tree_of=tree_of)
    return made


def _harmless(value: Any) -> Any:
    """What comes from outside neither steers the page's direction of writing nor fails to be written; escaping comes after."""
    return value if isinstance(value, Markup | int | float | None) else clean(str(value), keep="\n\t")


def template(name: str) -> Template:
    return environment().get_template(name)


@cache
def asset(name: str) -> str:
    return files("strop.report").joinpath(name).read_text(encoding="utf-8")


def policy_hash(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class Box(NamedTuple):
    """A question of the tree in the picture: where it is, its lines of text, and how it was answered."""

    y: int
    lines: tuple[str, ...]
    yes: bool


class Tree(NamedTuple):
    """The path through the tree as boxes from top to bottom, and where it ends."""

    boxes: tuple[Box, ...]
    end: tuple[str, ...]
    end_y: int
    height: int
    label: str


def tree_of(flow: Flow) -> Tree:
    """The picture's parts; its label says the same in words."""
    boxes = tuple(Box(place * (BOX + GAP), tuple(textwrap.wrap(q.ask, WRAP)), q.yes) for place, q in enumerate(flow.questions))
    said = "; ".join(f"{q.ask} {'yes' if q.yes else 'no'}" for q in flow.questions)
    end_y = len(boxes) * (BOX + GAP)
    return Tree(boxes, tuple(textwrap.wrap(flow.end, WRAP)), end_y, end_y + BOX, f"{said}: {flow.end}")
