"""Who else uses the cores: what a watch sees of a busy process, and the budget of cores that it leaves."""

import os
import subprocess
import sys

import pytest

from strop.report.verdict import company_lines
from strop.run.company import Watch, allowed_cpus, company_of

from .makers import target


def machine(threads: int, cores: int = 0):
    return target().model_copy(update={"threads": threads, "cores": cores or threads})


def test_a_busy_process_is_seen_and_ones_own_work_is_not():
    with Watch() as alone:
        sum(range(3_000_000))
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            with Watch() as beside:
                pass
        finally:
            busy.kill()
    assert beside.others > alone.others


def test_the_budget_falls_back_to_the_cores_that_are_free():
    found = company_of(Watch(3.1, 8), machine(8), None)
    assert (found.threads, found.fewer) == (5, True)
    assert company_of(Watch(9.0, 8), machine(8), None).threads == 1
    assert company_of(Watch(0.2, 8), machine(8), None) is None


def test_a_budget_that_fits_beside_the_others_is_kept():
    """With a quota of two cores on a machine of eight, three busy ones are no company."""
    assert company_of(Watch(3.0, 8), machine(2), None) is None
    assert company_of(Watch(3.0, 8), machine(1), 1) is None


@pytest.mark.parametrize("threads", [1, 8])
def test_what_the_user_asked_for_is_kept_and_the_company_told(threads):
    found = company_of(Watch(7.9, 8), machine(threads, 8), threads)
    assert (found.threads, found.fewer) == (threads, False)
    (line,) = company_lines(found)
    assert "7.9 cores" in line


def test_an_earlier_company_is_told_as_past():
    first, second = company_lines(company_of(Watch(1.0, 2), machine(2), None), began=True)
    assert first.startswith("The machine was busy when this run began")
    assert "1 thread," in second


def test_the_allowed_cpus_are_there():
    assert 1 <= len(allowed_cpus()) <= (os.cpu_count() or 1)
