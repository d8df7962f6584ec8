"""Requests in flight: callers keep one open model busy for a fixed length of time. Lives in the child, beside `clock.py`.

A closed loop: each caller waits for its answer and sends the next request at once, so that as many requests as there are callers
are in flight at any time. Requests in flight at an edge of a block count by the share of their time that lies inside it: to
count whole ones would be off by as many as there are callers.
"""

import gc
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from strop_child import clock
from strop_child.evaluation import compare
from strop_child.turns import Turns

MOST_LATENCIES = 1000
"""Of a block's record: every request's up to so many, then every second one's, every third one's, …"""
WARM_S, WARM_ROUNDS, STILL, PLATEAU = 0.1, 8, 2, 1.02
"""A round of the warm-up, how many at most, and how many on end must not be faster than this times the best before."""

Span = tuple[int, int]
"""Begin and end of a request, nanoseconds."""


class Served(Protocol):
    """What callers need of an open session."""

    @property
    def runtime(self) -> Any: ...

    @property
    def feeds(self) -> list[dict[str, Any]]: ...

    @property
    def reference(self) -> list[dict[str, Any]] | None: ...


class Callers:
    """So many threads, which live as long as the session: a new thread finds cold caches in many runtimes.

    Args:
        session: with its inputs and, where they are known, its right answers.
        concurrency: callers. another: opens one more session of the runtime.
        streams: how many of these to open where one cannot serve several callers.
    """

    def __init__(self, session: Served, concurrency: int, streams: int, another: Callable[[], Any]) -> None:
        self.session, self.cursors = session, list(range(concurrency))
        self.threads = ThreadPoolExecutor(concurrency, thread_name_prefix="caller")
        self.runtimes = Turns(runtimes(session.runtime, concurrency, streams, another))

    def warm(self) -> dict[str, int]:
        """Blocks until their rate no longer rises; (requests, median of the last block's latencies in ns)."""
        best, still, requests, record = 0.0, 0, 0.0, dict[str, Any]()
        for _ in range(WARM_ROUNDS):
            record = self.block(WARM_S)
            requests += record["completed"]
            rate = record["completed"] / record["wall_ns"]
            still, best = still + 1 if rate <= PLATEAU * best else 0, max(best, rate)
            if still >= STILL:
                break
        clock.settle()
        ordered = sorted(record["latencies_ns"])
        return {"runs": round(requests), "median_ns": ordered[len(ordered) // 2]}

    def block(self, length_s: float) -> dict[str, Any]:
        """One timed block, after an untimed lead-in in which every caller completes a request.

        Raises:
            Exception: what a session raised. InvalidOutput: an answer differs from the one that accuracy was taken from.
        """
        stop, ready = threading.Event(), threading.Semaphore(0)
        gc.collect()
        gc.disable()
        try:
            calling = [self.threads.submit(self._call, place, ready, stop) for place in range(len(self.cursors))]
            for _ in calling:
                ready.acquire()
            stop.wait(clock.LEAD_NS / 1e9)
            counted, begin = clock.Counted(), time.perf_counter_ns()
            stop.wait(length_s)
            end = time.perf_counter_ns()
            record: dict[str, Any] = counted.since()
        finally:
            stop.set()
            gc.enable()
        spans = [span for caller in calling for span in caller.result()]
        latencies = latencies_of(spans, begin, end)
        record.update(latencies_ns=latencies, wall_ns=end - begin, completed=round(completed(spans, begin, end), 6))
        return record

    def _call(self, place: int, ready: threading.Semaphore, stop: threading.Event) -> list[Span]:
        """One caller, until it is told to stop; no two callers are ever at the same input, where there are enough of them."""
        feeds, run, now, spans = self.session.feeds, self.runtimes.run, time.perf_counter_ns, list[Span]()
        index = self.cursors[place]
        try:
            while True:
                start = now()
                answer = run(feeds[index % len(feeds)])
                spans.append((start, now()))
                if len(spans) == 1:
                    ready.release()
                if stop.is_set():
                    break
                index += len(self.cursors)
        except BaseException:
            stop.set()
            ready.release()
            raise
        self.cursors[place] = index + len(self.cursors)
        if self.session.reference is not None:
            what = "an answer under load differs from the one accuracy was measured on"
            compare(answer, self.session.reference[index % len(feeds)], what)
        return spans


def runtimes(first: Any, concurrency: int, streams: int, another: Callable[[], Any]) -> list[Any]:
    """Sessions that may run at the same time: one for each caller where the runtime shares one model among them (`fork`), else as
    many as there are streams."""
    if hasattr(first, "fork"):
        return [first, *(first.fork() for _ in range(concurrency - 1))]
    return [first, *(another() for _ in range(min(concurrency, streams) - 1))]


def completed(spans: Sequence[Span], begin: int, end: int) -> float:
    """Requests that were served between two moments, those that lie across one of them by their share."""
    return sum(max(0, min(last, end) - max(first, begin)) / max(1, last - first) for first, last in spans)


def latencies_of(spans: Sequence[Span], begin: int, end: int) -> list[int]:
    """Nanoseconds of requests that ended between two moments; where all are longer than that, of those that were in flight."""
    ended = [last - first for first, last in spans if begin <= last <= end]
    found = ended or [last - first for first, last in spans if first < end and last > begin]
    return found[:: -(-len(found) // MOST_LATENCIES)]
