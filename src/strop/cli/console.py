"""Where things are printed: results on stdout, progress and errors on stderr."""

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from strop.core.foreign import STEERING, clean
from strop.core.strict import to_json
from strop.report.render.terminal import table as table

stderr = Console(stderr=True)
stdout = Console(soft_wrap=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120)


def say(text: str) -> None:
    """One line on stdout: no markup, no wrapping, no colors, and nothing in it that would steer the terminal."""
    stdout.print(clean(text), soft_wrap=True, highlight=False, markup=False)


def complain(text: str, style: str = "") -> None:
    """Lines on stderr, as harmless as those of `say`."""
    stderr.print(Text(clean(text, keep="\n\t"), style=style), soft_wrap=True, highlight=False)


def say_wrapped(text: str) -> None:
    """A long line, broken at words to the terminal's width; what follows is set further in."""
    inset = " " * (len(text) - len(text.lstrip()) + 4)
    for line in textwrap.wrap(text, stdout.width, subsequent_indent=inset, break_long_words=False, break_on_hyphens=False):
        say(line)


def print_json(value: Any) -> None:
    """One JSON document on stdout; what would steer a terminal is escaped, which JSON reads as the same."""
    text = to_json(value, indent=1)
    sys.stdout.write(STEERING.sub(lambda odd: odd.group() if odd.group() == "\n" else f"\\u{ord(odd.group()):04x}", text) + "\n")


def facts(rows: Sequence[Sequence[str]]) -> Table:
    """A table without a head: what in the first column, then what there is to say."""
    made = table([""] * len(rows[0]), rows, whole=(0,))
    made.show_header = False
    return made
