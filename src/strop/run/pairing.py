"""Paired timing: baseline and candidate in fresh processes, short blocks in turn, one runs while the other sleeps."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import product
from operator import methodcaller
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

from strop.core.disturbance import delayed
from strop.core.errors import WorkerCrash, WorkerError
from strop.core.measurement import Block, Pair, Quad, Side, VoidQuad
from strop.core.statistics import block_latency
from strop.core.tail import tail_percentile
from strop.core.task import TENSOR
from strop.run.family import family_named
from strop.run.host import HERE, Host
from strop.store import files
from strop.store.store import load, save
from strop.worker.call import Limits, Work
from strop.worker.process import Process

T = TypeVar("T")
BLOCK_S = 0.010
"""Short: a neighbour's disturbance lasts some 30 ms, so that a short quad is whole inside or outside of it."""
MIN_RUNS = 3
MOST_RUNS = 10_000
MOST_TRIES = 5
"""A block that was disturbed this many times makes its quad void."""
MOST_SPAN, SPAN_FLOOR_S = 20, 1.0
"""A quad that took this many times its planned time is void, unless that is less than a second."""
PAIR_PATIENCE = 4
"""A pair ends early after this many times its planned time: on a busy machine blocks are taken again and again."""
EVEN, FURTHER_CALLS, LONG_NS = 0.20, 3, 1_000_000_000
"""Blocks of both sides last equally long within this share; a few calls more are spent on it, within a second."""
ROTATE = 32
"""Inputs that a session rotates through."""


class Subject(NamedTuple):
    """Something that can be timed: a model file under a child side, with settings and the inputs it is fed.

    reference: output → file, the answers that accuracy was taken from; every timed answer is held against them.
    family: of its model. called: what a session of that family is opened with besides, as JSON.
    concurrency: requests in flight while throughput is measured.
    memory_bytes: its measured peak, to decide whether two fit side by side; 0 where unknown.
    host: where its processes run.
    """

    name: str
    work: Work
    artifact: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    examples: int
    batch: int
    threads: int
    spins: bool
    log: Path
    reference: dict[str, str] | None = None
    memory_bytes: int = 0
    family: str = TENSOR
    called: dict[str, Any] | None = None
    concurrency: int = 1
    host: Host = HERE


def open_request(subject: Subject) -> dict[str, Any]:
    family = family_named(subject.family)
    return {
        "artifact": subject.artifact, "settings": subject.settings, "inputs": subject.inputs, "batch": subject.batch,
        "rotate": ROTATE, "reference": subject.reference, "count": subject.examples,
        "family": str(family.session or family.name), **({"called": subject.called} if subject.called is not None else {}),
    }  # fmt: skip


class Seat:
    """One side of a pair: opens its process when its turn comes, and leaves it for good or between turns."""

    def __init__(self, subject: Subject, limits: Limits, cores: Sequence[int]) -> None:
        self.subject, self.limits, self.cores = subject, limits, cores
        self.child: Process | None = None
        self.median_ns = 0
        self.warmup_runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def start(self) -> None:
        """The process alone, which imports its runtime on any CPU; `load` pins it before it makes its session."""
        self.leave()
        self.child = self.subject.host.open(self.subject.work, self.subject.log, self.limits)

    def load(self) -> None:
        """Ask it to load the model; `loaded` waits for that, so that several can load at once."""
        child = self._started()
        child.started()
        child.pin(self.cores)
        child.post("open", **open_request(self.subject))

    def loaded(self) -> None:
        self._started().collect()

    def warm(self) -> None:
        """Warm to its plateau, then asleep."""
        warmed = self._started().ask("warm")
        self.median_ns, self.warmup_runs = max(1, warmed["median_ns"]), warmed["runs"]
        self.rest()

    def open(self) -> Process:
        """All of that, one after the other."""
        for action in TO_OPEN:
            action(self)
        return self._started()

    def _started(self) -> Process:
        assert self.child is not None
        return self.child

    def rest(self) -> None:
        if self.subject.spins and self.child is not None:
            self.child.pause()

    def leave(self) -> None:
        if self.child is not None:
            self.child.close()
            self.child = None

    def block(self, side: Side, runs: int) -> Block:
        child = self.child or self.open()
        if child.stopped:
            child.resume()
        raw = child.ask("block", runs=runs)
        self.rest()
        return Block(side=side, **raw)


