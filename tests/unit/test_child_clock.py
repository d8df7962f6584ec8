"""The clock: as many latencies as runs, counters from a fake machine, energy of whole packages."""

import gc

import pytest

from strop.worker.child import clock


def powercap(folder, **packages):
    """A powercap tree; `rapl_0_1` is the zone intel-rapl:0:1."""
    for name, value in packages.items():
        zone = folder / name.replace("rapl", "intel-rapl").replace("_", ":")
        zone.mkdir()
        (zone / "energy_uj").write_text(value)
    return str(folder)


def test_package_energy_sums_the_packages(tmp_path):
    assert clock.package_energy(powercap(tmp_path, rapl_0="1000\n", rapl_1="234\n")) == 1234


def test_parts_of_a_package_are_not_counted_twice(tmp_path):
    assert clock.package_energy(powercap(tmp_path, rapl_0="1000", rapl_0_0="600", rapl_0_1="100")) == 1000


@pytest.mark.parametrize("damaged", ["", "many"])
def test_energy_that_cannot_be_read_is_none(tmp_path, damaged):
    assert clock.package_energy(powercap(tmp_path, rapl_0="1000", rapl_1=damaged)) is None


def test_no_counter_is_none(tmp_path):
    assert clock.package_energy(str(tmp_path)) is None
    assert clock.machine_counters(str(tmp_path))["energy"] is None


@pytest.mark.parametrize("runs", [1, 7, 50])
def test_a_block_has_as_many_latencies_as_runs(runs):
    calls = []
    record, output, last = clock.block(lambda i: calls.append(i) or f"answer {i}", 5, runs)
    assert len(record["latencies_ns"]) == runs
    assert all(ns >= 0 for ns in record["latencies_ns"])
    assert record["wall_ns"] >= sum(record["latencies_ns"])
    assert calls == list(range(5, last + 1))
    assert len(calls) > runs
    assert output == f"answer {last}"
    assert set(record) == {
        "latencies_ns",
        "wall_ns",
        "cpu_ns",
        "voluntary",
        "involuntary",
        "steal_ms",
        "pressure_us",
        "energy_uj",
    }


def test_the_collector_is_back_after_a_block_that_failed():
    def fail(index):
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        clock.block(fail, 0, 3)
    assert gc.isenabled()


def test_warming_up_counts_its_runs():
    calls = []
    runs, median = clock.warm(calls.append, cap_s=0.1, chunk_s=0.005)
    assert calls == list(range(runs))
    assert runs >= 3
    assert median >= 0


def test_warming_up_ends_at_its_cap():
    left = iter(range(10**9, 0, -1))
    runs, _ = clock.warm(lambda i: next(left), cap_s=0.0, chunk_s=0.0)
    assert runs >= 3
