"""The events of a run: what an observer is told, and what a journal holds. A name that is not here is a type error.

Journals are kept: a name that was written once is read for ever.
"""

from typing import Any, Literal, NamedTuple, Protocol

Event = Literal[
    "target", "config-read", "run-opened", "run-new", "company", "planned", "estimated", "budget-settled", "reference-done",
    "baseline-tuned", "preparing", "build-started", "build-done", "candidate-built", "candidate-started", "candidate-checked",
    "candidate-done", "racing", "race-set", "race-void", "waiting", "pair-measured", "server-chosen", "loading", "loaded",
    "imitating", "confirmation-planned", "confirmation-cut", "finalist-called-up", "more-text", "confirming", "confirmed",
    "packing", "profiling", "delivered", "finished", "stopped", "beside", "kept", "bundle-replaced", "earlier-kept",
    "installed-since", "latest", "no-latest",
]  # fmt: skip


class Told(NamedTuple):
    """What an event says, and its details by name. `kept`: it goes into the journal too."""

    meaning: str
    details: tuple[str, ...] = ()
    kept: bool = False


EVENTS: dict[Event, Told] = {
    "target": Told("the next of several devices", ("name",)),
    "config-read": Told("the strop.toml that settings came from", ("path",)),
    "run-opened": Told("which run this is, and whether it goes on", ("run", "resumed"), True),
    "run-new": Told("the run most like this one, and what differs", ("since", "why"), True),
    "company": Told(
        "who else uses the machine, and how many threads are left for the run",
        ("cores", "processes", "threads", "fewer", "began"),
        True,
    ),
    "planned": Told("recipes that are offered and that are not", ("offered", "refused"), True),
    "estimated": Told("seconds that the rest takes, where there is no budget", ("seconds",)),
    "budget-settled": Told(
        "the budget, what was asked for, and what a full run would take", ("seconds", "asked", "estimate"), True
    ),
    "reference-done": Told("the given model runs, and beats chance", ("candidate",)),
    "baseline-tuned": Told("over whom speed-ups are", ("recipe",), True),
    "preparing": Told("a group is built and judged next", ("candidates",)),
    "build-started": Told("a build begins", ("candidate",), True),
    "build-done": Told("a build ended, and how it failed", ("candidate", "failure"), True),
    "candidate-built": Told("its files are there", ("candidate",)),
    "candidate-started": Told("it is looked at and judged", ("candidate",)),
    "candidate-checked": Told("it was judged", ("candidate",)),
    "candidate-done": Told(
        "nothing more comes of it before the confirmation",
        ("candidate", "status", "reason", "speedup", "rough", "accuracy", "metric", "clock"),
        True,
    ),
    "racing": Told("a set of a race begins", ("contestants",)),
    "race-set": Told("a set is over, and so many are left", ("stage", "number", "contestants", "left"), True),
    "race-void": Told("the baseline differed from itself: the sets are thrown away", ("stage", "sets"), True),
    "waiting": Told("for quiet, so long; who disturbs", ("processes", "seconds"), True),
    "pair-measured": Told("a pair of processes", ("candidate", "stage", "index"), True),
    "server-chosen": Told("the setting that serves several requests best", ("recipe", "concurrency"), True),
    "loading": Told("it is timed under load", ("candidate",)),
    "loaded": Told("its throughput", ("candidate", "concurrency", "rate", "ratio"), True),
    "imitating": Told("it is timed on this machine held to the target's instruction sets", ("candidate",)),
    "confirmation-planned": Told("its size", ("finalists", "pairs", "quads", "second_look", "with_self"), True),
    "confirmation-cut": Told("the budget ended before it was whole", ("pairs",), True),
    "finalist-called-up": Told("it takes the place of one that fell", ("candidate",), True),
    "more-text": Told("further windows, and the gates that are open", ("candidate", "windows", "open")),
    "confirming": Told("fresh samples of it", ("candidate",)),
    "confirmed": Told("what they say", ("candidate", "speedup", "rough", "clock"), True),
    "packing": Told("the bundle"),
    "profiling": Told("a candidate is watched, and profiled", ("candidate",)),
    "delivered": Told("where files were put", ("place",)),
    "finished": Told("the outcome", ("outcome", "chosen"), True),
    "stopped": Told("an error ended the attempt", ("why",), True),
    "beside": Told("results went beside what was there, and why", ("place", "why")),
    "kept": Told("a file that was changed since was kept under another name", ("name", "kept")),
    "bundle-replaced": Told("another run's bundle made way; where it still is", ("place", "other", "kept")),
    "earlier-kept": Told("the earlier result stays, and why", ("why",)),
    "installed-since": Told("backends that could not take part in this run", ("backends",)),
    "latest": Told("strop-out/latest links to the results", ("link", "place")),
    "no-latest": Told("it could not be made a link", ("link", "place")),
}


class Observer(Protocol):
    """Told of each event as the run goes on."""

    def __call__(self, event: Event, details: dict[str, Any], /) -> None: ...


def nobody(_event: Event, _details: dict[str, Any]) -> None:
    """The observer of a run that nobody watches."""
