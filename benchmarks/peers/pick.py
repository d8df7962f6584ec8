"""Strop's pick for a model, the same for every benchmark that races it."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import results
from benchmarks.options import Given
from benchmarks.strop_run import inputs, optimize

NO_GOALS = ("--goal", "speedup>=0.01", "--goal", "memory_ratio<=100")
BUDGET, SMOKE_BUDGET = "270s", "60s"


class Pick(NamedTuple):
    """bundle: None where nothing was chosen; note: what was, or why nothing."""

    bundle: Path | None
    backend: str
    note: str


def settings(smoke: bool) -> list[str]:
    """Speed alone, one thread, the default musts."""
    return ["--prefer", "speed=1", "--threads", "1", *NO_GOALS, "--budget", SMOKE_BUDGET if smoke else BUDGET]


def pick(given: Given, smoke: bool) -> Pick:
    """Of `strop optimize`, or of an earlier run of this very commit on the same model, data and settings."""
    folder = results.SCRATCH / "picks" / given.name
    question, known = asked(given, smoke), folder / "pick.json"
    if known.exists():
        document = json.loads(known.read_text(encoding="utf-8"))
        if document["question"] == question and not question["machine"]["commit"].endswith("+"):
            print("of an earlier run", flush=True)
            return Pick(Path(document["bundle"]), document["backend"], document["note"])
    shutil.rmtree(folder, ignore_errors=True)
    done = optimize(given, folder, *settings(smoke))
    if done.report is None or done.report["chosen"] is None:
        return Pick(None, "", f"nothing chosen: {done.error}")
    chosen = done.report["chosen"]
    found = Pick(
        folder / "strop-out" / "latest" / "bundle", chosen["backend"],
        f"{chosen['name']} ({chosen['backend']}), {done.report['outcome']}",
    )  # fmt: skip
    shutil.rmtree(folder / ".strop", ignore_errors=True)
    known.write_text(json.dumps({"question": question, **found._asdict(), "bundle": str(found.bundle)}), encoding="utf-8")
    return found


def asked(given: Given, smoke: bool) -> dict[str, Any]:
    """What the answer depends on."""
    machine, files = results.machine(), (given.data, given.calibration, *([given.config] if given.config is not None else []))
    return {
        "machine": {**machine["versions"], "cpu": machine["cpu"]}, "command": [*inputs(given), *settings(smoke)],
        "files": [results.digest(p) if p.is_file() else None for p in (given.model, *files)],
    }  # fmt: skip
