"""A comparison under load: two fresh processes, one with all its requests in flight while the other sleeps, in blocks in turn."""

import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from strop.core.errors import BudgetError, WorkerCrash, WorkerError
from strop.core.measurement import Block, Pair, Quad, Side
from strop.run.context import Run
from strop.run.pairing import Seat, Subject, cores_for, fit_together, identity_of, open_together
from strop.store.store import load, save
from strop.worker.call import Limits

BLOCK_S, MOST_BLOCK_S = 0.05, 3.0
"""A block lasts this long at least, and as long as three requests of the slower side, but no longer than that."""
LEAST_REQUESTS = 3
FOLDERS = {"search": "load-search", "confirmation": "load"}


class Server(Seat):
    """One side under load. Both sides have the same cores, the whole budget, however many threads and streams they have."""

    def warm(self) -> None:
        """All requests in flight until their rate no longer rises, then asleep."""
        warmed = self._started().ask("load", concurrency=self.subject.concurrency)
        self.median_ns, self.warmup_runs = max(1, warmed["median_ns"]), warmed["runs"]
        self.rest()

    def serve(self, side: Side, length_s: float) -> Block:
        """A block of this length with all requests in flight."""
        child = self.child or self.open()
        if child.stopped:
            child.resume()
        raw = child.ask("loaded", length_s=length_s)
        self.rest()
        return Block(side=side, **raw)


def measure_throughput(
    run: Run, a: Subject, b: Subject, stage: Literal["search", "confirmation"], pairs: range, quads: int
) -> list[Pair]:  # fmt: skip
    """Pairs of fresh processes under load, those measured before in this run included; fewer where the budget ended.

    Args:
        a: the given model under the settings that serve the load best. b: what is compared with it; its `concurrency` counts.

    Raises:
        WorkerError: a side failed; `subject` names it.
    """
    place, done = run.folder.candidate(b.name) / FOLDERS[stage], list[Pair]()
    with contextlib.suppress(BudgetError):
        for index in pairs:
            fresh = not (place / f"pair-{index}.json").exists()
            done.append(_pair_from(run, place, a, b, index, quads))
            if fresh:
                run.emit("pair-measured", candidate=b.name, stage=f"load-{stage}", index=index)
    return done


def _pair_from(run: Run, place: Path, a: Subject, b: Subject, index: int, quads: int) -> Pair:
    """A pair, read where the same two sides were measured before under the same load, else measured and kept."""
    path = place / f"pair-{index}.json"
    sides = (f"{identity_of(a)} under {a.concurrency}", f"{identity_of(b)} under {b.concurrency}")
    known = load(path, Pair)
    if known is not None and known.sides == sides:
        return known
    cap, threads = run.request.memory_limit_mb, run.place.machine.threads
    asked = (a, b, index, quads, run.request.seed, run.limits(session=True), threads, cap * 1_000_000 if cap else None)
    try:
        pair = loaded_pair(*asked)
    except WorkerCrash as error:
        if not error.killed:
            raise
        pair = loaded_pair(*asked)
    pair = pair.model_copy(update={"sides": sides})
    save(path, pair)
    return pair


def loaded_pair(
    a: Subject, b: Subject, index: int, quads: int, seed: int, limits: Limits, threads: int, cap: int | None = None
) -> Pair:  # fmt: skip
    """One fresh pair of processes and its quads under load.

    Args:
        threads: the budget of cores, which both sides are pinned to.

    Raises:
        WorkerError: what became of the side that failed; its `subject` names it.
    """
    rng, cores = random.Random(f"load-{seed}-{index}-{b.name}"), cores_for(b.host, threads, index)
    together = fit_together(a, b, cap)
    with Server(a, limits, cores) as first, Server(b, limits, cores) as second:
        seats: dict[Side, Server] = {"A": first, "B": second}
        if together:
            open_together(seats.values())
        for seat in seats.values() if not together else ():
            with blamed(seat.subject):
                seat.open()
            seat.leave()
        length_s = block_seconds(max(first.median_ns, second.median_ns))
        done = tuple(_quad(rng, seats, together, length_s) for _ in range(quads))
        warmups = (first.warmup_runs, second.warmup_runs)
    mode: Literal["side by side", "one at a time"] = "side by side" if together else "one at a time"
    return Pair(index=index, mode=mode, threads=(threads, threads), seed=seed, warmup_runs=warmups, quads=done)


def _quad(rng: random.Random, seats: dict[Side, Server], together: bool, length_s: float) -> Quad:
    orders: Sequence[tuple[Side, Side, Side, Side]] = (("A", "B", "B", "A"), ("B", "A", "A", "B"))
    blocks = []
    for side in rng.choice(orders):
        if not together:
            seats["B" if side == "A" else "A"].leave()
        with blamed(seats[side].subject):
            blocks.append(seats[side].serve(side, length_s))
    return Quad(blocks=(blocks[0], blocks[1], blocks[2], blocks[3]))


def block_seconds(request_ns: float) -> float:
    """The length of a block, by what a request takes under load."""
    return min(max(BLOCK_S, LEAST_REQUESTS * request_ns / 1e9), MOST_BLOCK_S)


@contextlib.contextmanager
def blamed(subject: Subject) -> Iterator[None]:
    """Marks an error with the side it happened on."""
    try:
        yield
    except WorkerError as error:
        error.subject = subject.name
        raise
