"""What disturbed a block or a quad: told by counters, never by a latency. Pure.

At one thread the rule is the run-queue delay of the session's own threads: how long they were ready to run and waited for a
CPU. System-wide pressure says little about one process: a neighbor on another core raises it and disturbs nobody. At several
threads waking and waiting cost something by themselves, and pressure, steal and CPU time that falls short count as well.
"""

import math
from collections.abc import Mapping, Sequence

from strop.core.measurement import Block, Pair, Quad, Side

DELAY_LIMITS = ((3, 0.01), (8, 0.03), (math.inf, 0.05))
"""(calls, share): a block of fewer calls than this may have been delayed by this share of its wall time. The median absorbs
one delayed call of three, and none of one or two."""
SHARED_DELAY_LIMIT = 0.05
"""At several threads: of the wall time of a quad times its threads. Alone on two cores it was below 0.1 %, beside one neighbor
30 % (`python -m benchmarks aa`)."""
PRESSURE_LIMIT = 0.10
STEAL_LIMIT = 0.05
THROTTLED_LIMIT = 0.05
CPU_ALONE, CPU_SHARED = 0.90, 0.75
"""How far CPU time over wall time may fall short of the usual, at one thread and at several: the kernel books the time of
threads on other cores by ticks of some milliseconds, which a short block sees as noise."""
CPU_SLACK = 0.1
"""A shortfall of less than so many cores says nothing: a session that mostly waits, for an accelerator or a timer, has so little
CPU time that ticks alone move it by half."""


def delay_limit(calls: int) -> float:
    """The share of a block's wall time that its threads may have waited for a CPU."""
    return next(share for fewer, share in DELAY_LIMITS if calls < fewer)


def delayed(block: Block, threads: int) -> bool:
    """Whether a block of one thread was kept waiting for a CPU, so that it is taken again at once.

    Always False at several threads, and where the kernel does not count the delay.
    """
    if threads != 1 or block.delay_ns is None:
        return False
    return block.delay_ns > delay_limit(len(block.latencies_ns)) * block.wall_ns


def parallelism(quad: Quad, side: Side) -> float:
    """CPU time over wall time of one side's two blocks."""
    blocks = [b for b in quad.blocks if b.side == side]
    return sum(b.cpu_ns for b in blocks) / max(sum(b.wall_ns for b in blocks), 1)


def least_parallelism(pairs: Sequence[Pair], side: Side, threads: int) -> float:
    """What a side's CPU time over wall time must reach for a quad to count: see `least_usual`."""
    quads = [quad for pair in pairs for quad in pair.quads]
    blocks = [block for quad in quads for block in quad.blocks]
    return least_usual([parallelism(quad, side) for quad in quads], threads, any(b.delay_ns is not None for b in blocks))


def least_usual(shares: Sequence[float], threads: int, delay_known: bool) -> float:
    """What CPU time over wall time must reach: most of its own median, at most its threads.

    Where the run-queue delay is not counted, one thread is compared with 1: nothing else would tell of a busy machine.

    Args:
        shares: CPU time over wall time, of all that was measured.
    """
    if not shares:
        return 0.0
    usual = 1.0 if threads == 1 and not delay_known else min(float(threads), _median(shares))
    return min((CPU_ALONE if threads == 1 else CPU_SHARED) * usual, usual - CPU_SLACK)


def _median(values: Sequence[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def disturbed(quad: Quad, least: Mapping[Side, float], threads: Mapping[Side, int]) -> str | None:
    """Why a quad is left out, or None: steal, throttling, delay or pressure, lost CPU time; never its latency.

    Args:
        least: CPU time over wall time that each side must reach.
        threads: of each side's session.
    """
    found = disturbed_blocks(quad.blocks, [threads[block.side] for block in quad.blocks])
    if found is None and any(parallelism(quad, side) < share for side, share in least.items()):
        return "cpu"
    return found


def disturbed_blocks(blocks: Sequence[Block], threads: Sequence[int]) -> str | None:
    """Why blocks that belong together are left out, or None; CPU time over wall time aside, which is compared with the usual.

    Args:
        threads: of each block's session.
    """
    wall_ns = sum(block.wall_ns for block in blocks)
    if sum(b.steal_ms or 0.0 for b in blocks) * 1e6 > STEAL_LIMIT * wall_ns:
        return "steal"
    if sum(b.throttled_us or 0 for b in blocks) * 1e3 > THROTTLED_LIMIT * wall_ns:
        return "throttled"
    if any(delayed(block, count) for block, count in zip(blocks, threads, strict=True)):
        return "delay"
    if all(count == 1 for count in threads):
        return None
    if sum(b.pressure_us or 0 for b in blocks) * 1e3 > PRESSURE_LIMIT * wall_ns:
        return "pressure"
    room_ns = sum(block.wall_ns * count for block, count in zip(blocks, threads, strict=True))
    if sum(b.delay_ns or 0 for b in blocks) > SHARED_DELAY_LIMIT * room_ns:
        return "delay"
    return None
