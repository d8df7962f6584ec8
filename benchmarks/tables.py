"""Every candidate measured to the end, and what a run chooses beside that: `python -m benchmarks tables`, then `choices`.

    python -m benchmarks tables [--model M.onnx --data … --calibration … | --strop-model FOLDER --strop-config strop.toml …]

A table holds all candidates of a model at one thread, each timed as a confirmation times its finalists; one model at a time, the
generated ones if none is given. Tables of several models gather in one file; a killed one goes on. `choices` runs `strop
optimize` with its default budget on the same models, alone and beside a neighbor, and looks its choice up.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.models import GENERATED, generated_model
from benchmarks.neighbors import neighbors
from benchmarks.options import Given, Options
from benchmarks.results import SCRATCH, Figures
from benchmarks.strop_run import inputs, optimize
from strop.core.choose import score
from strop.core.events import nobody
from strop.core.verdict import RANKS
from strop.plan.ladder import PAIR_S, PAIRS, QUADS, Plan
from strop.plan.space import by_role, follow
from strop.run.baseline import tune
from strop.run.confirm import compared, measure_self, more_baseline_memory
from strop.run.context import Run
from strop.run.family import Family
from strop.run.finalists import contender_of
from strop.run.open_run import opened
from strop.run.optimize import judge_all, plan_recipes
from strop.run.pairing import plan_quads
from strop.run.preparing import prepare
from strop.run.request import make_request
from strop.run.timing import timing_of
from strop.run.trial import Trial

EXAMPLES = 200
NEAR = 0.03
"""Of the score of the best, as a ratio of speed: a choice within this counts as the best."""
KEEP = ["--threads", "1"]


def run(options: Options) -> int:
    known = results.read("tables", options.folder)
    tables = known["figures"]["tables"] if known is not None else {}
    for name, given in models(options).items():
        tables[name] = {"command": results.command_of("tables", list(options.arguments)), "machine": results.machine(),
                        **table(given, name)}  # fmt: skip
        options.write("tables", {"tables": tables})
        print(f"tables: {name}: {len(tables[name]['rows'])} candidates, best {best_of(tables[name])}", flush=True)
    return 0


def models(options: Options) -> dict[str, Given]:
    """The given model, or the generated ones."""
    given = options.given
    if given.config is not None and given.source is not None:
        return {given.source.parent.name if given.source.name in ("hf", "model") else given.source.name: given}
    if "--model" in options.arguments:
        return {given.name: given}
    found = {"demo": given}
    for name in GENERATED:
        folder = SCRATCH / "tables" / name
        model = generated_model(name, folder, EXAMPLES)
        found[name] = Given(model.path, folder / "eval.npz", folder / "calibration.npz", metric="agreement")
    return {"demo": given} if options.smoke else found


def table(given: Given, name: str) -> dict[str, Any]:
    """All candidates of one model, timed in a confirmation of them all."""
    model, *flags = inputs(given)
    keywords: dict[str, Any] = {f.removeprefix("--").replace("-", "_"): v for f, v in zip(flags[::2], flags[1::2], strict=True)}
    store = SCRATCH / "tables" / name / "store"
    request = make_request(model, keywords.pop("config", None), **keywords, threads=1, budget="none", store=str(store))
    with opened(request, nobody) as (run, read):
        task = run.family.read_task(run, read)
        found = plan_recipes(run, read, task).offers
        baseline, trials = tune(run, read, task, found)
        recipes = [follow(r, baseline.candidate.recipe) for r in by_role(found, "candidate")]
        ready = [t for t in prepare(run, read, task, recipes, baseline, trials) if t.ready]
        plan = Plan(len(ready), *size(run.family, baseline, ready), second_look=False)
        baseline = more_baseline_memory(run, baseline)
        timed = compared(run, read, baseline, ready, plan)
        noise = timing_of(measure_self(run, baseline, timed), "confirmation", "")
        judged = judge_all(
            run, task, [*(t.with_result(status="measured") for t in timed.trials if t.ready), baseline], baseline, noise
        )
        rows = [row(run, trial, baseline) for trial in judged]
    return {"baseline": baseline.name, "weights": dict(request.weights), "rows": [r for r in rows if r is not None]}


def size(family: Family, baseline: Trial, ready: list[Trial]) -> tuple[int, int]:
    """Pairs and quads, as for the fastest."""
    latency = baseline.warm_ns, min([t.warm_ns for t in ready], default=baseline.warm_ns)
    return family.pace.pairs, family.quads(latency, baseline.subject, plan_quads(latency, PAIRS, PAIR_S, *QUADS))


def row(run: Run, trial: Trial, baseline: Trial) -> dict[str, Any] | None:
    contender, verdict = contender_of(trial, 0), trial.result.verdict
    if contender is None or verdict is None:
        return None
    figure = trial.result.speedup
    return {
        "name": trial.name, "baseline": trial.name == baseline.name, "eligible": verdict.outcome in RANKS,
        "rank": RANKS.index(verdict.outcome) if verdict.outcome in RANKS else None,
        "speedup": [round(x, 4) for x in (figure.low, figure.value, figure.high)] if figure is not None else None,
        "score": round(score(contender, run.request.weights).value, 5),
    }  # fmt: skip


def best_of(found: dict[str, Any]) -> dict[str, Any]:
    """The best eligible row: of the best rank, by score."""
    able = [r for r in found["rows"] if r["eligible"]]
    return min(able, key=lambda r: (r["rank"], -r["score"]))


def choices(options: Options) -> int:
    known = results.read("tables", options.folder)
    tables = known["figures"]["tables"] if known is not None else {}
    before = results.read("choices", options.folder)
    rows = before["figures"]["choices"] if before is not None else {}
    for name, given in models(options).items():
        if name not in tables:
            print(f"choices: no table of {name}: python -m benchmarks tables", flush=True)
            continue
        for count in (0, 1):
            with tempfile.TemporaryDirectory(prefix="strop-choices-") as folder, neighbors(count):
                done = optimize(given, Path(folder), *KEEP)
            rows[f"{name}, {count}"] = {
                "model": name,
                "neighbors": count,
                "seconds": round(done.seconds, 1),
                **looked_up(tables[name], done.report),
            }
            options.write("choices", {"choices": rows})
            print(f"choices: {json.dumps(rows[f'{name}, {count}'])}", flush=True)
    return 0


def looked_up(found: dict[str, Any], report: dict[str, Any] | None) -> dict[str, Any]:
    """A run's choice in the table: what it gives away against the best, as a ratio of speed."""
    best, chosen = best_of(found), (report or {}).get("chosen") or {}
    name = str(chosen.get("name", "")).partition("+")[0]
    mine = next((r for r in found["rows"] if r["name"] == name), None)
    speed = found["weights"].get("speed", 0) or 1.0
    loss = None if mine is None or not mine["eligible"] else 1 - 2.718281828 ** (min(0.0, mine["score"] - best["score"]) / speed)
    return {
        "chosen": chosen.get("name"), "best": best["name"], "loss": None if loss is None else round(loss, 4),
        "not_reached": sum(c["status"] == "not reached" for c in (report or {}).get("candidates", [])),
        "candidates": len((report or {}).get("candidates", [])),
    }  # fmt: skip


