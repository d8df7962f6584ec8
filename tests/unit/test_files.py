"""Files and folders are whole or not there; locks hold others off and die with their holder."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.errors import OutputError, StoreError
from strop.store import files


def listing(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_text_is_written_whole(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "größe")
    files.write_text(tmp_path / "a" / "b.txt", "second")
    assert (tmp_path / "a" / "b.txt").read_text() == "second"
    assert listing(tmp_path / "a") == ["b.txt"]


def test_half_a_character_is_replaced_and_a_failing_write_leaves_the_old_file(tmp_path):
    files.write_text(tmp_path / "a.txt", "x\ud800y")
    assert (tmp_path / "a.txt").read_text() == "x�y"
    files.write_text(tmp_path / "b.txt", "old")
    with pytest.raises(TypeError):
        files.write_text(tmp_path / "b.txt", None)
    assert (tmp_path / "b.txt").read_text() == "old"
    assert listing(tmp_path) == ["a.txt", "b.txt"]


def test_a_folder_appears_whole(tmp_path):
    with files.whole_folder(tmp_path / "made") as draft:
        (draft / "deep").mkdir()
        (draft / "deep" / "x").write_text("1")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "deep" / "x").read_text() == "1"
    assert listing(tmp_path) == ["made"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_nothing(tmp_path, error):
    with pytest.raises(error), files.whole_folder(tmp_path / "made") as draft:
        (draft / "x").write_text("half")
        raise error
    assert listing(tmp_path) == []


def test_an_exception_leaves_the_old_folder(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old").write_text("")
    with pytest.raises(ValueError), files.whole_folder(tmp_path / "made"):
        raise ValueError
    assert listing(tmp_path / "made") == ["old"]


def test_replace_folder_leaves_nothing_of_the_old_one(tmp_path):
    for name in ("draft", "target"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("")
    files.replace_folder(tmp_path / "draft", tmp_path / "target")
    assert listing(tmp_path) == ["target"]
    assert listing(tmp_path / "target") == ["draft"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        files.write_text(tmp_path / "file" / "below", "x")
    with pytest.raises(OutputError, match="cannot write"), files.whole_folder(tmp_path / "file" / "below"):
        pass


def test_sweep_removes_what_was_left_behind(tmp_path):
    (tmp_path / f"{files.PARTIAL}a-1").mkdir()
    (tmp_path / f"{files.PARTIAL}b-2").write_text("")
    (tmp_path / "kept").write_text("")
    files.sweep(tmp_path, "b")
    assert listing(tmp_path) == [f"{files.PARTIAL}a-1", "kept"]
    files.sweep(tmp_path)
    assert listing(tmp_path) == ["kept"]
    files.sweep(tmp_path / "not there")


HOLDER = """
import sys
from pathlib import Path
from strop.store import files
with files.lock(Path(sys.argv[1]), wait=False, busy=""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_refuses_a_second_holder_and_dies_with_the_first(tmp_path):
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="run x is busy"), files.lock(path, wait=False, busy="run x is busy"):
            raise AssertionError("two holders")
        holder.kill()
    with files.lock(path, wait=False, busy="still held"):
        pass


contents = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.binary(max_size=20), min_size=1)


@given(contents, contents)
def test_a_digest_tells_names_and_contents_apart(tmp_path_factory, one, other):
    digests = []
    for content in (one, other):
        folder = tmp_path_factory.mktemp("files")
        for name, data in content.items():
            (folder / name).write_bytes(data)
        digests.append(files.digest_files(folder, list(content)))
    assert (digests[0] == digests[1]) == (one == other)


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_a_json_digest_does_not_depend_on_order(value):
    assert files.digest_json(value) == files.digest_json(dict(reversed(value.items())))
