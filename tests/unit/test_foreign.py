"""What came from outside: JSON and TOML within limits, in parent and child alike, and texts that steer nothing."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.errors import ConfigError, UsageError
from strop.core.errors import ModelError as ParentModelError
from strop.core.foreign import (
    STEERING,
    ForeignError,
    clean,
    cleaned,
    fenced,
    in_markdown,
    parse_json,
    parse_object,
    parse_toml,
    writable,
)
from strop.core.model import TensorSpec
from strop.run.config import read_config
from strop.run.init import text as init_text
from strop.run.preprocessing import BESIDE, described
from strop.run.request import backend_options, make_request
from strop.store.files import read_bytes
from strop_child import checked_json
from strop_child.preprocess import DataError
from strop_child.refusal import ModelError
from strop_child.sources import Broken, jsonl, read_classes

from .makers import model

HOSTILE = [
    "y\n[data.columns]\ntext_pair = '''\n[task]\nscorer = \"helper:score\"\n#",
    'x" = "x"\n[task]\nscorer = "helper:score"\n#',
    "a\\",
    '"""',
    "'''",
    "a\r[task]",
    "\x1b[31mred\x07",
    "\u202eright to left\u2028new line\x85more",
    "]]\n[[task]]",
    "# not a heading",
    "",
]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_sound_is_read_as_it_is_by_parent_and_child(value: object) -> None:
    told = json.dumps(value).encode()
    assert parse_json(told) == value
    assert checked_json.values(told) == value


BAD = {
    "deep lists": (b"[" * 200 + b"]" * 200, "too deep"),
    "deep objects": (b'{"a":' * 200 + b"1" + b"}" * 200, "too deep"),
    "deeper than Python goes": (b"[" * 200_000, "too deep"),
    "an unpaired surrogate": (b'{"a": {"b": ["x", "\\ud800"]}}', "a.b: an unpaired surrogate"),
    "an unpaired surrogate in a key": (b'{"\\udfff": 1}', "an unpaired surrogate"),
    "other encoding": (b'"\xff"', "not readable JSON|not UTF-8"),
    "not JSON": (b"{", "not readable JSON|not valid JSON"),
    "a number of many digits": (b"9" * 5000, "not readable JSON|not valid JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_is_refused_by_both(case: str) -> None:
    told, why = BAD[case]
    with pytest.raises(ForeignError, match=why) as refused:
        parse_json(told)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match=why):
        checked_json.values(told)


def test_sizes_and_kinds_are_limited(tmp_path: Path) -> None:
    with pytest.raises(ForeignError, match="too large"):
        parse_json(b" " * 11, most=10)
    with pytest.raises(ForeignError, match="expected a JSON object, found a list"):
        parse_object(b"[]")
    with pytest.raises(OSError, match="not a plain file"):
        read_bytes(tmp_path, 10)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (b"a=" + b"[" * 5000, "too deep"),
        (b".".join([b"a"] * 200_000) + b"=1", "too deep"),
        (b'"a" . ' * 100_000 + b"b = 1", "too deep"),
        (b"[" + b".".join([b"a"] * 100_000) + b"]", "too deep"),
        (b"a=", "not valid TOML"),
        (b"\xff", "not UTF-8"),
        (b'a="\\ud800"', "not valid TOML"),
    ],
)
def test_toml_has_the_same_limits(tmp_path: Path, told: bytes, why: str) -> None:
    with pytest.raises(ForeignError, match=why):
        parse_toml(told)
    (tmp_path / "strop.toml").write_bytes(told)
    with pytest.raises(ConfigError, match=rf"strop\.toml: .*{why}"):
        read_config(tmp_path / "strop.toml", tmp_path)


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ("[preprocess]\nscale = nan", "preprocess.scale"),
        ("[preprocess]\nmean = [inf, 1.0, 1.0]", "preprocess.mean"),
        ("[task]\nk = 1e400", "task.k"),
        (f"[target]\nmemory_limit_mb = {10**30}", "target.memory_limit_mb"),
    ],
)
def test_numbers_of_a_configuration_are_finite(tmp_path: Path, told: str, key: str) -> None:
    (tmp_path / "strop.toml").write_text(told)
    with pytest.raises(ConfigError, match=key):
        make_request("m.onnx", str(tmp_path / "strop.toml"))


@pytest.mark.parametrize("told", ["[" * 100_000, '{"passes": "\\ud800"}', "[]", '{"passes": []}', "{}", "NaN"])
def test_an_olive_configuration_is_read_so_too(tmp_path: Path, told: str) -> None:
    (tmp_path / "olive.json").write_text(told)
    with pytest.raises(ConfigError, match=r"olive\.json: "):
        backend_options(str(tmp_path / "olive.json"))


