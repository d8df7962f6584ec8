"""Throughput in a run: the setting of the given model it is compared with, a look at candidates, and the finalists' figures.

With one request in flight all of it follows from the latency's pairs, and nothing more is measured.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from strop.core.candidate import Throughput
from strop.core.errors import BaselineError, BudgetError, WorkerError
from strop.core.finalists import AT_FIRST
from strop.core.model import Model
from strop.core.statistics import MIN_PAIRS, product
from strop.core.task import Task
from strop.core.throughput import Load, baseline_throughput, counts, throughput_of
from strop.core.verdict import EXACTLY_ONE, Interval, inverse
from strop.plan.ladder import those_in_time
from strop.plan.serving import base_of
from strop.run.building import failure_of, write_reproduce
from strop.run.context import Run
from strop.run.denominator import agrees
from strop.run.family import family_of
from strop.run.judging import is_fresh
from strop.run.loading import FOLDERS, block_seconds, measure_throughput
from strop.run.pairing import Subject
from strop.run.planning import costs, judging_s
from strop.run.preparing import with_answers_judged
from strop.run.trial import Trial
from strop.run.ways import ways

Stage = Literal["search", "confirmation"]


class Size(NamedTuple):
    """Pairs of processes, and quads of each."""

    pairs: int
    quads: int


LOOK, FULL = Size(2, 4), Size(5, 8)
"""Of the search and of the confirmation; there is no second look."""
LESS = (Size(5, 4), Size(3, 4), Size(3, 2))
"""Of a confirmation that has less time; where the last does not fit either there are fewer finalists, and at least one."""
WARM_S, BETWEEN_S = 0.6, 0.02
"""Of a warm-up under load and between two blocks, for planning."""
WAYS = 3
"""Of serving several requests, which the given model usually has besides the tuned one."""
LOOK_SHARE, FULL_SHARE, SHOWN_SHARE = 0.2, 0.3, 0.15
"""Of the time left when the baseline is tuned: so much at most is kept for the look, and for the confirmation where throughput
counts and where it is only shown."""


def matters(run: Run) -> bool:
    """Whether throughput has a gate or a weight."""
    return counts(run.gates, run.request.weights)


def seconds_of(run: Run, baseline: Trial, size: Size) -> float:
    """Estimate for one comparison under load."""
    in_flight = (baseline.subject.concurrency if baseline.subject is not None else 1) * baseline.warm_ns
    block = block_seconds(in_flight) + in_flight / 1e9 + BETWEEN_S
    return size.pairs * (costs(run, baseline, baseline).pair + 2 * WARM_S + 4 * size.quads * block)


def reserve(run: Run, task: Task, baseline: Trial, candidates: int) -> None:
    """Time for throughput is kept from what comes before; `auto` has so much more."""
    total = run.budget.total
    if task.workload.concurrency == 1 or total is None:
        return
    look = (WAYS + (candidates if matters(run) else 0)) * seconds_of(run, baseline, LOOK)
    recipe = baseline.candidate.recipe
    if recipe.steps or "shapes" in recipe.settings:  # the ways were tried with the given file, and are made again with this one
        look += WAYS * judging_s([baseline], recipe.runtime, "shapes" in recipe.settings)
    full = (AT_FIRST + 1) * seconds_of(run, baseline, FULL)
    if run.budget.asked == "auto":
        seconds, estimate = round(total + look + full), (run.budget.estimate or total) + look + full
        run.budget.settle(seconds, estimate)
        run.emit("budget-settled", seconds=seconds, asked=run.budget.asked, estimate=estimate)
    left = run.budget.left_until("search")
    run.budget.keep("ranking", min(look, LOOK_SHARE * left))
    run.budget.keep("throughput", min(full, (FULL_SHARE if matters(run) else SHOWN_SHARE) * left))


def with_server(run: Run, model: Model, task: Task, baseline: Trial, trials: Sequence[Trial]) -> tuple[Trial, list[Trial]]:
    """The baseline with the setting that serves the load best, with its own file and shapes, and what each setting serves.

    By value is enough, as for latency: a denominator that is too slow would flatter every candidate.
    """
    load, best, over_own, found = run.family.load(task), baseline, EXACTLY_ONE, {t.name: t for t in trials}
    own: Interval | None = None
    if load.concurrency == 1:
        return baseline, list(trials)
    with run.budget.paying("ranking"), run.spending("throughput"):
        others, unfit = ways(run, model, task, baseline, trials, seconds_of(run, baseline, LOOK))
        found |= {t.name: t for t in unfit}
        for trial in others:
            if run.budget.left() < seconds_of(run, baseline, LOOK):
                run.note("The budget left no time to try every setting of the baseline under load: throughput may be overstated.")
                break
            after = looked_at(run, model, task, subject_of(best), trial)
            found[trial.name], figure = after, after.result.throughput
            if best is baseline and own is None and after.loaded:
                own = baseline_throughput(after.loaded, load, "search", baseline.name).rate
            if figure is not None and figure.ratio is not None and figure.ratio.value > 1:
                best, over_own = after, product(over_own, figure.ratio)
        if best.unjudged:
            later = _judged_or_none(run, model, task, best, baseline)
            found |= {best.name: later} if later is not None else {}
            fit = later is not None and later.result.failure is None and agrees(later)
            best, over_own = (later, over_own) if later is not None and fit else (baseline, EXACTLY_ONE)
    run.emit("server-chosen", recipe=best.name, concurrency=load.concurrency)
    ratio, server = inverse(over_own), None if best.name == baseline.name else best.subject
    figure = Throughput(
        concurrency=load.concurrency, batch=load.batch, stage="search", over=best.name, rate=own, ratio=ratio
    )  # fmt: skip
    tuned = replace(baseline, server=server).with_result(throughput=figure)
    return tuned, [tuned if t.name == tuned.name else over_only(t, best.name) for t in found.values()]


def _judged_or_none(run: Run, model: Model, task: Task, trial: Trial, baseline: Trial) -> Trial | None:
    """With its answers judged; None where the budget ended first."""
    try:
        return with_answers_judged(run, model, task, trial, baseline)
    except BudgetError:
        return None


def over_only(trial: Trial, server: str) -> Trial:
    """Without a ratio over a setting that did not become the denominator, which has 1 itself."""
    figure = trial.result.throughput
    if figure is None or (figure.over == server and trial.name != server):
        return trial
    ratio = EXACTLY_ONE if trial.name == server else None
    return trial.with_result(throughput=figure.model_copy(update={"over": server, "ratio": ratio}))


def ranked(run: Run, model: Model, task: Task, baseline: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """A short look at the throughput of each candidate that may still be chosen, where it counts."""
    if not matters(run):
        return list(trials)
    load, found = run.family.load(task), {t.name: t for t in trials}
    field = [t for t in trials if t.alive and may_serve(t, baseline)]
    if load.concurrency == 1:
        return list((found | {t.name: followed(t, load, "search", baseline.name) for t in field}).values())
    with run.budget.paying("ranking"), run.spending("throughput"):
        for trial in sorted(field, key=promising):
            if trial.loaded and trial.result.throughput is not None and trial.result.throughput.ratio is not None:
                continue  # a setting of the baseline, compared with the denominator already
            if run.budget.left() < seconds_of(run, baseline, LOOK):
                run.note("The budget left no time for the throughput of every candidate: those made for it came first.")
                break
            run.tell("loading", candidate=trial.name)
            found[trial.name] = looked_at(run, model, task, server_of(baseline), trial)
    return list(found.values())


def promising(trial: Trial) -> tuple[bool, float]:
    """In which order candidates are looked at: those made for throughput first, and the quicker ones of these."""
    speedup = trial.result.speedup
    return base_of(trial.name) == trial.name, -speedup.value if speedup is not None else 0.0


def confirmed_under_load(run: Run, model: Model, task: Task, baseline: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """The finalists' throughput from fresh samples; round by round, so that a slow drift of the machine affects all equally."""
    load = run.family.load(task)
    if load.concurrency == 1:
        return [followed(t, load, "confirmation", baseline.name) if t.result.confirmation is not None else t for t in trials]
    found = {t.name: t for t in trials}
    field = {t.name: replace(t, loaded=()) for t in trials if t.alive and may_serve(t, baseline)}
    with run.budget.paying("throughput"), run.spending("throughput"):
        count, size = those_that_fit(len(field), run.budget.left(), lambda size: seconds_of(run, baseline, size))
        line, taken = list(field)[:count], dict.fromkeys(field, 0.0)
        for index in range(size.pairs):
            line = [name for name in line if field[name].alive]
            line = line[: those_in_time([taken[name] for name in line], MIN_PAIRS - index, run.budget.left())]
            for name in line:
                run.tell("loading", candidate=name)
                begin, one = time.monotonic(), range(index, index + 1)
                field[name] = sampled(run, model, server_of(baseline), field[name], "confirmation", one, size.quads)
                taken[name] = time.monotonic() - begin
    done = {name: concluded(run, task, t, server_of(baseline), "confirmation") for name, t in field.items()}
    for trial in done.values():
        tell(run, trial)
    return list((found | done).values())


