"""docs/benchmarks.md from the committed results: `python -m benchmarks report`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import (
    aa,
    answer_time,
    budgets,
    coverage,
    imitation,
    memory_order,
    overhead,
    power,
    raced,
    races,
    results,
    selection,
    spoiled,
    tables,
    tails,
    versus_defaults,
)
from benchmarks.by_hand import table as by_hand
from benchmarks.llm import loops, shapes, sizes
from benchmarks.options import Options
from benchmarks.peers import chart, table

PAGE = results.ROOT / "docs" / "benchmarks.md"


class Section(NamedTuple):
    title: str
    render: Callable[[results.Figures], list[str]]


SECTIONS = {
    "coverage": Section("Do the intervals cover what they claim?", coverage.render),
    "races": Section("Do races keep the best?", races.render),
    "tails": Section("Is a steady candidate taken for an unsteady one?", tails.render),
    "selection": Section("Is the right candidate chosen?", selection.render),
    "aa": Section("Does a model differ from itself?", aa.render),
    "power": Section("Is a 5 % difference found?", power.render),
    "raced": Section("Does a race find what is there, and nothing else?", raced.render),
    "memory_order": Section("Does memory depend on what was measured before?", memory_order.render),
    "imitation": Section("Where does INT8 stop paying?", imitation.render),
    "overhead": Section("What does Strop itself cost?", overhead.render),
    "budgets": Section("Is a budget kept?", budgets.render),
    "answer_time": Section("How long does an answer take?", answer_time.render),
    "tables": Section("Which candidates are best when all are measured to the end?", tables.render),
    "choices": Section("Does a run find them?", tables.render_choices),
    "versus_defaults": Section("Strop's pick and ONNX Runtime's defaults", versus_defaults.render),
    "peers": Section("Strop's pick and its peers", table.render),
    "by_hand": Section("Strop's pick and the best known by hand", by_hand.render),
    "spoiled": Section("Does a bad export raise the claimed gain?", spoiled.render),
    "loops": Section("What does a session cost beside a language framework's own loop?", loops.render),
    "sizes": Section("How do language models of realistic sizes fare?", sizes.render),
    "shapes": Section("How long is the way to the answer for them?", shapes.render),
}
HEAD = """# Benchmarks

Every figure here was written by the command next to it into `benchmarks/results/`; this page is rendered from those files
by `python -m benchmarks report`. `make bench` runs them all. Elsewhere the figures differ; the claims should not.
"""


def section(name: str, document: dict[str, Any] | None) -> str:
    """One benchmark's part of the page."""
    title, render = SECTIONS[name]
    if document is None:
        return f"## {title}\n\nNot run yet: `python -m benchmarks {name}`.\n"
    machine = document["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    where = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {versions}"
    source = f"`{document['command']}`: {document['date'][:10]}, {where}."
    if not document["complete"]:
        rows = len(document["figures"]["comparisons"])
        return f"## {title}\n\n{source}\n\nUnfinished: {rows} comparisons so far; the same command goes on.\n"
    return "\n".join([f"## {title}", "", source, "", *render(document["figures"]), ""])


def run(options: Options) -> int:
    parts = [section(name, results.read(name, options.folder)) for name in SECTIONS]
    page = options.folder / "benchmarks.md" if options.smoke else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    raced = results.read("peers", options.folder)
    if raced is not None:
        chart.draw(raced["figures"], page.with_name(table.CHART))
    print(f"written: {page}")
    return 0
