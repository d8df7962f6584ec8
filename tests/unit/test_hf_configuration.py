"""What the backends' child sides read of a Hugging Face folder: typed, and refused by file and key."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import strop
from strop_child.chat import ChatError, read_chat, render
from strop_child.refusal import ModelError

from .inspected import LLAMA, folder


def work(backend: str) -> Any:
    """A backend's child side; no framework is imported by looking at a folder."""
    path = Path(strop.__file__).parent / "backends" / backend / "work.py"
    spec = importlib.util.spec_from_file_location(f"{backend}_work", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRANSFORMERS, EXPORT = work("transformers"), work("export")


def language_folder(path: Path, generation: Any = None, **config: Any) -> str:
    made = folder(path / "m", {key: value for key, value in {**LLAMA, **config}.items() if value != "absent"})
    (made / "tokenizer.json").write_text("{}")
    if generation is not None:
        (made / "generation_config.json").write_text(json.dumps(generation))
    return str(made)


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        (None, {}, []),
        (None, {"eos_token_id": [2, 13]}, ["2", "13"]),
        ({"eos_token_id": 3}, {"eos_token_id": 2}, ["3"]),
        ({"bos_token_id": 1}, {"eos_token_id": 2}, ["2"]),
        ({"eos_token_id": None}, {"eos_token_id": 2}, []),
        (None, {"text_config": None, "eos_token_id": 2}, ["2"]),
        (None, {"text_config": {**LLAMA, "eos_token_id": 5}}, ["5"]),
    ],
)
def test_tokens_that_end_an_answer(tmp_path: Path, generation: Any, config: Any, ends: list[str]) -> None:
    traits = TRANSFORMERS.inspect(language_folder(tmp_path, generation, **config))["traits"]
    assert (traits["ends"], traits["vocabulary"], traits["head"]) == (ends, 32, 2)


@pytest.mark.parametrize(
    ("generation", "config", "words"),
    [
        ({"eos_token_id": ["a"]}, {}, r"generation_config\.json: eos_token_id is \['a'\]"),
        ({"eos_token_id": {}}, {}, r"generation_config\.json: eos_token_id is"),
        ([], {}, r"generation_config\.json: a JSON list"),
        (None, {"eos_token_id": 1.5}, r"config\.json: eos_token_id is 1\.5"),
        (None, {"eos_token_id": -1}, r"config\.json: eos_token_id is -1"),
        (None, {"vocab_size": "absent"}, r"config\.json: no vocab_size"),
        (None, {"vocab_size": "32"}, r"config\.json: vocab_size is '32'"),
        (None, {"vocab_size": float("nan")}, r"config\.json: vocab_size is nan"),
        (None, {"rope_scaling": "linear"}, r"config\.json: rope_scaling is 'linear'"),
        (None, {"sliding_window": "4"}, r"config\.json: sliding_window is '4'"),
        (None, {"architectures": [1]}, r"config\.json: architectures is \[1\]"),
    ],
)
def test_a_value_of_the_wrong_type_names_file_and_key(tmp_path: Path, generation: Any, config: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        TRANSFORMERS.inspect(language_folder(tmp_path, generation, **config))


def test_labels_of_an_exported_model(tmp_path: Path) -> None:
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {"1": "b\nc", "0": "a"}}
    assert EXPORT.examine(str(folder(tmp_path / "m", config)))["labels"] == {"1": "b c", "0": "a"}
    for odd in ({"x": "a"}, {"0": ["a"]}, ["a"], {"²": "a"}):
        with pytest.raises(ModelError, match=r"config\.json: id2label"):
            EXPORT.examine(str(folder(tmp_path / "m", {**config, "id2label": odd})))


def test_a_template_of_half_characters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "\\ud800"}')
    with pytest.raises(ModelError, match="chat_template: an unpaired surrogate"):
        read_chat(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"a":' * 9999)
    with pytest.raises(ModelError, match="nested too deep"):
        read_chat(str(tmp_path))
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(ChatError, match="not UTF-8"):
        read_chat(str(tmp_path))
    with pytest.raises(ChatError, match="cannot be rendered"):
        render("{{ '\\ud800' }}", [])
    with pytest.raises(ChatError, match="cannot be rendered"):
        render("{% if a %}" * 200 + "{% endif %}" * 200, [])
