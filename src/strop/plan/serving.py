"""Several requests at once: how many are in flight, how many streams serve them, and the recipes made for that. Pure."""

from collections.abc import Collection, Mapping, Sequence

from strop.core.backend import Backend
from strop.core.errors import UsageError
from strop.core.recipe import Offer, Recipe
from strop.core.target import Target
from strop.core.task import Workload

MOST_IN_FLIGHT = 1024
STREAMS = "+streams"
"""At the end of the name of a recipe that is another one under settings made for throughput."""
SOONER, LATER = -1, 10
"""Its turn beside that one's, where throughput counts and where it is only shown."""


def under_load(
    workload: Workload, concurrency: int | None, streams: int | None, threads: int, counts: bool, language: bool = False
) -> Workload:  # fmt: skip
    """The workload with its requests in flight, and how many of them a recipe made for throughput serves at once.

    Args:
        concurrency, streams: as asked for. Without `concurrency`: as many requests as streams were asked for; where throughput
            counts, one for each thread; else one. Without `streams`: as many as there are requests and threads for.
        threads: the budget of cores. counts: whether throughput has a gate or a weight.

    Raises:
        UsageError: more streams than threads or requests, or several requests to a language model.
    """
    if language:
        given = {"concurrency": concurrency, "streams": streams}
        odd = next((f"--{name} {count}" for name, count in given.items() if count not in (None, 1)), None)
        if odd is not None:
            raise UsageError(
                f"{odd}: requests to a language model are timed one after another",
                "give --batch N to have N texts answered side by side; their tokens a second are the throughput",
            )
        return workload.model_copy(update={"by_throughput": counts})
    if streams is not None and streams > threads:
        raise UsageError(
            f"--streams {streams} is more than the budget of cores, {threads} thread(s)",
            f"a stream needs a thread: give at most --streams {threads}, or more --threads",
        )
    in_flight = concurrency or streams or (threads if counts else 1)
    if streams is not None and streams > in_flight:
        raise UsageError(
            f"--streams {streams} with --concurrency {in_flight}: {streams - in_flight} stream(s) would have nothing to do",
            f"give --concurrency {streams} or more, or fewer streams",
        )
    found = {"concurrency": in_flight, "streams": streams or min(threads, in_flight), "by_throughput": counts}
    return workload.model_copy(update=found)


def base_of(name: str) -> str:
    """The recipe that one made for throughput was made from; any other's own name."""
    return name.removesuffix(STREAMS)


def served(found: Sequence[Offer], backends: Mapping[str, Backend], target: Target, workload: Workload) -> list[Offer]:
    """For several requests in flight: each recipe on the CPU once more, under its runtime's settings for several streams.

    The reference's is a variant that the baseline may have, so that no candidate is compared with a baseline that nobody set up
    for the load. There are none for a target that is elsewhere, where throughput is unmeasured, and no recipe is offered twice:
    under the settings for one thread ONNX Runtime serves several requests already.
    """
    if workload.concurrency == 1 or workload.streams == 1 or not target.here:
        return []
    known = [made_of(o.recipe) for o in found if o.recipe is not None]
    twins = [t for o in found if o.recipe is not None and (t := _twin(o.recipe, backends, target, workload, known)) is not None]
    why = f"{workload.streams} streams share the threads, for {workload.concurrency} requests in flight"
    return [Offer(name=t.name, reason=f"{base_of(t.name)} with {why}", recipe=t) for t in twins]


def _twin(
    recipe: Recipe, backends: Mapping[str, Backend], target: Target, workload: Workload, known: Collection[object]
) -> Recipe | None:
    if recipe.role not in ("reference", "candidate") or recipe.device != "cpu" or recipe.unrepresentative:
        return None
    if recipe.runtime not in backends:
        return None
    settings = backends[recipe.runtime].serve(recipe.settings, target, workload.streams)
    if settings is None:
        return None
    role = "candidate" if recipe.role == "candidate" else "baseline-variant"
    turn = recipe.turn + (SOONER if workload.by_throughput else LATER)
    twin = recipe.model_copy(update={"name": f"{recipe.name}{STREAMS}", "settings": settings, "role": role, "turn": turn})
    return None if made_of(twin) in known else twin


def made_of(recipe: Recipe) -> object:
    """What two recipes share whose measurements would be identical."""
    return recipe.runtime, recipe.steps, recipe.settings