def those_that_fit(finalists: int, left_s: float, seconds: Callable[[Size], float]) -> tuple[int, Size]:
    """How many finalists in line are confirmed, and with how many samples: rather fewer samples than fewer finalists."""
    for size in (FULL, *LESS):
        if finalists * seconds(size) <= left_s:
            return finalists, size
    return max(1, int(left_s / seconds(LESS[-1]))), LESS[-1]


def with_own_throughput(run: Run, model: Model, task: Task, baseline: Trial, trials: Sequence[Trial]) -> Trial:
    """The baseline with its own: by its side of the candidates' pairs, else over the setting that serves the load best."""
    load, server = run.family.load(task), server_of(baseline)
    fresh = [t for t in trials if t.name != baseline.name and is_fresh(t.result.throughput)]
    pairs = [pair for t in fresh for pair in (t.pairs if load.concurrency == 1 else t.loaded)]
    if pairs and baseline.server is None:
        return baseline.with_result(throughput=baseline_throughput(pairs, load, "confirmation", baseline.name))
    if load.concurrency == 1:
        return baseline
    with run.budget.paying("throughput"), run.spending("throughput"):
        _, size = those_that_fit(1, run.budget.left(), lambda size: seconds_of(run, baseline, size))
        found = sampled(run, model, server, replace(baseline, loaded=()), "confirmation", range(size.pairs), size.quads)
    found = concluded(run, task, found, server, "confirmation")
    return found if baseline.server is not None else over_only(found, baseline.name)


