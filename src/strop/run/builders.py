"""The builders: for each backend that builds, one child that has imported its framework and is asked for one step after another.

Each step runs in a fork of that child, so that it finds everything as in a fresh one: see `strop_child/forked.py`.
"""

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from strop.run.host import HERE, Host
from strop.worker import interrupt
from strop.worker.call import WAKE_S, Limits, Work, waiting
from strop.worker.process import Process

LANES = 2
"""Builds side by side at most: most steps use one core, a few use all."""
ROOM, ROOM_FACTOR = 1_500_000_000, 6
"""Where two builds run side by side each has room for this many bytes, a framework, and for so many times the model."""
ASLEEP = 0.05
"""Sleeping builders may hold this share of the memory that is free while something else is measured."""
CLOSING_S = 5.0
"""How long a step that was ended may take to remove what it has written."""


class Builders:
    """Children by the names of their backends; one that died is started again with its next step.

    A builder is asked for one step after another. Several builders may be asked at once, each from a thread of its own.
    """

    def __init__(self, lasting: bool = True, host: Host = HERE) -> None:
        """
        Args:
            lasting: False for a fresh child for each step. host: where they run.
        """
        self.lasting, self.host = lasting, host
        self._children: dict[str, Process] = {}
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._waiting: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._closed = False

    def build(self, name: str, work: Work, log: Path, limits: Limits, seed: int, **arguments: Any) -> Any:
        """What `build` of that backend's work module answers to these arguments.

        Raises:
            WorkerError: what became of the step. BudgetError, OutputError: as for any child.
        """
        child = self._child(name, work, log, limits)
        try:
            return child.step(log, limits, seed, self.lasting, **arguments)
        finally:
            if child.spent:
                self._drop(name)

    def begin(self, action: Callable[[], None]) -> "Future[None]":
        """The action in a thread that lasts as long as the builders do: a child ends with the thread that started it."""
        if len(self._threads) < LANES:
            thread = threading.Thread(target=self._work, name=f"builder-{len(self._threads)}", daemon=True)
            thread.start()  # a daemon: it may wait for another command's lock, which must not keep this one from ending
            self._threads.append(thread)
        future = Future[None]()
        self._waiting.put((future, action))
        return future

    def _work(self) -> None:
        while (given := self._waiting.get()) is not None:
            future, action = given
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)

    def rest(self) -> None:
        """Before something else is measured. Builders that wait use no CPU; they are closed where the memory that they hold
        could be missed."""
        held = sum(child.resident_bytes() for child in self._children.values())
        if held > ASLEEP * self.host.free_memory():
            for name in list(self._children):
                self._drop(name)

    def close(self) -> None:
        """Ends every builder, the step that it is on, and the threads. No step can be asked for afterwards."""
        with self._guard:
            self._closed = True
            children = list(self._children.values())
            self._children.clear()
        for child in children:
            if child.spent:  # a step is under way: whoever waits for it is told
                child.kill()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(CLOSING_S)
        for child in children:
            child.close()

    def _child(self, name: str, work: Work, log: Path, limits: Limits) -> Process:
        with self._guard:
            if self._closed:
                raise RuntimeError("the builders were closed")
            if name not in self._children:
                self._children[name] = self.host.open(work, log, limits._replace(memory_bytes=None))
            return self._children[name]

    def _drop(self, name: str) -> None:
        with self._guard:
            child = self._children.pop(name, None)
        if child is not None:
            child.close()


def lanes(cores: int, model_bytes: int, available: int) -> int:
    """How many builds may run side by side: by the cores, and by the memory that is available."""
    room = available // (ROOM + ROOM_FACTOR * model_bytes)
    return max(1, min(LANES, cores, int(room)))


def first_done(futures: Collection["Future[None]"]) -> Collection["Future[None]"]:
    """Those that are done, once one of them is.

    Raises:
        KeyboardInterrupt: the user asked for it.
    """
    begin = time.monotonic()
    try:
        while True:
            interrupt.check()
            done = wait(futures, WAKE_S, FIRST_COMPLETED).done
            if done:
                return done
    finally:
        waiting.seconds += time.monotonic() - begin
