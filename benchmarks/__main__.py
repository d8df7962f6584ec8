"""`python -m benchmarks [NAME …]`: all by default, then the page; `python -m benchmarks report` only the page."""

import argparse
import sys
from pathlib import Path

import strop
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
    report,
    selection,
    spoiled,
    tables,
    tails,
    versus_defaults,
)
from benchmarks.by_hand import run as by_hand
from benchmarks.llm import loops, shapes, sizes
from benchmarks.options import Given, Options
from benchmarks.peers import run as peers
from benchmarks.peers.metrics import METRICS

BENCHMARKS = {
    "coverage": coverage.run,
    "races": races.run,
    "tails": tails.run,
    "selection": selection.run,
    "aa": aa.run,
    "power": power.run,
    "raced": raced.run,
    "memory_order": memory_order.run,
    "imitation": imitation.run,
    "overhead": overhead.run,
    "budgets": budgets.run,
    "answer_time": answer_time.run,
    "tables": tables.run,
    "choices": tables.choices,
    "versus_defaults": versus_defaults.run,
    "peers": peers.run,
    "by_hand": by_hand.run,
    "spoiled": spoiled.run,
    "loops": loops.run,
    "sizes": sizes.run,
    "shapes": shapes.run,
    "report": report.run,
}
DEMO = Path(strop.__file__).parent / "demo"
DEMO_FILES = {"model": DEMO / "kws.onnx", "data": DEMO / "eval.npz", "calibration": DEMO / "calibration.npz"}


def parse(arguments: list[str]) -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)} [all]")
    parser.add_argument("--model", type=Path, help="an .onnx file instead of the demo's")
    parser.add_argument("--data", type=Path, help="its evaluation data")
    parser.add_argument("--calibration", type=Path, help="its calibration data")
    parser.add_argument("--map", action="append", default=[], metavar="INPUT=ARRAY", help="an array not named like its input")
    parser.add_argument("--labels", default="labels", help="the array that holds the labels [labels]")
    parser.add_argument("--metric", choices=list(METRICS), default="top1", help="peers, by_hand: how answers are scored [top1]")
    parser.add_argument("--strop-model", type=Path, help="peers, by_hand: what Strop is given in place of --model")
    parser.add_argument("--strop-config", type=Path, help="peers, by_hand: strop.toml of --strop-model, with the data of --data")
    parser.add_argument("--repeats", type=int, choices=range(2, 32), metavar="2…31", help="how often, if not as usual")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, results into build/benchmarks/smoke")
    given = parser.parse_intermixed_args(arguments)
    unknown = sorted(set(given.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    files = [getattr(given, name) for name in DEMO_FILES]
    if any(files) and not all(files):
        parser.error("--model, --data and --calibration belong together")
    if (given.metric == "spearman") != (given.strop_config is not None):
        parser.error("--metric spearman and --strop-config belong together: Strop takes pairs from a table, peers from arrays")
    chosen = {name: getattr(given, name) or path for name, path in DEMO_FILES.items()}
    flags = [a for a in arguments if a not in given.names]
    return given.names or list(BENCHMARKS), Options(
        given=Given(
            **chosen, mapping=tuple(given.map), labels=given.labels, metric=given.metric,
            source=given.strop_model, config=given.strop_config,
        ),
        smoke=given.smoke, arguments=tuple(flags), repeats=given.repeats,
    )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Exit code: that of the worst."""
    names, options = parse(arguments)
    worst = 0
    for name in names:
        print(f"== {name}", flush=True)
        worst = max(worst, BENCHMARKS[name](options))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