@pytest.mark.parametrize(
    ("name", "told", "key"),
    [
        ("preprocessor_config.json", '{"size": "large"}', "size"),
        ("preprocessor_config.json", '{"size": {"longest_edge": 9}}', "size"),
        ("preprocessor_config.json", '{"do_center_crop": true, "crop_size": {"height": 3}}', "crop_size"),
        ("preprocessor_config.json", '{"image_mean": ["a"]}', "image_mean"),
        ("preprocessor_config.json", '{"image_std": [NaN, 1, 1]}', "image_std"),
        ("preprocessor_config.json", '{"resample": []}', "resample"),
        ("preprocessor_config.json", '{"size": ' + "9" * 400 + "}", "size"),
        ("tokenizer_config.json", "[" * 5000, "too deep"),
        ("tokenizer_config.json", "[]", "an object|a JSON object"),
        ("1_Pooling/config.json", '{"a": "\\ud800"}', "a: an unpaired surrogate"),
    ],
)
def test_files_beside_a_model_name_their_key(tmp_path: Path, name: str, told: str, key: str) -> None:
    """Before, what could not be read was passed over, and other inputs were made than the model was trained on."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(told)
    with pytest.raises(ParentModelError, match=f"{name}: .*({key})"):
        described(tmp_path, BESIDE)


def test_tables_and_classes_of_half_characters(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "good"}\n{"text": "\\ud800"}\n' + '{"text":' * 9999 + "\n")
    broken = Broken("t.jsonl")
    assert [row for _, row in jsonl(str(tmp_path / "t.jsonl"), broken)] == [{"text": "good"}]
    assert [text.partition(": ")[0] for text in broken.found] == ["t.jsonl line 2", "t.jsonl line 3"]
    for told in ('["a", "\\ud800"]', "[" * 9999, '{"a": "b"}', "3", '[["a"]]', '{"²": "b"}'):
        (tmp_path / "c.json").write_text(told)
        with pytest.raises(DataError, match=r"c\.json: "):
            read_classes(str(tmp_path / "c.json"))
    (tmp_path / "c.json").write_text('{"1": "b\\nc", "0": " a "}')
    assert read_classes(str(tmp_path / "c.json")) == ["a", "b c"]


def test_names_that_are_not_utf8_are_refused_at_once(tmp_path: Path) -> None:
    for flags in ({"model": "m\udcff.onnx"}, {"model": "m.onnx", "labels": "\udcff"}, {"model": "m.onnx", "map": ["a=\udcff"]}):
        with pytest.raises(UsageError, match="is not UTF-8"):
            make_request(**flags)


@pytest.mark.parametrize("name", HOSTILE)
def test_init_writes_names_and_nothing_else_of_a_model(name: str) -> None:
    """The file has its own sections and no key, and so it has with every line that a user may take the comment sign from."""
    spec = TensorSpec(name=name, dtype="float32", shape=(name, 4))
    made = init_text(model().model_copy(update={"inputs": (spec,), "outputs": (spec,)}))
    others = ("model", "preprocess", "task", "target", "gates", "backends", "run")
    sections = {"data": {"columns": {}, "map": {}}, **{other: {} for other in others}}
    assert tomllib.loads(made) == sections
    assert not [c for c in STEERING.findall(made) if c != "\n"]
    uncommented = [
        line.removeprefix("# ") for line in made.splitlines() if line.endswith('= "x"') or line.startswith("# output = ")
    ]
    assert tomllib.loads(uncommented[0]) == {name: "x"}
    assert tomllib.loads(uncommented[-1]) == {"output": name}


@given(st.text())
def test_init_keeps_any_name(name: str) -> None:
    spec = TensorSpec(name=name, dtype="float32", shape=("b",))
    made = init_text(model().model_copy(update={"inputs": (spec,), "outputs": (spec,)}))
    lines = [line.removeprefix("# ") for line in made.split("\n") if line.startswith("# output = ")]
    assert tomllib.loads(lines[0]) == {"output": writable(name)}


@given(st.text(st.characters(exclude_categories=[])))
def test_cleaned_texts_are_one_line_and_can_be_written(text: str) -> None:
    assert not STEERING.search(clean(text))
    assert len(clean(text).splitlines()) <= 1
    clean(text).encode()
    writable(text).encode()
    assert cleaned({text: [text]}) == {clean(text): [clean(text)]}


@given(st.text(alphabet="|\\`<>[]()!\n\r\tab#"))
def test_markdown_opens_no_cell_tag_link_or_block(text: str) -> None:
    line = in_markdown(text)
    assert "\n" not in line and "<" not in line and "](" not in line
    bare = line.replace("\\|", "")
    assert "|" not in bare and "\\\\|" not in line
    opening, *_, closing = fenced(text).split("\n")
    assert set(opening) == {"`"} and closing == opening
    assert opening not in "\n".join(fenced(text).split("\n")[1:-1])


def test_a_value_of_the_wrong_type_names_its_file_and_key() -> None:
    with pytest.raises(ModelError, match=r"c\.json: eos_token_id is \['a'\]"):
        checked_json.Section({"eos_token_id": ["a"]}, "c.json").wholes("eos_token_id", most=9)
    with pytest.raises(ModelError, match=r"c\.json: x is nan"):
        checked_json.Section({"x": float("nan")}, "c.json").number("x")
