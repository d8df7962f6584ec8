"""The profiler's child side: events are counted where the kernel counts them, and a reason is given where it does not."""

import mmap

from strop_child import profiler


def test_page_faults_are_counted_or_a_reason_is_given():
    counters = profiler.Counters()
    before = counters.read()
    with mmap.mmap(-1, 400 * mmap.PAGESIZE) as fresh:
        for page in range(400):
            fresh[page * mmap.PAGESIZE] = 1
    after = counters.read()
    if "page_faults" in counters.handles:
        assert after["page_faults"] - before["page_faults"] >= 400
    else:
        assert counters.why_not
    assert set(after) == set(before) == set(counters.handles)


def test_hardware_events_that_are_missing_have_a_reason():
    counters = profiler.Counters()
    assert counters.why_not or set(counters.handles) == set(profiler.EVENTS)


def test_every_call_has_its_duration():
    seen = []
    assert all(ns >= 0 for ns in profiler.calls(seen.append, 7))
    assert seen == list(range(7))