def with_server_itself(task: Task, baseline: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """With the throughput of the denominator, where that is not the tuned baseline, by its side of all fresh pairs."""
    others = [t for t in trials if t.name != baseline.name]
    pairs = [pair for t in [*others, baseline] if is_fresh(t.result.throughput) for pair in t.loaded]
    if baseline.server is None or not pairs:
        return list(trials)
    name = baseline.server.name
    figure = baseline_throughput(pairs, family_of(task).load(task), "confirmation", name)
    return [t.with_result(throughput=figure) if t.name == name else t for t in trials]


def may_serve(trial: Trial, baseline: Trial) -> bool:
    """What may be chosen and is no denominator; the runtime's defaults may take more cores than the budget has."""
    recipe = trial.candidate.recipe
    own = trial.name in (baseline.name, server_of(baseline).name)
    return not own and recipe.role != "as-is" and not recipe.unrepresentative and trial.subject is not None


def server_of(baseline: Trial) -> Subject:
    """The denominator of throughput."""
    return baseline.server or subject_of(baseline)


def subject_of(trial: Trial) -> Subject:
    """Of what was measured."""
    assert trial.subject is not None
    return trial.subject


def followed(trial: Trial, load: Load, stage: Stage, over: str) -> Trial:
    """With the throughput that its latency implies: by the pairs, or in a search that has none by the speed-up."""
    timing, speedup = trial.result.timing, trial.result.speedup
    if not trial.pairs:
        figure = Throughput(concurrency=1, batch=load.batch, unit=load.unit, stage="search", over=over, rate=None, ratio=speedup)
        return trial if speedup is None or stage == "confirmation" else trial.with_result(throughput=figure)
    figure = throughput_of(trial.pairs, load, stage, over, samples=timing.samples if timing is not None else "")
    return trial.with_result(throughput=figure)


def looked_at(run: Run, model: Model, task: Task, over: Subject, trial: Trial) -> Trial:
    """With the few samples of the search."""
    found = sampled(run, model, over, replace(trial, loaded=()), "search", range(LOOK.pairs), LOOK.quads)
    return concluded(run, task, found, over, "search")


def sampled(run: Run, model: Model, over: Subject, trial: Trial, stage: Stage, indices: range, quads: int) -> Trial:
    """With further pairs under load, as many as the budget allows; what fails under load fails.

    Raises:
        BaselineError: the denominator failed, which says nothing about the candidate.
    """
    try:
        pairs = measure_throughput(run, over, subject_of(trial), stage, indices, quads)
    except WorkerError as error:
        if error.subject == over.name:
            raise BaselineError(
                f"the given model under the settings of {over.name!r} failed with {over.concurrency} requests in flight: "
                f"{error.message}",
                "see its log in the run's folder, or give a lower --concurrency",
            ) from error
        return trial.failed(failure_of("timing", error), write_reproduce(run, trial.candidate.recipe, model))
    return replace(trial, loaded=(*trial.loaded, *pairs))


def concluded(run: Run, task: Task, trial: Trial, over: Subject, stage: Stage) -> Trial:
    """With the figures of its pairs under load; those of the search stay where the budget ended before there were enough."""
    if not trial.alive or len(trial.loaded) < (MIN_PAIRS if stage == "confirmation" else 1):
        return trial
    samples = str(run.folder.candidate(trial.name) / FOLDERS[stage])
    return trial.with_result(throughput=throughput_of(trial.loaded, run.family.load(task), stage, over.name, samples=samples))


def tell(run: Run, trial: Trial) -> None:
    """Whoever watches, of a confirmed figure."""
    figure = trial.result.throughput
    if figure is None or not is_fresh(figure):
        return
    rate, ratio = ([round(x, 4) for x in (f.low, f.value, f.high)] if f else None for f in (figure.rate, figure.ratio))
    run.emit("loaded", candidate=trial.name, concurrency=figure.concurrency, rate=rate, ratio=ratio)
