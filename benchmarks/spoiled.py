"""A clean export and the same model made worse in six ways, each through `strop optimize`: `python -m benchmarks spoiled`.

The claimed gain of the pick over the tuned baseline should be the same for all, since a bad export is no merit of the pick's;
what clean-up alone brings is named beside it. A case that the results hold already, of this commit on this machine, is not done
again, so that a killed run goes on with the same command.
"""

import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks import results
from benchmarks.models import given_model
from benchmarks.options import Given, Options
from benchmarks.peers.pick import settings
from benchmarks.spoil import WAYS
from benchmarks.strop_run import optimize

CLEAN, SMOKE_WAYS, EXAMPLES, TOLERANCE = "clean", 1, 8, 1e-3
"""A spoiled model must give the clean one's answers, of so many examples, to that difference."""
Row = dict[str, Any]


def run(options: Options) -> int:
    given, known = options.given, results.read("spoiled", options.folder)
    models: dict[str, Any] = known["figures"]["models"] if known is not None else {}
    model = models.setdefault(given.name, {"rows": {}})
    model["command"] = results.command_of("spoiled", list(options.arguments))
    for name in [CLEAN, *list(WAYS)[: SMOKE_WAYS if options.smoke else None]]:
        if is_done(model["rows"].get(name), results.machine()):
            print(f"{name}: done already", flush=True)
            continue
        print(name, flush=True)
        model["rows"][name] = {"machine": results.machine(), **case(given, name, options.smoke)}
        options.write("spoiled", {"models": models})
    return 0


def is_done(row: Row | None, machine: dict[str, Any]) -> bool:
    """Whether it was measured by this very commit on this machine; a changed tree is no commit."""
    if row is None or machine["versions"]["commit"].endswith("+"):
        return False
    return all(row["machine"][key] == value for key, value in machine.items() if key != "load")


def case(given: Given, name: str, smoke: bool) -> Row:
    """One export through `strop optimize`; `error` where there is no verdict."""
    with tempfile.TemporaryDirectory(prefix="strop-spoiled-") as scratch:
        folder = Path(scratch)
        source = folder / f"{given.name}.onnx"
        if name == CLEAN:
            shutil.copyfile(given.model, source)
        else:
            try:
                onnx.save(WAYS[name](onnx.load(given.model)), source)
                check(given, source, folder)
            except ValueError as error:
                return {"error": str(error)}
        done = optimize(replace(given, model=source), folder / "run", *settings(smoke))
    return {"error": done.error} if done.report is None else figures(done.report)


def check(given: Given, spoiled: Path, folder: Path) -> None:
    """Nothing, where the spoiled model gives the answers of the clean one on the first examples.

    Raises:
        ValueError: it does not.
    """
    shards = given_model(given, folder / "inputs").inputs
    inputs = {name: np.load(path)[:EXAMPLES] for name, path in shards.items()}
    first, other = ([answered(path, {n: a[i : i + 1] for n, a in inputs.items()}) for i in range(EXAMPLES)]
                    for path in (given.model, spoiled))  # fmt: skip
    if not np.allclose(first, other, atol=TOLERANCE, rtol=TOLERANCE):
        raise ValueError("the spoiled model does not give the answers of the clean one")


def answered(path: Path, feed: dict[str, Any]) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feed)[0]


def figures(report: dict[str, Any]) -> Row:
    """What the verdict claims; `cleanup` is None where it names none, its speed-up None where that is only rough."""
    chosen, cleanup = report["chosen"], report["baseline"].get("cleanup")
    if chosen is None:
        return {"error": f"nothing chosen: {report['outcome']}"}
    return {
        "outcome": report["outcome"], "baseline": report["baseline"]["name"], "chosen": chosen["name"],
        "backend": chosen["backend"], "speedup": interval(chosen["speedup"]), "over_as_is": interval(chosen["against_as_is"]),
        "cleanup": None if cleanup is None else {
            "candidate": cleanup["candidate"], "in_baseline": cleanup["in_baseline"], "speedup": interval(cleanup["speedup"]),
        },
    }  # fmt: skip


def interval(figure: dict[str, float] | None) -> list[float] | None:
    return None if figure is None else [round(figure[key], 4) for key in ("low", "value", "high")]


def over(spoiled: list[float], clean: list[float]) -> list[float]:
    """[low, value, high] of a gain over another; the two were measured apart, so their errors add up in squares.

    >>> over([1.9, 2.0, 2.1], [1.9, 2.0, 2.1])[1]
    1.0
    """
    middle = math.log(spoiled[1] / clean[1])
    low, high = (math.hypot(*(math.log(gain[end] / gain[1]) for gain in pair))
                 for end, pair in ((0, (spoiled, clean)), (2, (spoiled, clean))))  # fmt: skip
    return [round(math.exp(v), 4) for v in (middle - low, middle, middle + high)]


def render(figures: dict[str, Any]) -> list[str]:
    lines = [
        "The same model exported well and made worse in six ways that change no answer, each optimized with the settings of",
        "the peers. *Claimed*: the pick over the tuned baseline, as the verdict says. *Over clean*: that gain over the clean",
        "export's; the claim is the same where its interval contains 1. *Clean-up*: what the verdict says that it brings alone.",
    ]  # fmt: skip
    for name, model in figures["models"].items():
        lines += ["", f"**{name}** (`{model['command']}`)", "",
                  "| export | pick | claimed | over clean | the same | over the model as it is | clean-up |",
                  "|---|---|---:|---:|---|---:|---:|"]  # fmt: skip
        clean = model["rows"].get(CLEAN, {}).get("speedup")
        lines += [rendered(case, row, clean) for case, row in model["rows"].items()]
    return lines


def rendered(name: str, row: Row, clean: list[float] | None) -> str:
    if "error" in row:
        return f"| {name} | {row['error'].replace('|', '/')} | | | | | |"
    ratio = over(row["speedup"], clean) if name != CLEAN and row["speedup"] is not None and clean is not None else None
    same = "–" if ratio is None else ("yes" if ratio[0] <= 1 <= ratio[2] else "**no**")
    cleanup = row["cleanup"] or {"speedup": None, "in_baseline": True}
    beside = "" if cleanup["in_baseline"] else " (not in the baseline)"
    parts = [name, f"{row['chosen']} ({row['backend']}), {row['outcome']}", shown(row["speedup"]), shown(ratio), same,
             shown(row["over_as_is"]), shown(cleanup["speedup"]) + beside]  # fmt: skip
    return f"| {' | '.join(parts)} |"


def shown(figure: list[float] | None) -> str:
    return "–" if figure is None else f"{figure[1]:.3f} [{figure[0]:.3f}, {figure[2]:.3f}]"