TO_OPEN = tuple(map(methodcaller, ("start", "load", "loaded", "warm")))
"""What opening takes, in order: each is done by several seats before the next."""


def open_together(seats: Iterable[Seat]) -> None:
    """All of these: they load at once, and warm up one after another.

    Raises:
        WorkerError: what became of one; its `subject` names it.
    """
    for action, seat in product(TO_OPEN, list(seats)):
        _guarded(seat.subject, partial(action, seat))


def cores_for(host: Host, threads: int, index: int) -> list[int]:
    """The cores of a process: as many as it has threads, the same for both sides, another choice in the next pair.

    Where each side keeps to a core of its own, what is measured is the cores: their neighbours on the host differ.
    """
    allowed = host.cpus()
    return [allowed[(index + i) % len(allowed)] for i in range(min(threads, len(allowed)))]


def fit_together(a: Subject, b: Subject, limit: int | None) -> bool:
    """Whether both fit in the memory that is free, with some to spare."""
    available = a.host.free_memory() if limit is None else min(limit, a.host.free_memory())
    return bool((a.memory_bytes + b.memory_bytes) * 1.25 < available)


def run_pair(a: Subject, b: Subject, index: int, quads: int, seed: int, limits: Limits, cap: int | None = None) -> Pair:
    """One fresh pair of processes and its quads.

    Raises:
        WorkerError: what became of the side that failed; its `subject` names it.
    """
    rng = random.Random(f"{seed}-{index}-{b.name}")
    together = fit_together(a, b, cap)
    mode: Literal["side by side", "one at a time"] = "side by side" if together else "one at a time"
    cores_a, cores_b = (cores_for(of.host, of.threads, index) for of in (a, b))
    with Seat(a, limits, cores_a) as seat_a, Seat(b, limits, cores_b) as seat_b:
        seats: dict[Side, Seat] = {"A": seat_a, "B": seat_b}
        if together:
            open_together(seats.values())
        done, voids = _quads(rng, seats, together, quads)
        warmups = (seat_a.warmup_runs, seat_b.warmup_runs)
    return Pair(
        index=index, mode=mode, threads=(a.threads, b.threads), seed=seed, warmup_runs=warmups, quads=tuple(done),
        voids=tuple(voids),
    )  # fmt: skip


def _guarded(subject: Subject, action: Callable[[], T]) -> T:
    """Marks an error with the side it happened on."""
    try:
        return action()
    except WorkerError as error:
        error.subject = subject.name
        raise


def _quads(rng: random.Random, seats: dict[Side, Seat], together: bool, count: int) -> tuple[list[Quad], list[VoidQuad]]:
    """So many quads, those that stayed disturbed among them; fewer where the machine is so busy that they take too long.

    Sides that load in turns for every quad have no such limit: loading takes most of their time.
    """
    done: list[Quad] = []
    voids: list[VoidQuad] = []
    late = time.monotonic() + PAIR_PATIENCE * count * planned_seconds(seats) if together else float("inf")
    while len(done) + len(voids) < count and time.monotonic() < late:
        found = _quad(rng, seats, together)
        if isinstance(found, Quad):
            done.append(found)
        else:
            voids.append(found)
    return done, voids


def planned_seconds(seats: dict[Side, Seat]) -> float:
    """What a quad of these sides is planned to take."""
    a, b = (seats[side] for side in ("A", "B"))
    return quad_seconds((a.median_ns, b.median_ns), max(least_runs(seat.subject) for seat in (a, b)))


def _quad(rng: random.Random, seats: dict[Side, Seat], together: bool) -> Quad | VoidQuad:
    orders: tuple[tuple[Side, Side, Side, Side], ...] = (("A", "B", "B", "A"), ("B", "A", "A", "B"))
    blocks: list[Block] = []
    refused: list[Block] = []
    begin, tries = time.monotonic(), MOST_TRIES
    for side in rng.choice(orders):
        seat, other = seats[side], seats["B" if side == "A" else "A"]
        if not together and other.child is not None:
            other.leave()
        for _ in range(tries):
            block = _guarded(seat.subject, partial(_block, seats, side))
            if not delayed(block, seat.subject.threads):
                blocks.append(block)
                seat.median_ns = max(1, round(block_latency(block)))  # a warm-up may have been disturbed
                break
            refused.append(block)
        else:
            tries = 1  # the quad is void; a block of each that is still to come makes CPU time comparable
    if len(blocks) < len(orders[0]):
        return VoidQuad(why="delay", blocks=tuple(blocks), refused=tuple(refused))
    span = time.monotonic() - begin
    if together and span > max(SPAN_FLOOR_S, MOST_SPAN * planned_seconds(seats)):
        return VoidQuad(why="span", blocks=tuple(blocks), refused=tuple(refused))
    return Quad(blocks=(blocks[0], blocks[1], blocks[2], blocks[3]), refused=tuple(refused))


