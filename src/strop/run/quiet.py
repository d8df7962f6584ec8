"""A machine that is busy for a while: wait for quiet, visibly and not for long, and pick the quieter CPUs."""

import time
from collections.abc import Callable, Sequence

from strop.run.company import busiest, spare_cpus
from strop.run.host import Host

PATIENCE_S, SHARE = 20.0, 0.05
"""A run waits no longer than this in all, and no more than this share of the time that it has left."""
STEP_S, SAMPLE_S = 1.0, 0.1
BUSY = 0.2
"""A CPU that others use less than this is as good as any."""


class Quiet:
    """What a run has waited so far. It gives up where waiting did not help."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.given_up = False

    def may_wait(self, left_s: float) -> float:
        """Seconds that may still be waited."""
        return 0.0 if self.given_up else max(0.0, min(PATIENCE_S - self.waited_s, SHARE * left_s))

    def wait(self, threads: int, left_s: float, told: Callable[[Sequence[str], float], None]) -> bool:
        """Until so many CPUs are free, and whether they are.

        Args:
            told: called with the processes that disturb, and the seconds that will be waited at most.
        """
        most, begin = self.may_wait(left_s), time.monotonic()
        if most < STEP_S:
            return False
        told(busiest(), round(most, 1))
        quiet = False
        while not quiet and time.monotonic() - begin < most:
            quiet = spare_cpus(STEP_S) >= threads
        self.waited_s += time.monotonic() - begin
        self.given_up = not quiet
        return quiet


def quieter_cpus(host: Host, count: int, turn: int) -> list[int]:
    """So many CPUs of those that this process may use, the least busy first; another choice each turn where none is busy. None
    where a platform cannot pin.

    Nothing of this run may be running.
    """
    cpus = host.cpus()
    rotated = [cpus[(turn + place) % len(cpus)] for place in range(len(cpus))]
    if len(cpus) <= count:
        return rotated
    used = host.cpu_use(SAMPLE_S)
    return sorted(rotated, key=lambda cpu: max(used.get(cpu, 0.0) - BUSY, 0.0))[:count]
