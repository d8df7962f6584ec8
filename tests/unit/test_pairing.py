"""Pairs of real processes on null models: modes, cores, and whose failure it was."""

import json
from pathlib import Path

import numpy as np
import pytest

from strop.core.errors import WorkerError
from strop.core.statistics import Ratios
from strop.plan.discover import backends
from strop.run.host import HERE
from strop.run.pairing import BLOCK_S, EVEN, Subject, cores_for, even_runs, fit_together, pair_from, plan_quads, run_pair
from strop.worker.call import Limits, Work

LIMITS = Limits(20.0)


def subject(folder: Path, name: str, mode: str = "honest", memory_bytes: int = 0) -> Subject:
    """A null model of half a millisecond under its backend's work module."""
    model = {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch", 4]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch", 2]}],
        "seed": 0, "milliseconds": 0.5, "mode": mode, "after": 5,
    }  # fmt: skip
    place = folder / name
    place.mkdir(parents=True)
    (place / "model.null").write_text(json.dumps(model))
    np.save(place / "x.npy", np.ones((8, 4), np.float32))
    return Subject(
        name=name, work=Work(backends()["null"].work), artifact=str(place / "model.null"), settings={},
        inputs={"x": str(place / "x.npy")},
        examples=8, batch=1, threads=1, spins=False, log=place / "log.txt", memory_bytes=memory_bytes,
    )  # fmt: skip


def test_pair_side_by_side(tmp_path: Path) -> None:
    pair = run_pair(subject(tmp_path, "a"), subject(tmp_path, "b"), 0, 3, 0, LIMITS)
    assert pair.mode == "side by side"
    for quad in pair.quads:
        assert "".join(b.side for b in quad.blocks) in ("ABBA", "BAAB")
        assert all(len(b.latencies_ns) >= 3 for b in quad.blocks)


def test_a_machine_that_disturbs_every_block_leaves_cpu_time_of_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.run.pairing.delayed", lambda *_: True)
    pairs = [run_pair(subject(tmp_path, f"a{k}"), subject(tmp_path, f"b{k}"), k, 2, 0, LIMITS) for k in range(3)]
    assert all({b.side for b in void.refused} == {"A", "B"} for pair in pairs for void in pair.voids)
    assert Ratios(pairs).by_cpu_time() is not None


def test_one_at_a_time_where_both_do_not_fit(tmp_path: Path) -> None:
    a, b = subject(tmp_path, "a", memory_bytes=600), subject(tmp_path, "b", memory_bytes=600)
    assert fit_together(a, b, None)
    assert not fit_together(a, b, 1000)
    pair = run_pair(a, b, 0, 1, 0, LIMITS, cap=1000)
    assert pair.mode == "one at a time"
    assert len(pair.attempts) == 1


@pytest.mark.parametrize("bad", ["a", "b"])
def test_the_error_names_its_side(tmp_path: Path, bad: str) -> None:
    sides = {name: subject(tmp_path, name, "crash" if name == bad else "honest") for name in ("a", "b")}
    with pytest.raises(WorkerError) as caught:
        run_pair(sides["a"], sides["b"], 0, 2, 0, LIMITS)
    assert caught.value.subject == bad


def test_spinning_sessions_are_stopped_between_their_blocks(tmp_path: Path) -> None:
    a, b = (subject(tmp_path, name)._replace(spins=True) for name in ("a", "b"))
    assert len(run_pair(a, b, 0, 2, 0, LIMITS).attempts) == 2


def test_both_sides_have_the_same_cores_and_pairs_take_turns() -> None:
    assert cores_for(HERE, 1, 0) == cores_for(HERE, 1, 0)
    allowed = {core for index in range(64) for core in cores_for(HERE, 1, index)}
    assert allowed >= {*cores_for(HERE, 1, 0), *cores_for(HERE, 1, 1)}
    assert len(cores_for(HERE, 4096, 0)) <= 4096


def test_quads_suffice_for_a_p99() -> None:
    """Long calls: three a block, so that 23 quads in five pairs hold 690 of each side."""
    assert plan_quads((50e6, 50e6), 5, 1.5, 12, 40) == 23
    assert plan_quads((50e3, 50e3), 5, 1.5, 12, 40) == 37


def test_a_pair_over_another_baseline_is_measured_again(tmp_path: Path) -> None:
    """A run that is resumed may have tuned its baseline to other settings."""
    a, b = subject(tmp_path, "a"), subject(tmp_path, "b")
    first = pair_from(tmp_path / "pairs", a, b, 0, 1, 0, LIMITS, None)
    assert pair_from(tmp_path / "pairs", a, b, 0, 1, 0, LIMITS, None) == first
    other = pair_from(tmp_path / "pairs", a._replace(settings={"factor": 2.0}), b, 0, 1, 0, LIMITS, None)
    assert other.sides[0] != first.sides[0]
    assert other.sides[1] == first.sides[1]


def test_sides_that_load_in_turns_take_all_their_quads(tmp_path: Path) -> None:
    a, b = subject(tmp_path, "a", memory_bytes=600), subject(tmp_path, "b", memory_bytes=600)
    assert len(run_pair(a, b, 0, 4, 0, LIMITS, cap=1000).attempts) == 4


@pytest.mark.parametrize("latency_ns", [(7e6, 5e6), (50e3, 9e6), (50e3, 49e3), (20e6, 30e6), (300e6, 400e6), (2e6, 1e9)])
def test_blocks_of_both_sides_last_equally_long(latency_ns):
    runs = even_runs(latency_ns, (3, 3))
    lengths = [calls * ns for calls, ns in zip(runs, latency_ns, strict=True)]
    assert min(runs) >= 3
    assert max(lengths) <= (1 + EVEN) * min(lengths)
    assert min(lengths) >= 0.8 * BLOCK_S * 1e9


def test_a_request_of_a_language_model_is_not_repeated_for_long():
    assert even_runs((2e9, 1.4e9), (1, 1)) == (1, 1)
