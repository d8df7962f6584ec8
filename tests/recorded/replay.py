"""A recorded run once more, from what lies in its store; nothing is built, checked or timed again."""

import json
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import strop
from strop.core.events import nobody
from strop.core.noun import SCHEMA
from strop.core.outcome import Outcome
from strop.core.strict import to_json
from strop.core.verdict import GateResult, Verdict
from strop.plan.discover import backends
from strop.report.render.json import report
from strop.run.budget import Budget
from strop.run.builders import Builders
from strop.run.context import Run
from strop.run.evidence import gather
from strop.run.family import family_named
from strop.run.open_run import OUTCOME
from strop.run.optimize import pursue
from strop.run.place import place_for
from strop.run.request import Request
from strop.store.store import Store, load, read_json

from .archive import HERE, LEFT, unpack

DEMO = Path(strop.__file__).parent / "demo"
OF_THE_MACHINE = ("timing", "budget", "environment", "advice")
"""Parts of a report that say how long the command took, on which machine, and which frameworks are installed there."""
REWORDED = ("trade_offs", "watch")
"""Parts of a report that are sentences, which are written differently today."""
MEMORY_GOAL = "memory_ratio"
SAMPLES = ("candidates", "races")


class Replayed(NamedTuple):
    """The outcome then and now, the run, and the samples of it that were measured or built anew: none should be."""

    then: Outcome
    now: Outcome
    run: Run
    touched: list[str]


def places(store: Path) -> dict[str, Path]:
    """Marks in a recorded run, and what they stand for."""
    return {"STORE": store, "DEMO": DEMO, "DATA": HERE.parent / "data"}


def replay(name: str, folder: Path) -> Replayed:
    """The recorded run of that name, unpacked into a folder and pursued again.

    Its target, request and model are the recorded ones, so that this machine's CPU does not matter.
    """
    store = folder / "store"
    unpack(HERE / f"{name}.tar.xz", store, places(store))
    kept = Store(store)
    (recorded,) = kept.list_runs()
    then = load(recorded.folder / OUTCOME, Outcome)
    assert then is not None
    assert then.target is not None
    request = Request.model_validate(read_json(recorded.folder / "run.json")["request"])
    found = backends()
    place = place_for(then.target, then.target, found)
    budget, family, builders = Budget(request.budget_s), family_named(then.model.family), Builders(lasting=False)
    run = Run(request, kept, recorded, found, place, nobody, budget, family, builders, then.company)
    before = samples(recorded.folder)
    try:
        now = pursue(run, then.model)
    finally:
        run.builders.close()
    after = samples(recorded.folder)
    return Replayed(then, now, run, sorted(name for name in before | after if before.get(name) != after.get(name)))


def samples(folder: Path) -> dict[str, float]:
    """When each file of samples was written."""
    files = (path for part in SAMPLES for path in (folder / part).rglob("*") if path.is_file() and path.name not in LEFT)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def reports(found: Replayed) -> tuple[dict[str, Any], dict[str, Any]]:
    """report.json as it was written then, and as it is made now, without what the machine says and what delivering noted."""
    then = json.loads((found.run.folder.folder / "report.json").read_text(encoding="utf-8"))
    now = json.loads(to_json(report(found.now, gather(found.now, found.run.folder))))
    then["notes"] = then["notes"][: len(now["notes"])]
    as_of_schema_2(then)
    as_read_today(then, now)
    without_memory_goal(now)
    first, second = ({k: v for k, v in whole.items() if k not in (*OF_THE_MACHINE, *REWORDED)} for whole in (then, now))
    return first, second


def as_judged_then(verdict: Verdict) -> tuple[GateResult, ...]:
    """Without the default goal on memory, which does not apply today where the runtime takes most of it."""
    return tuple(r for r in verdict.results if r.gate.metric != MEMORY_GOAL)


def whole_process(memory: list[dict[str, Any]]) -> dict[str, float] | None:
    """The resident memory of the whole process, which reports did not have then: MB, over the repeats."""
    found = [(m["total_rss"] + max(0, m["peak"] - m["steady"])) / 1e6 for m in memory]
    return {"value": median(found), "low": min(found), "high": max(found)} if found else None


def without_memory_goal(document: dict[str, Any]) -> None:
    """The same of a report."""
    for one in (document["baseline"], *document["candidates"]):
        one["gates"] = [gate for gate in one["gates"] if gate["metric"] != MEMORY_GOAL]
    document["chosen"]["missed"] = [m for m in document["chosen"]["missed"] if not m["gate"].startswith(MEMORY_GOAL)]


def as_of_schema_2(recorded: dict[str, Any]) -> None:
    """What is wanted to differ from a report of schema 1: reasons of what is not offered no longer begin with these words, and
    data sets say what of them was cast, a task names its family and the options of its metric."""
    recorded["schema"] = SCHEMA
    without_memory_goal(recorded)
    for one in (recorded["baseline"], *recorded["candidates"]):
        one["measurement"]["memory_mb"] = whole_process(one["measurement"]["memory"])
        if one["name"] == recorded["chosen"]["name"]:
            recorded["chosen"]["memory_mb"] = one["measurement"]["memory_mb"]
    whole = {one["name"]: one["measurement"]["memory_mb"] for one in (recorded["baseline"], *recorded["candidates"])}
    for row in (recorded.get("language") or {}).get("candidates", []):  # of the whole process there, too
        row["memory_mb"] = whole[row["candidate"]]["value"]
    recorded["task"]["by_call"] = []
    recorded["task"]["family"] = "tensor" if recorded["task"]["language"] is None else "llm"
    recorded["task"]["metric_options"] = {}
    recorded["not_offered"] = [{**o, "reason": o["reason"].removeprefix("not offered: ")} for o in recorded["not_offered"]]
    for part in (p for p in ("evaluation", "calibration") if recorded["task"][p] is not None):
        recorded["task"][part] = {**recorded["task"][part], "casts": []}


def as_read_today(recorded: dict[str, Any], now: dict[str, Any]) -> None:
    """Also wanted to differ: the key of a data set, which names how it is read. What is read are the recorded values."""
    for part in ("evaluation", "calibration"):
        if recorded["task"][part] is not None:
            recorded["task"][part] |= {key: now["task"][part][key] for key in ("digest", "folder")}
