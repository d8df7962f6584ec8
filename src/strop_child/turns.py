"""Several sessions on one model, which callers take in turn. Stdlib only; measured in the child, and shipped in the bundle."""

import threading
from collections import deque
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any


class Turns:
    """Whoever asked first is served first: a session that is given back goes to the one that has waited longest.

    A queue of the standard library does not promise that. A caller that gives a session back and asks again at once gets the same
    one, and those that wait never have their turn.
    """

    def __init__(self, sessions: Iterable[Any]) -> None:
        self.lock, self.free = threading.Lock(), list(sessions)
        self.waiting: deque[SimpleQueue[Any]] = deque()

    def run(self, feed: dict[str, Any]) -> Any:
        """As a session's."""
        session = self._take()
        try:
            return session.run(feed)
        finally:
            self._give(session)

    def _take(self) -> Any:
        with self.lock:
            if self.free:
                return self.free.pop()
            mine: SimpleQueue[Any] = SimpleQueue()
            self.waiting.append(mine)
        return mine.get()

    def _give(self, session: Any) -> None:
        with self.lock:
            if self.waiting:
                self.waiting.popleft().put(session)
            else:
                self.free.append(session)
