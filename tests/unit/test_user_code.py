"""The user's own code: it knows its file, imports its siblings under any name, and what it raises names its own line."""

import importlib
import os
import py_compile
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strop.core.errors import ConfigError
from strop.run.request import make_request
from strop.run.source import code_digests, code_files
from strop_child import scorer
from strop_child.preprocess import DataError, call_user, user_function

MAIN = """
from dataclasses import dataclass
from pathlib import Path

import labels
from helpers.deep import twice

WORDS = (Path(__file__).parent / "words.txt").read_text().split()

@dataclass
class Answer:
    value: "int"

def score(x):
    import later
    return Answer(twice(labels.ONE) + len(WORDS) + later.TEN + x).value

def fails(x):
    return labels.broken(x)

def leaves(x):
    raise SystemExit(3)

def stream(x):
    yield labels.ONE
"""


@pytest.fixture
def code(tmp_path):
    """A module called like one of Strop's own, with siblings, one of them too."""
    (tmp_path / "preprocess.py").write_text(MAIN)
    (tmp_path / "labels.py").write_text("import json\nONE = 1\n\ndef broken(x):\n    return json.loads(x)\n")
    (tmp_path / "later.py").write_text("TEN = 10\n")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("")
    (tmp_path / "helpers" / "deep.py").write_text("from .deeper import TWO\n\ndef twice(x):\n    return TWO * x\n")
    (tmp_path / "helpers" / "deeper.py").write_text("TWO = 2\n")
    (tmp_path / "words.txt").write_text("a b c")
    before, path = dict(sys.modules), list(sys.path)
    yield tmp_path
    assert {n: m for n, m in sys.modules.items() if n in before} == before
    sys.path[:] = path


def test_it_has_a_file_and_siblings(code):
    assert user_function("preprocess:score", str(code))(100) == 2 + 3 + 10 + 100
    assert "preprocess" not in sys.modules
    assert list(user_function("preprocess:stream", str(code))(0)) == [1]


def test_two_folders_with_modules_of_one_name_do_not_meet(code, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "mine.py").write_text("import labels\n\ndef value():\n    return labels.ONE\n")
    (other / "labels.py").write_text("ONE = 'other'\n")
    first, second = user_function("preprocess:score", str(code)), user_function("mine:value", str(other))
    assert (first(0), second(), first(0)) == (15, "other", 15)


def test_an_environment_in_the_folder_stays_imported(code, monkeypatch):
    """`project/.venv` beside `project/strop.toml`, as most projects have it."""
    packages = code / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    for name in ("strop_early", "strop_late"):
        (packages / f"{name}.py").write_text("import strop_lib\nCALLS = []\n")
    (packages.parent / "strop_lib.py").write_text("")  # the environment's standard library
    monkeypatch.setattr(sys, "prefix", str(code / ".venv"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages), str(packages.parent)])
    early = importlib.import_module("strop_early")
    (code / "mine.py").write_text(
        "import labels, strop_early, strop_late\n\n"
        "def calls():\n    strop_late.CALLS.append(1)\n    return strop_early, strop_late\n"
    )
    calls = user_function("mine:calls", str(code))
    assert calls() == calls() == (early, sys.modules["strop_late"])
    assert sys.modules["strop_early"] is early
    assert len(sys.modules["strop_late"].CALLS) == 2
    assert "strop_lib" in sys.modules
    assert "mine" not in sys.modules
    for name in ("strop_early", "strop_late", "strop_lib"):
        del sys.modules[name]


def test_modules_keep_what_they_hold_whatever_the_thread(code):
    (code / "counter.py").write_text("import time\nSEEN = []\n\ndef add(x):\n    SEEN.append(x)\n    time.sleep(0.0001)\n")
    (code / "spaced").mkdir()  # a package without __init__.py
    (code / "spaced" / "inner.py").write_text("COUNT = 0\n")
    (code / "mine.py").write_text(
        "def seen(x):\n    import counter\n    from spaced import inner\n    counter.add(x)\n    inner.COUNT += 1\n"
        "    return len(counter.SEEN), inner.COUNT\n"
    )
    seen = user_function("mine:seen", str(code))
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(seen, range(200))) == [(n, n) for n in range(1, 201)]
    assert not {"counter", "spaced", "spaced.inner", "mine"} & set(sys.modules)


def test_bytecode_is_neither_written_nor_read(code, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (code / "mine.py").write_text(
        "import other\nfrom helpers.deep import twice\n\ndef value():\n    import later\n    return other.VALUE\n"
    )
    (code / "other.py").write_text("VALUE = 'false'\n")
    cached = Path(py_compile.compile(str(code / "other.py")))
    about = (code / "other.py").stat()
    (code / "other.py").write_text("VALUE = 'true!'\n")
    os.utime(code / "other.py", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert user_function("mine:value", str(code))() == "true!"
    assert [path for path in code.rglob("*.pyc") if path != cached] == []


def test_a_module_of_the_same_name_that_the_program_around_has_is_another(code, tmp_path_factory, monkeypatch):
    around = tmp_path_factory.mktemp("around")
    (around / "labels.py").write_text("ONE = 'another'\n")
    monkeypatch.delitem(sys.modules, "labels", raising=False)
    monkeypatch.syspath_prepend(str(around))
    theirs = importlib.import_module("labels")
    assert user_function("preprocess:score", str(code))(0) == 15
    assert sys.modules.pop("labels") is theirs


@pytest.mark.parametrize(
    ("function", "error", "line"),
    [("fails", "JSONDecodeError", "labels.py, line 5"), ("leaves", "SystemExit: 3", "preprocess.py, line")],
)
def test_an_error_names_the_user_s_own_line(code, function, error, line):
    with pytest.raises(DataError) as refused:
        call_user(user_function(f"preprocess:{function}", str(code)), f"preprocess:{function}", "{")
    assert str(refused.value).startswith(f"preprocess:{function} failed: {error}")
    assert line in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = (\n", "SyntaxError"), ("import no_such_sibling\n", "mine.py, line 1"), ("def other(): pass\n", "no function 'score'")],
)
def test_what_does_not_load_is_said_before_anything_is_read(tmp_path, text, words):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(DataError, match="mine:score") as refused:
        scorer.load_code(["mine:score"], str(tmp_path))
    assert words in str(refused.value)


def test_what_a_module_imports_goes_with_it_and_counts(code):
    (code / "strop.toml").write_text('[data]\npreprocess = "preprocess:score"\nfiles = ["words.txt"]\n')
    request = make_request("m.onnx", str(code / "strop.toml"))
    needed = {"preprocess.py", "labels.py", "later.py", "words.txt"}
    assert code_files(request, "preprocess").keys() == needed | {f"helpers/{n}.py" for n in ("__init__", "deep", "deeper")}
    before = code_digests(request)
    (code / "labels.py").write_text("ONE = 2\n")
    assert code_digests(request) != before
    (code / "preprocess.py").write_text("x = (\n")
    assert "preprocess.py" in code_files(request, "preprocess")


@pytest.mark.parametrize("name", ["none.txt", "../words.txt", "/etc/hostname"])
def test_a_file_that_is_not_there_or_elsewhere_is_refused(code, name):
    (code / "strop.toml").write_text(f'[data]\npreprocess = "preprocess:score"\nfiles = ["{name}"]\n')
    with pytest.raises(ConfigError, match="is not a file below"):
        code_files(make_request("m.onnx", str(code / "strop.toml")), "preprocess")
