"""The clock: as many latencies as runs, counters from a fake machine, energy of whole packages."""

import gc

import pytest

from strop_child import clock


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


def test_a_block_may_begin_with_shorter_calls_than_it_times():
    calls, leads = [], []
    record, _, last = clock.block(calls.append, 5, 3, lead=leads.append)
    assert len(record["latencies_ns"]) == 3
    assert [*leads, *calls] == list(range(5, last + 1))


def test_a_chunk_of_a_warm_up_may_be_a_single_call():
    assert clock.warm(lambda _: None, chunk_s=0.0, least=1)[0] < 3 * clock.warm(lambda _: None, chunk_s=0.0)[0]


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
        "delay_ns",
        "throttled_us",
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


def schedstat(folder, **tasks):
    """A task folder; `_7="100 20"` is thread 7 that ran 100 ns and waited 20 ns."""
    for name, value in tasks.items():
        (folder / name.strip("_")).mkdir(parents=True)
        (folder / name.strip("_") / "schedstat").write_text(f"{value} 3\n")
    return str(folder)


def test_the_delay_is_that_of_all_threads_also_of_new_ones(tmp_path):
    before = clock.waited(schedstat(tmp_path / "before", _7="100 20", _8="50 5"))
    after = clock.waited(schedstat(tmp_path / "after", _7="300 30", _8="60 5", _9="10 4"))
    assert clock.delay_between(before, after) == 10 + 0 + 4


def test_no_schedstat_is_no_delay(tmp_path):
    assert clock.waited(str(tmp_path / "missing")) is None
    assert clock.waited(schedstat(tmp_path, _7="0 0")) is None
    assert clock.delay_between(None, {"7": (1, 1)}) is None


@pytest.mark.parametrize(
    ("groups", "place", "text"),
    [
        ("0::/job\n", "job", "usage_usec 9\nthrottled_usec 1500\n"),
        ("2:cpu,cpuacct:/job\n0::/\n", "cpu/job", "nr_throttled 2\nthrottled_time 1500000\n"),
    ],
)
def test_throttling_of_both_versions_of_control_groups(tmp_path, groups, place, text):
    (tmp_path / "cgroup").write_text(groups)
    (tmp_path / "fs" / place).mkdir(parents=True)
    (tmp_path / "fs" / place / "cpu.stat").write_text(text)
    file = clock.throttle_file(str(tmp_path / "cgroup"), str(tmp_path / "fs"))
    assert clock.throttled_us(file) == 1500


def test_no_control_group_is_no_throttling(tmp_path):
    assert clock.throttled_us(clock.throttle_file(str(tmp_path / "missing"))) is None