def _block(seats: dict[Side, Seat], side: Side) -> Block:
    """A block of one side, as long as one of the other."""
    seat, other = seats[side], seats["B" if side == "A" else "A"]
    if seat.child is None:
        seat.open()
    mine, _ = even_runs(
        (seat.median_ns, other.median_ns or seat.median_ns), (least_runs(seat.subject), least_runs(other.subject))
    )
    return seat.block(side, mine)


def even_runs(latency_ns: tuple[float, float], least: tuple[int, int]) -> tuple[int, int]:
    """Calls of a block of each side, so that both blocks last equally long and are disturbed equally often.

    At least `least` calls and `BLOCK_S` each; a few calls more where that brings both within 20 % of each other.
    """
    pace = [max(1.0, ns) for ns in latency_ns]
    slow = 0 if pace[0] * least[0] >= pace[1] * least[1] else 1
    fast = 1 - slow
    first = max(least[slow], round(BLOCK_S * 1e9 / pace[slow]))
    best, farthest = (first, first), float("inf")
    for calls in range(first, first + FURTHER_CALLS):
        if calls > first and calls * pace[slow] > LONG_NS:
            break
        others = max(least[fast], round(calls * pace[slow] / pace[fast]))
        apart = abs(others * pace[fast] / (calls * pace[slow]) - 1)
        if apart < farthest:
            best, farthest = (calls, others), apart
        if apart <= EVEN:
            break
    scale = min(1.0, MOST_RUNS / max(best))
    found = (max(least[slow], round(best[0] * scale)), max(least[fast], round(best[1] * scale)))
    return found if slow == 0 else (found[1], found[0])


def pair_from(folder: Path, a: Subject, b: Subject, index: int, quads: int, seed: int, limits: Limits, cap: int | None) -> Pair:
    """A pair, read where the same two sides were measured before in this run, else measured and kept.

    A run that is resumed may have tuned its baseline to other settings than before.
    A pair whose process was killed by somebody else is tried once more.
    """
    path, sides = folder / f"pair-{index}.json", (identity_of(a), identity_of(b))
    known = load(path, Pair)
    if known is not None and known.sides == sides:
        return known
    try:
        pair = run_pair(a, b, index, quads, seed, limits, cap)
    except WorkerCrash as error:
        if not error.killed:
            raise
        pair = run_pair(a, b, index, quads, seed, limits, cap)
    pair = pair.model_copy(update={"sides": sides})
    save(path, pair)
    return pair


def identity_of(subject: Subject) -> str:
    """What was timed: the same pair of files, settings and batch is not measured again in one run."""
    artifact = "/".join(Path(subject.artifact).parts[-2:])
    return files.digest_json([subject.name, artifact, subject.settings, subject.batch, subject.threads, subject.called])


def least_runs(subject: Subject | None) -> int:
    """Calls of a block at least."""
    return MIN_RUNS if subject is None else family_named(subject.family).pace.least_calls


def quad_seconds(latency_ns: tuple[float, float], least: int = MIN_RUNS) -> float:
    """Estimated time of an undisturbed quad: two blocks a side, each with the untimed call that it begins with.

    Before a block of a language model's requests (`least` is 1) that is a single token, which counts as nothing.
    """
    runs, lead = even_runs(latency_ns, (least, least)), int(least > 1)
    return sum(2 * (calls + lead) * ns / 1e9 for calls, ns in zip(runs, latency_ns, strict=True))


def plan_quads(latency_ns: tuple[float, float], pairs: int, seconds: float, least: int, most: int) -> int:
    """Quads of a pair: what fits `seconds`, and enough that `pairs` pairs hold calls for a p99 (662 of each side)."""
    runs = min(even_runs(latency_ns, (MIN_RUNS, MIN_RUNS)))
    quads = max(least, int(seconds / quad_seconds(latency_ns)))
    while quads < most and tail_percentile(2 * runs * quads * pairs) != 99:
        quads += 1
    return min(quads, most)