def render(figures: Figures) -> list[str]:
    lines = ["All candidates at one thread, each in as many pairs of processes as a finalist. The best eligible ones:", "",
             "| model | candidates | best | speed-up | next |", "|---|---:|---|---:|---|"]  # fmt: skip
    for name, found in figures["tables"].items():
        able = sorted((r for r in found["rows"] if r["eligible"]), key=lambda r: (r["rank"], -r["score"]))
        figure = able[0]["speedup"]
        shown = "1" if figure is None else f"{figure[1]:.2f} [{figure[0]:.2f}, {figure[2]:.2f}]"
        lines.append(
            f"| {name} | {len(found['rows'])} | {able[0]['name']} | {shown} | {able[1]['name'] if len(able) > 1 else '–'} |"
        )
    return lines


def render_choices(figures: Figures) -> list[str]:
    rows = list(figures["choices"].values())
    near = sum(r["loss"] is not None and r["loss"] <= NEAR for r in rows)
    lines = [
        "`strop optimize` at one thread with its default budget; its choice in the full table. *Given away*: against the best",
        f"eligible candidate, as a ratio of speed. {near} of {len(rows)} are the best or within {NEAR:.0%} of it.", "",
        "| model | neighbors | seconds | chosen | best | given away | not reached |", "|---|---:|---:|---|---|---:|---:|",
    ]  # fmt: skip
    return lines + [
        f"| {r['model']} | {r['neighbors']} | {r['seconds']:.0f} | {r['chosen']} | {r['best']} "
        f"| {'–' if r['loss'] is None else format(r['loss'], '.1%')} | {r['not_reached']} of {r['candidates']} |"
        for r in rows
    ]
