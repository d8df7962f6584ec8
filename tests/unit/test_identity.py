"""Which run a command belongs to: by what the run uses, not by what happens to be installed or what the host is called."""

import pytest

from strop.run import hardware, machine
from strop.run.identity import KEY, RECORD, Identity, code_digest, differences, find_run, name_of, note_used, why_new
from strop.store.store import Store, write_json

from .makers import model

NOW = Identity(
    question={"metric": "top1", "seed": 0, "gates": [{"metric": "speedup"}]}, model="m", data={"data": "d"}, beside={}, code="c",
    machine={"cpu": "A CPU", "flags": ["avx2"], "cores": 2, "threads": 2}, target=None,
    versions={"onnxruntime": {"onnxruntime": "1.31.0"}, "olive": {"olive/olive-ai": "1"}},
)  # fmt: skip
USES = ["onnxruntime", "openvino"]


def at(**changes):
    return NOW.model_copy(update=changes)


def with_versions(**versions):
    return at(versions={**NOW.versions, **versions})


@pytest.fixture
def store(tmp_path):
    """With a run of NOW."""
    store = Store(tmp_path)
    write_json(store.run("kws-1").folder / RECORD, {KEY: NOW.model_dump(mode="json")})
    write_json(store.run("old").folder / RECORD, {"host": "of the first version"})
    return store


def test_the_same_question_is_the_same_run(store):
    assert find_run(store, NOW, USES).name == "kws-1"
    assert why_new(store, NOW, USES) == ("kws-1", [])


def test_a_backend_that_was_installed_since_or_removed_makes_no_new_run(store):
    assert find_run(store, with_versions(openvino={"openvino": "2026"}), USES).name == "kws-1"
    assert find_run(store, at(versions={"onnxruntime": NOW.versions["onnxruntime"]}), [*USES, "olive"]).name == "kws-1"


def test_another_version_of_what_is_used_makes_one_and_says_so(store):
    newer = with_versions(onnxruntime={"onnxruntime": "1.31.1"})
    assert find_run(store, newer, USES) is None
    assert why_new(store, newer, USES) == ("kws-1", ["onnxruntime 1.31.0 → 1.31.1"])
    assert name_of(newer, USES, "kws") != name_of(NOW, USES, "kws")
    unused = with_versions(olive={"olive/olive-ai": "2"})
    assert find_run(store, unused, USES).name == "kws-1"
    assert name_of(unused, USES, "kws") == name_of(NOW, USES, "kws")


def test_what_the_plan_used_counts_once_it_is_known(store):
    note_used(store.run("kws-1"), {}, model(), [])  # the reader, `null`, alone
    assert find_run(store, with_versions(onnxruntime={"onnxruntime": "1.31.1"}), USES).name == "kws-1"
    assert find_run(store, with_versions(null={"numpy": "3"}), USES).name == "kws-1"


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (at(data={"data": "e"}), "data d → e"),
        (at(data={"data": "e" * 64}), "data changed"),
        (at(code="e"), "Strop's own code changed"),
        (at(question={**NOW.question, "metric": "f1"}), "metric top1 → f1"),
        (at(machine={**NOW.machine, "cpu": "Another"}), "the machine's cpu A CPU → Another"),
        (at(machine={**NOW.machine, "threads": 1}), "the machine's threads 2 → 1"),
    ],
)
def test_a_new_run_says_why(store, now, why):
    assert find_run(store, now, USES) is None
    assert differences(NOW, now, USES) == [why]
    assert why_new(store, now, USES) == ("kws-1", [why])


def test_the_first_run_of_a_model_has_nothing_to_say(store):
    assert why_new(store, at(model="n", question={}), USES) is None


def test_the_newest_of_several_goes_on(store):
    import os

    newest = store.run("kws-1-2")
    write_json(newest.folder / RECORD, {KEY: NOW.model_dump(mode="json")})
    os.utime(newest.folder / RECORD, (2**31, 2**31))
    assert find_run(store, NOW, USES).name == "kws-1-2"


def test_a_container_s_name_is_no_part_of_the_machine(monkeypatch):
    before = machine.hardware_id.__wrapped__()
    monkeypatch.setattr(machine.platform, "node", lambda: "9f86d081884c")
    read = hardware.read
    monkeypatch.setattr(hardware, "read", lambda path: "another" if str(path) == "/etc/machine-id" else read(path))
    assert machine.hardware_id.__wrapped__() == before


def test_what_only_shows_figures_is_no_part_of_the_code(tmp_path):
    for name in ("core/gate.py", "run/race.py", "report/page.py", "cli/app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one = 1\n")
    before = code_digest(tmp_path)
    (tmp_path / "report/page.py").write_text("one = 2\n")
    (tmp_path / "cli/app.py").write_text("one = 2\n")
    assert code_digest(tmp_path) == before
    (tmp_path / "core/gate.py").write_text("one = 2\n")
    assert code_digest(tmp_path) != before
