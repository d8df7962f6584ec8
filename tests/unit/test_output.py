"""Output folders: a delivery replaces what Strop wrote and nobody changed, and nothing else, whenever it is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strop.core.errors import OutputError
from strop.store import output
from strop.store.files import PARTIAL
from strop.store.output import LIST, Kept, Record, add_files, read_record, rewrite


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def tree(folder: Path) -> dict[str, str]:
    """Every file and its text, without the list."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != LIST}


def writer(**texts: str):
    """Writes `a__b` as a/b.txt."""

    def write(folder: Path) -> None:
        for name, text in texts.items():
            path = folder / (name.replace("__", "/") + ".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.fixture(params=["exchanged", "renamed", "copied"])
def out(tmp_path, monkeypatch, request):
    """A folder that Strop delivered into once; by all three ways that file systems allow."""
    if request.param != "exchanged":
        monkeypatch.setattr(output, "_exchange", lambda *_: False)
    if request.param == "copied":
        monkeypatch.setattr(output.os, "link", lambda *_: (_ for _ in ()).throw(OSError("no hard links")))
    rewrite(tmp_path / "out", Record(run="one"), writer(report="1", bundle__model="m1", bundle__old="gone"))
    return tmp_path / "out"


def again(out: Path) -> list[Kept]:
    return rewrite(out, Record(run="two"), writer(report="2", bundle__model="m2"))


NEW = {"report.txt": "2", "bundle/model.txt": "m2"}


def test_what_strop_wrote_is_replaced(out):
    assert again(out) == []
    assert tree(out) == NEW
    assert names(out.parent) == ["out"]
    assert read_record(out).run == "two"


def test_files_of_the_user_stay(out):
    (out / "notes.txt").write_text("mine")
    (out / "mine" / "deep").mkdir(parents=True)
    (out / "mine" / "deep" / "x").write_text("x")
    (out / "empty").mkdir()
    (out / "link").symlink_to("nowhere")
    for _ in range(2):
        assert again(out) == []
        assert tree(out) == {**NEW, "notes.txt": "mine", "mine/deep/x": "x"}
        assert (out / "empty").is_dir()
        assert (out / "link").readlink() == Path("nowhere")
    assert names(out.parent) == ["out"]


def test_what_the_user_changed_is_kept_under_another_name(out):
    (out / "report.txt").write_text("annotated")
    (out / "bundle" / "notes.txt").write_text("put into the bundle")
    assert again(out) == [Kept("bundle", "bundle.kept-1"), Kept("report.txt", "report.txt.kept-1")]
    kept = {"bundle.kept-1/model.txt": "m1", "bundle.kept-1/old.txt": "gone", "bundle.kept-1/notes.txt": "put into the bundle"}
    assert tree(out) == {**NEW, **kept, "report.txt.kept-1": "annotated"}
    (out / "report.txt").write_text("annotated again")
    assert again(out) == [Kept("report.txt", "report.txt.kept-2")]
    assert tree(out) == {**NEW, **kept, "report.txt.kept-1": "annotated", "report.txt.kept-2": "annotated again"}


def test_python_s_cache_of_a_bundle_is_nobody_s_work(out):
    def write(folder: Path) -> None:
        (folder / "bundle").mkdir()
        (folder / "bundle" / "infer.py").write_text("")

    rewrite(out, Record(), write)
    (out / "bundle" / "__pycache__").mkdir()
    (out / "bundle" / "__pycache__" / "infer.cpython-311.pyc").write_bytes(b"")
    assert rewrite(out, Record(), write) == []
    assert tree(out) == {"bundle/infer.py": ""}


def test_a_folder_of_the_first_version_keeps_all_it_has(out):
    (out / LIST).write_text("kws-12345678\n")
    assert read_record(out) == Record(run="kws-12345678")
    assert {kept.name for kept in again(out)} == {"report.txt", "bundle"}
    assert tree(out)["bundle.kept-1/model.txt"] == "m1"
    assert NEW.items() <= tree(out).items()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', '{"schema": 99, "files": {}}', "two\nlines\n"])
def test_a_list_that_cannot_be_read_lists_nothing(out, text):
    (out / LIST).write_text(text)
    assert read_record(out) == Record()
    assert len(again(out)) == 2


def test_a_foreign_folder_is_refused_and_an_empty_one_taken(tmp_path):
    (tmp_path / "mine").mkdir()
    rewrite(tmp_path / "mine", Record(), writer(a="1"))
    (tmp_path / "mine" / LIST).unlink()
    with pytest.raises(OutputError, match="not made by Strop"):
        again(tmp_path / "mine")
    assert tree(tmp_path) == {"mine/a.txt": "1"}


def test_a_link_is_followed_not_replaced(out):
    link = out.parent / "link"
    link.symlink_to("out")
    again(link)
    assert link.is_symlink()
    assert tree(out) == NEW


def test_an_error_while_writing_changes_nothing(out):
    (out / "notes.txt").write_text("mine")
    before = tree(out)

    def fails(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError

    with pytest.raises(ValueError):
        rewrite(out, Record(), fails)
    assert tree(out) == before
    assert names(out.parent) == ["out"]


def test_a_file_that_comes_while_a_delivery_runs_is_not_lost(out, monkeypatch):
    swap = output.swap

    def late(draft: Path, target: Path) -> None:
        (target / "late.txt").write_text("just now")
        (target / "bundle" / "late.txt").write_text("just now")
        swap(draft, target)

    monkeypatch.setattr(output, "swap", late)
    again(out)
    assert tree(out) == {**NEW, "late.txt": "just now", "bundle/late.txt": "just now"}


def killed_at(out: Path, step: int, exchange: bool) -> int:
    """A delivery in a process that is killed before its call number `step` of those that change a folder; how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = step

    def counted(function):
        def call(*arguments, **options):
            nonlocal left
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return function(*arguments, **options)

        return call

    try:
        output._exchange = counted(output._exchange) if exchange else lambda *_: False
        for name in ("link", "unlink", "rmdir", "rename", "mkdir", "scandir"):
            setattr(os, name, counted(getattr(os, name)))
        rewrite(out, Record(run="two"), writer(report="2", bundle__model="m2"))
    finally:
        os._exit(1 if sys.exc_info()[0] else 0)


@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_at_any_step_leaves_one_whole_set_and_loses_nothing(tmp_path, exchange):
    """`kill -9` before every call that changes a folder: the old set or the new one, the user's files, and a way on."""
    mine = {"notes.txt": "mine", "mine/x.txt": "x"}
    old = {"report.txt": "1", "bundle/model.txt": "m1"}
    swapped = 0
    for step in range(0, 400, 1 if exchange else 2):
        out = tmp_path / str(step) / "out"
        rewrite(out, Record(run="one"), writer(report="1", bundle__model="m1"))
        (out / "notes.txt").write_text("mine")
        (out / "mine").mkdir()
        (out / "mine" / "x.txt").write_text("x")
        ended = killed_at(out, step, exchange)
        if out.is_dir():
            found = tree(out)
            assert found in ({**old, **mine}, {**NEW, **mine})
            swapped += found == {**NEW, **mine}
        else:
            assert not exchange  # between two renames; the next command puts it back
        output.recover(out)
        assert tree(out) in ({**old, **mine}, {**NEW, **mine})
        assert names(out.parent) == ["out"]
        assert again(out) == []
        assert tree(out) == {**NEW, **mine}
        if ended != -signal.SIGKILL:
            break
    assert ended == 0
    assert 1 < swapped < step


def test_single_files_beside_others_are_replaced_and_kept_alike(tmp_path):
    name = ".list"
    (tmp_path / "other.txt").write_text("mine")
    assert add_files(tmp_path, {"page.txt": "1"}, name) == []
    assert add_files(tmp_path, {"page.txt": "2"}, name) == []
    (tmp_path / "page.txt").write_text("annotated")
    assert add_files(tmp_path, {"page.txt": "3"}, name) == [Kept("page.txt", "page.txt.kept-1")]
    (tmp_path / name).unlink()
    assert tree(tmp_path) == {"other.txt": "mine", "page.txt": "3", "page.txt.kept-1": "annotated"}


def test_what_a_stranger_left_under_a_similar_name_is_not_tidied_up(out):
    for name in (f"{PARTIAL}out-2-12345678", f"{PARTIAL}out-short", f"{PARTIAL}other-12345678"):
        (out.parent / name).mkdir()
    again(out)
    assert len(names(out.parent)) == 4


def test_two_deliveries_wait_for_each_other(tmp_path):
    code = "import sys; from pathlib import Path; from strop.store.output import *\n"
    code += "for i in range(5): rewrite(Path(sys.argv[1]), Record(run=sys.argv[2]), lambda f: (f / sys.argv[2]).write_text('x'))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out"), name]) for name in ("a", "b")]
    assert [process.wait() for process in both] == [0, 0]
    assert len(tree(tmp_path / "out")) == 1
    assert names(tmp_path) == ["out"]
