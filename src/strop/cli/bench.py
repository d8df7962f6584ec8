"""`strop bench`."""

from typing import Annotated, Any

import typer

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say, stderr, stdout, table
from strop.cli.progress import Progress
from strop.report.unlabeled import figure_name
from strop.report.verdict import by_clock, percent, ratio, rough
from strop.run.options import BENCH

HEAD = ["", "path", "speed-up over A", "p50 ms", "accuracy", "retained", "differs by", "memory ratio", "peak MB", "MB on disk"]


@o.takes(BENCH)
def command(
    *,
    contestants: Annotated[list[str], typer.Argument(help="Two or more models or bundles; the first is the baseline.")],
    config: o.Config = None,
    flags: dict[str, Any],
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Compare models and bundles fairly: same data, cores and clock, paired with the first.

    "differs by" is the largest difference of the answers from the first's, as a share of the output's range.
    """
    with Progress(stderr, quiet=quiet) as progress:
        found = strop.bench(contestants, config=config, observer=progress, **flags)
    if json:
        print_json(found.model_dump(mode="json"))
        return
    rows = []
    for r in found.rows:
        p50 = r.timing.latency_ms.get("p50") if r.timing else r.first_latency_ms
        rough_figure = r.timing.rough if r.timing else None
        rows.append([
            r.name, r.failure or r.path, by_clock(r.speedup, r.timing) if rough_figure is None else rough(rough_figure),
            "–" if p50 is None else f"{p50:.3g}",
            "–" if r.accuracy is None else f"{r.accuracy:.4f}", percent(r.retained),
            "–" if r.largest_difference is None else f"{r.largest_difference:.1e}", ratio(r.memory_ratio),
            "–" if r.memory is None else f"{r.memory.peak / 1e6:.1f}", f"{r.bytes / 1e6:.2f}",
        ])  # fmt: skip
    head = [figure_name(found.metric, "accuracy") if name == "accuracy" else name for name in HEAD]
    stdout.print(table(head, rows, right=(2, 3, 4, 5, 6, 7, 8, 9)))
    for note in found.notes:
        say(f"note: {note}")
