"""Flags over strop.toml over defaults; what cannot be meant is refused with its file and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.choose import DEFAULT_WEIGHTS
from strop.core.errors import ConfigError, UsageError
from strop.core.gate import DEFAULT_GATES
from strop.run.forms import parse_budget, parse_pairs, parse_sizes
from strop.run.request import Request, make_request

TOML = """
[task]
metric = "f1"
k = 3
batches = [8, 1]
sizes = { sequence = 64 }
[data]
evaluation = "data/test.npz"
labels = "y"
map = { input = "x" }
[target]
threads = 2
memory_limit_mb = 500
[gates]
must = ["speedup>=1.5"]
strict = true
prefer = "speed=1"
[backends]
only = ["null"]
"""


@pytest.fixture
def toml(tmp_path):
    """Writes strop.toml and gives a maker of requests that reads it."""

    def write(content=TOML):
        path = tmp_path / "strop.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return lambda **flags: make_request("m.onnx", str(path), **flags)

    return write


def test_defaults(tmp_path):
    request = make_request(str(tmp_path / "m.onnx"))
    assert (request.batches, request.k, request.metric, request.data) == ((1,), 5, None, None)
    assert (request.gates, request.weights) == (DEFAULT_GATES, DEFAULT_WEIGHTS)
    assert (request.budget_s, request.seed, request.out, request.store) == ("auto", 0, None, ".strop")


def test_the_file_is_read_and_its_paths_are_relative_to_it(toml, tmp_path):
    request = toml()()
    assert (request.metric, request.k, request.batches, request.sizes) == ("f1", 3, (8, 1), {"sequence": 64})
    assert (request.data, request.labels, request.mapping) == (str(tmp_path / "data/test.npz"), "y", {"input": "x"})
    assert (request.threads, request.memory_limit_mb, request.backends) == (2, 500, ("null",))
    assert request.weights == {"speed": 1.0}
    assert "speedup ≥ 1.5" in map(str, request.gates)
    assert {g.kind for g in request.gates} == {"must"}


def test_flags_win(toml):
    request = toml()(
        metric="top1", k=2, batches=[4], size=["sequence=8", "width=2"], data="here.npz", labels="z", map=["other=w"], threads=1,
        memory_limit_mb=9, must=["speedup>=3"], prefer="memory=1", backends=["onnxruntime"], budget="2m", seed=7,
    )  # fmt: skip
    assert (request.metric, request.k, request.batches) == ("top1", 2, (4,))
    assert request.sizes == {"sequence": 8, "width": 2}
    assert (request.data, request.labels, request.mapping) == ("here.npz", "z", {"input": "x", "other": "w"})
    assert (request.threads, request.memory_limit_mb, request.backends) == (1, 9, ("onnxruntime",))
    assert [str(g) for g in request.gates if g.metric == "speedup"] == ["speedup ≥ 3"]
    assert (request.weights, request.budget_s, request.seed) == ({"memory": 1.0}, 120.0, 7)


def test_none_and_empty_flags_are_not_given(toml):
    assert toml()(metric=None, batches=[], must=(), threads=None) == toml()()


def test_a_strop_toml_beside_the_model_is_found(toml, tmp_path):
    toml()
    assert make_request(str(tmp_path / "m.onnx")).metric == "f1"


def test_a_folder_has_its_own_and_not_its_neighbour_s(toml, tmp_path):
    toml()
    folder = tmp_path / "hf"
    folder.mkdir()
    assert make_request(str(folder)).metric is None
    (folder / "strop.toml").write_text('[data]\nevaluation = "eval.txt"\n')
    assert make_request(str(folder)).data == str(folder / "eval.txt")


def test_a_batch_that_nothing_could_hold_is_refused(tmp_path):
    with pytest.raises(UsageError, match="too large"):
        make_request(str(tmp_path / "m.onnx"), batches=[10**20])


@pytest.mark.parametrize(
    ("content", "key", "found"),
    [
        ("[task]\nmetrik = 'f1'", "task.metrik", "'f1'"),
        ("[speed]\nx = 1", "speed", "{'x': 1}"),
        ("[task]\nk = 'three'", "task.k", "'three'"),
        ("[task]\nk = 0", "task.k", "0"),
        ("[task]\nsizes = { sequence = -1 }", "task.sizes.sequence", "-1"),
        ("[target]\nthreads = -2", "target.threads", "-2"),
        ("[target]\nmemory_limit_mb = 0", "target.memory_limit_mb", "0"),
        ("[gates]\nmust = 'speedup>=2'", "gates.must", "'speedup>=2'"),
    ],
)
def test_a_bad_key_names_file_key_and_what_was_found(toml, tmp_path, content, key, found):
    with pytest.raises(ConfigError) as refused:
        toml(content)()
    for part in (str(tmp_path / "strop.toml"), f" {key}:", f"found {found}"):
        assert part in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("content", ["[task", b"\xff\xfe", "a = \n"])
def test_what_is_no_toml_is_refused(toml, content):
    with pytest.raises(ConfigError, match=r"strop\.toml: not valid TOML"):
        toml(content)()


def test_a_config_that_is_not_there_or_no_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        make_request("m.onnx", str(tmp_path / "no.toml"))
    with pytest.raises(ConfigError, match="cannot be read"):
        make_request("m.onnx", str(tmp_path))


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"metric": "accuracy"}, ConfigError),
        ({"must": ["speedup"]}, ConfigError),
        ({"must": ["speedup>=3"], "goal": ["speedup>=2"]}, ConfigError),
        ({"prefer": "speed=2"}, ConfigError),
        ({"batches": [0]}, UsageError),
        ({"batches": [1, 1]}, UsageError),
        ({"budget": "soon"}, UsageError),
        ({"size": ["sequence=0"]}, UsageError),
        ({"size": ["sequence=²"]}, UsageError),
        ({"map": ["input"]}, UsageError),
        ({"k": 0}, UsageError),
        ({"threads": -1}, UsageError),
        ({"memory_limit_mb": -1}, UsageError),
        ({"memory_limit_mb": 10**30}, UsageError),
        ({"time_limit_s": 0.0}, UsageError),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(tmp_path, flags, error):
    with pytest.raises(error):
        make_request(str(tmp_path / "m.onnx"), **flags)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5m", 90),
        (" 1h ", 3600),
        ("2 m", 120),
        (90, 90),
        (1.5, 1.5),
        ("none", None),
        (None, "auto"),
        ("auto", "auto"),
    ],
)
def test_budgets(given, seconds):
    assert parse_budget(given) == seconds


def test_a_budget_survives_the_record_and_auto_is_the_same_question_whatever_it_comes_to(tmp_path):
    for asked, kept in ((None, "auto"), ("auto", "auto"), ("none", None), (90, 90.0)):
        request = make_request(str(tmp_path / "m.onnx"), budget=asked)
        assert request.budget_s == kept
        assert Request.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "5d", "5x", "m", "1m30s", "1e3", "inf", "nan", "None", True, -1, 0])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match=r"not a duration.*"):
        parse_budget(text)


names = st.text(st.characters(codec="ascii", exclude_characters="="), min_size=1)


@given(st.dictionaries(names, st.text(min_size=1)))
def test_pairs_come_back_as_given(mapping):
    assert parse_pairs([f"{k}={v}" for k, v in mapping.items()], "--map") == mapping


@pytest.mark.parametrize("text", ["a", "=b", "a=", ""])
def test_half_a_pair_is_refused(text):
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_pairs([text], "--map")


def test_sizes():
    assert parse_sizes(["a=3", "b=12"]) == {"a": 3, "b": 12}


def test_a_limit_holds_for_the_file_too(toml):
    with pytest.raises(ConfigError, match=r"task\.concurrency: .*, found 100000"):
        toml("[task]\nconcurrency = 100000")()


def test_a_switch_that_is_off_wins_over_the_file(toml):
    strict = toml("[gates]\nstrict = true")
    assert {gate.kind for gate in strict().gates} == {"must"}
    assert {gate.kind for gate in strict(strict=False).gates} == {"must", "goal"}


@pytest.mark.parametrize(("content", "flags"), [("[gates]\nprefer = 'foo=1'", {"prefer": "speed=1"}),
                                                ("[task]\nmetric = 'foo'", {"metric": "top1"})])  # fmt: skip
def test_what_a_flag_replaces_is_not_read(toml, content, flags):
    assert toml(content)(**flags)
    with pytest.raises(ConfigError, match="foo"):
        toml(content)()
