"""Waiting for quiet: not for long, not in vain twice, and which CPUs a set is pinned to."""

import os

import psutil
import pytest

from strop.run import quiet
from strop.run.host import HERE
from strop.run.quiet import PATIENCE_S, SHARE, Quiet, quieter_cpus


def test_a_run_waits_twenty_seconds_in_all_and_a_small_share_of_its_time():
    waiting = Quiet()
    assert waiting.may_wait(float("inf")) == PATIENCE_S
    assert waiting.may_wait(100.0) == SHARE * 100
    waiting.waited_s = PATIENCE_S
    assert waiting.may_wait(float("inf")) == 0


def test_without_time_nobody_is_told_and_nothing_is_waited_for():
    told = []
    assert not Quiet().wait(1, 1.0, lambda *said: told.append(said))
    assert told == []


def test_where_waiting_did_not_help_it_is_not_tried_again(monkeypatch):
    monkeypatch.setattr(quiet, "PATIENCE_S", 1.0)
    told, waiting = [], Quiet()
    more = (os.cpu_count() or 1) + 1  # no machine has so many free
    assert not waiting.wait(more, float("inf"), lambda processes, seconds: told.append(seconds))
    assert told == [1.0]
    assert waiting.given_up
    assert not waiting.wait(1, float("inf"), lambda *said: told.append(said))
    assert len(told) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes cannot be pinned to a core here")
def test_cpus_are_taken_in_turn_where_none_is_busy(monkeypatch):
    cpus = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(psutil, "cpu_percent", lambda *_, **__: [0.0] * (max(cpus) + 1))
    assert {quieter_cpus(HERE, 1, turn)[0] for turn in range(len(cpus))} == set(cpus)
    if len(cpus) > 1:
        busy = [90.0 if cpu == cpus[0] else 5.0 for cpu in range(max(cpus) + 1)]
        monkeypatch.setattr(psutil, "cpu_percent", lambda *_, **__: busy)
        assert cpus[0] not in {quieter_cpus(HERE, 1, turn)[0] for turn in range(len(cpus))}
