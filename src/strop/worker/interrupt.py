"""Ctrl-C that cannot be lost: some compiled code clears the `KeyboardInterrupt` that Python raised inside of it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_asked = threading.Event()


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """While this lasts, an interrupt is raised at once as ever and, where that was swallowed, again by `check`."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield  # somebody else's handler: theirs to keep
        return

    def remember(number: int, frame: FrameType | None) -> None:
        _asked.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _asked.clear()


def check() -> None:
    """Raises what was swallowed; called wherever Strop waits.

    Raises:
        KeyboardInterrupt: the user asked for it.
    """
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt
