"""The store: nouns round-trip, damage and newer schemas are refused, builds are made once, runs are found."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.errors import StoreError
from strop.core.measurement import Block, Memory, Pair, Quad
from strop.core.noun import SCHEMA
from strop.core.recipe import Recipe, Step
from strop.core.verdict import Gate, GateResult, Verdict
from strop.store.store import Store, load, read_json, save, write_json

from .makers import intervals

text = st.text(st.characters(codec="utf-8"), max_size=20)
whole = st.integers(0, 10**12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
blocks = st.builds(
    Block, side=st.sampled_from("AB"), latencies_ns=st.lists(whole, max_size=4).map(tuple), wall_ns=whole, cpu_ns=whole,
    voluntary=whole, involuntary=whole, steal_ms=st.none() | st.floats(0, 1e6), pressure_us=st.none() | whole,
    energy_uj=st.none() | whole,
)  # fmt: skip
quads = st.builds(Quad, blocks=st.tuples(blocks, blocks, blocks, blocks))
pairs = st.builds(
    Pair, index=whole, mode=st.sampled_from(["side by side", "one at a time"]), threads=st.tuples(whole, whole), seed=whole,
    warmup_runs=st.tuples(whole, whole), quads=st.lists(quads, max_size=2).map(tuple),
)  # fmt: skip
params = st.dictionaries(text, scalars | st.lists(text, max_size=3), max_size=3)
steps = st.builds(Step, stage=st.sampled_from(["prune", "quantize"]), builder=text, name=text, consumes=text, produces=text,
                  params=params)  # fmt: skip
recipes = st.builds(Recipe, name=text, runtime=text, steps=st.lists(steps, max_size=2).map(tuple),
                    settings=st.dictionaries(text, scalars, max_size=3))  # fmt: skip
memories = st.builds(Memory, peak=whole, steady=whole, empty=whole, total_rss=whole,
                     load_s=st.floats(0, 1e3), first_inference_s=st.floats(0, 1e3))  # fmt: skip
gates = st.builds(
    Gate, metric=text, direction=st.sampled_from(["at_least", "at_most"]), bound=st.floats(allow_nan=False, allow_infinity=False)
)
results = st.builds(GateResult, gate=gates, result=st.sampled_from(["PASS", "FAIL"]), reason=text, figure=st.none() | intervals())
verdicts = st.builds(Verdict, results=st.lists(results, max_size=3).map(tuple))


@given(pairs | recipes | memories | verdicts)
def test_nouns_come_back_as_they_were(tmp_path_factory, noun):
    path = tmp_path_factory.getbasetemp() / "noun.json"
    save(path, noun)
    assert load(path, type(noun)) == noun


def test_what_is_not_there_is_none(tmp_path):
    assert load(tmp_path / "no.json", Recipe) is None


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"schema": SCHEMA + 1}))
    with pytest.raises(StoreError, match="newer Strop") as refused:
        read_json(path)
    assert "upgrade" in refused.value.hint


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"name": "x"', b"\xff\xfe{}", b"[]", b"3", b'{"schema": "one"}', b'{"schema": null}']
)
def test_damaged_json_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refused:
        read_json(path)
    assert str(path) in refused.value.message


@pytest.mark.parametrize("value", [{}, {"name": 3, "runtime": "x"}, {"name": "a", "runtime": "x", "other": 1}])
def test_json_that_is_another_noun_is_refused(tmp_path, value):
    write_json(tmp_path / "a.json", value)
    with pytest.raises(StoreError, match="damaged"):
        load(tmp_path / "a.json", Recipe)


def test_write_json_names_its_schema(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"schema": SCHEMA, "x": 1}
    assert read_json(tmp_path / "a.json") == {"x": 1}


def test_once_builds_once_and_a_failure_is_made_again(tmp_path):
    store, made = Store(tmp_path), []

    def make(draft):
        made.append(draft)
        (draft / "x").write_text("1")
        if len(made) == 1:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        store.once("build", "k", make)
    assert not (tmp_path / "build" / "k").exists()
    assert store.once("build", "k", make) == store.once("build", "k", make) == tmp_path / "build" / "k"
    assert len(made) == 2


def test_once_builds_once_for_many_askers(tmp_path):
    store, made, gate = Store(tmp_path), [], threading.Barrier(4)

    def make(draft):
        made.append(draft)
        (draft / "x").write_text("1")

    def ask():
        gate.wait()
        store.once("build", "k", make)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_once_does_not_sweep_away_what_another_is_making(tmp_path):
    store = Store(tmp_path)

    def slow(draft):
        store.once("build", "other", lambda inner: (inner / "y").write_text("2"))
        (draft / "x").write_text("1")

    assert (store.once("build", "key", slow) / "x").read_text() == "1"


def test_once_sweeps_what_an_interrupted_making_left(tmp_path):
    store = Store(tmp_path)
    left = tmp_path / "build" / ".partial-key-abc"
    left.mkdir(parents=True)
    store.once("build", "key", lambda draft: None)
    assert not left.exists()


def test_prune_frees_builds_and_data_and_keeps_runs(tmp_path):
    store = Store(tmp_path)
    for area in ("build", "data"):
        store.once(area, "0" * 64, lambda draft: (draft / "x").write_bytes(b"1" * 100))
    write_json(store.run("one").folder / "run.json", {})
    (tmp_path / "data" / "mine.npz").write_text("a store in a user's folder may have this beside what Strop made")
    assert store.cache_bytes() == store.prune() == 200
    assert store.cache_bytes() == store.prune() == 0
    assert [run.name for run in store.list_runs()] == ["one"]
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["mine.npz"]


def test_what_stopped_a_run_is_told_until_it_goes_on(tmp_path):
    run = Store(tmp_path).run("one")
    assert run.refused() is None
    run.folder.mkdir(parents=True)
    run.event("stopped", why="no text")
    assert run.refused() == "no text"
    run.event("run-opened")
    assert run.refused() is None


def test_a_run_is_found_by_how_it_begins(tmp_path):
    store = Store(tmp_path)
    for name in ("kws-12", "kws-123", "bert-9"):
        write_json(store.run(name).folder / "run.json", {})
    assert store.find_run("bert").name == "bert-9"
    assert store.find_run("kws-12").name == "kws-12"
    for name, what in (("kws", "2 runs"), ("x", "no run")):
        with pytest.raises(StoreError, match=what):
            store.find_run(name)


def test_a_run_held_elsewhere_is_refused_and_not_removed(tmp_path):
    run = Store(tmp_path).run("one")
    with run.hold():
        with pytest.raises(StoreError, match="run one is in progress"):
            run.remove()
        assert run.folder.exists()
    run.remove()
    assert not run.folder.exists()


def test_the_journal_is_one_json_line_an_event(tmp_path):
    run = Store(tmp_path).run("one")
    run.folder.mkdir(parents=True)
    run.event("began", model="größe.onnx")
    run.event("ended")
    lines = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["began", "ended"]
    assert lines[0]["model"] == "größe.onnx"
    assert run.finished() is None
