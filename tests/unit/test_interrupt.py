"""An interrupt that some code swallows is raised again where Strop waits next."""

import os
import signal
import time

import pytest

from strop.worker import interrupt


def interrupted() -> None:
    """SIGINT to this very process, swallowed as compiled code swallows it."""
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_a_swallowed_interrupt_is_raised_once_more_and_once_only() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with interrupt.kept():
        interrupted()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
        interrupt.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_nothing_is_kept() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupted()
    interrupt.check()


def test_a_handler_of_somebody_else_stays() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt.kept():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
