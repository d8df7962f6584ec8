"""One comparison as a confirmation makes it: same pairs, same planned quads, same statistics, no run around it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import psutil

from benchmarks.models import Model, given_model, residual_model
from benchmarks.options import Options
from benchmarks.results import SCRATCH, digest, machine
from benchmarks.results import read as read_results
from strop.backends.onnxruntime.spec import BACKEND as ORT
from strop.backends.openvino.spec import BACKEND as OPENVINO
from strop.core.errors import WorkerError
from strop.core.measurement import Pair
from strop.core.statistics import Ratios
from strop.plan.ladder import PAIR_S, PAIRS, QUADS
from strop.run.pairing import Subject, open_request, plan_quads, run_pair
from strop.run.timing import timing_of
from strop.worker.call import Child, Limits, Work
from strop.worker.interpreter import versions_of, why_missing, work_of

FIRST_CALLS = 20
"""Calls of one process that the plan's latency is taken from, as a run does."""
RUNTIMES = {ORT.name: ORT, OPENVINO.name: OPENVINO}
SETTINGS: dict[str, dict[str, Any]] = {
    ORT.name: {"graph": "all", "spinning": False},
    OPENVINO.name: {"precision": "f32", "hint": "LATENCY", "streams": 1},
}
"""How each runtime runs an unquantized model here, threads aside: all graph optimizations, truly in f32."""


def limits() -> Limits:
    return Limits(120.0, int(psutil.virtual_memory().available * 0.8))


def runtimes_here() -> dict[str, dict[str, str]]:
    """Runtime → its packages' versions, of those that are installed here; says which are not."""
    missing = {name: why_missing(backend) for name, backend in RUNTIMES.items()}
    for name, why in missing.items():
        if why:
            print(f"left out: {name} is {why}", flush=True)
    return {name: versions_of(b, b.runtime_packages) for name, b in RUNTIMES.items() if not missing[name]}


def subject(
    model: Model, threads: int, name: str = "original", work: Work | None = None, runtime: str = ORT.name, **more: Any
) -> Subject:
    """The model as a runtime's settings above run it, `threads` threads.

    Args:
        work: another child side than the runtime's own.
        more: further settings.

    Raises:
        WorkerMissing: the runtime has no environment here.
    """
    backend, settings = RUNTIMES[runtime], {**SETTINGS[runtime], "threads": threads, **more}
    return Subject(
        name=name, work=work or work_of(backend), artifact=str(model.path), settings=settings,
        inputs={input_name: str(path) for input_name, path in model.inputs.items()}, examples=model.examples,
        batch=model.batch, threads=threads, spins=backend.spins(settings), log=SCRATCH / "logs" / f"{model.name}.txt",
    )  # fmt: skip


def latency_ns(of: Subject) -> float:
    """Median of some calls in a process of its own."""
    with Child(of.work, of.log, limits()) as child:
        child.ask("open", **open_request(of))
        return float(np.median(child.ask("block", runs=FIRST_CALLS)["latencies_ns"]))


def planned(a: Subject, b: Subject, smoke: bool) -> tuple[int, int]:
    """Pairs and quads a pair that a run without a budget would plan."""
    if smoke:
        return 3, 4
    return PAIRS, plan_quads((latency_ns(a), latency_ns(b)), PAIRS, PAIR_S, *QUADS)


def compare(a: Subject, b: Subject, plan: tuple[int, int], seed: int) -> dict[str, Any]:
    """Figures of one comparison of `b` with `a`. A `speedup` of None: too much was disturbed, or `error` says what failed."""
    count, quads = plan
    try:
        pairs = [run_pair(a, b, index, quads, seed, limits()) for index in range(count)]
    except WorkerError as error:
        return {"pairs": count, "quads": quads, "speedup": None, "error": error.message}
    timing, ratios = timing_of(pairs, "confirmation", ""), Ratios(pairs)
    found = timing.speedup
    return {
        "pairs": count,
        "quads": quads,
        "speedup": None if found is None else [round(found.low, 5), round(found.value, 5), round(found.high, 5)],
        "half_width": None if found is None else round((found.high - found.low) / 2 / found.value, 5),
        "rough": None
        if timing.rough is None
        else [round(x, 5) for x in (timing.rough.low, timing.rough.value, timing.rough.high)],
        "refused": round(sum(timing.refused) / max(sum(timing.refused) + sum(ratios.taken.values()), 1), 4),
        "delay": delay_share(pairs),
        "excluded": timing.excluded,
        "excluded_why": timing.excluded_why,
        "p50_ms": timing.baseline_latency_ms.get("p50"),
        "pair_medians": [round(float(np.exp(np.median(logs))), 5) for logs in ratios.per_pair],
    }


def delay_share(pairs: Sequence[Pair]) -> float | None:
    """Median over all blocks of the share of their wall time that each thread waited for a CPU; None where not counted."""
    threads = {"A": pairs[0].threads[0], "B": pairs[0].threads[1]}
    blocks = [b for pair in pairs for quad in pair.attempts for b in (*quad.blocks, *quad.refused)]
    shares = [b.delay_ns / b.wall_ns / threads[b.side] for b in blocks if b.delay_ns is not None]
    return round(float(np.median(shares)), 5) if shares else None


Task = Callable[[], dict[str, Any]]


def one_by_one(
    name: str, options: Options, tasks: Sequence[tuple[dict[str, Any], Task]], models: Sequence[Model],
    about: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Every comparison, each written as soon as it is made; an unfinished earlier run on this machine is continued.

    Args:
        tasks: what identifies a comparison, and how to make it.
        about: what else an earlier run must share to be continued.
    """
    same = {"models": {model.name: digest(model.path) for model in models}, **(about or {})}
    done = unfinished(name, options, same)
    for number, (key, task) in enumerate(tasks):
        if any(key.items() <= row.items() for row in done):
            continue
        row = {**key, **task()}
        done.append(row)
        options.write(name, {**same, "comparisons": done}, complete=False)
        print(f"{name} {number + 1}/{len(tasks)}: {key} {row['speedup'] or row.get('error', 'too disturbed')}", flush=True)
    return done


def unfinished(name: str, options: Options, same: dict[str, Any]) -> list[dict[str, Any]]:
    """Comparisons of a run that was killed, with the same models, CPU and versions; none where it came to its end."""
    known = read_results(name, options.folder)
    if known is None or known["complete"]:
        return []
    before, now = known["machine"], machine()
    fits = all(before[key] == now[key] for key in ("cpu", "cores", "versions"))
    fits = fits and all(known["figures"].get(key) == value for key, value in same.items())
    return list(known["figures"]["comparisons"]) if fits else []


def two_models(options: Options) -> list[Model]:
    """The given model and the generated one."""
    return [given_model(options.given, SCRATCH / "inputs"), residual_model()]
