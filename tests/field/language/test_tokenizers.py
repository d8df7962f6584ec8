"""Token ids, the token in front and the end tokens, as transformers has them: tokenizers.json holds what its 4.57 gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strop_child.questions import prepare_questions
from strop_child.texts import begin_of, opened, prepare_tokens
from strop_child.tokenizer_folder import end_tokens

from .tokenizer_folders import CASES, TEXTS, save

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "tokenizers.json").read_text())["cases"]


@pytest.mark.parametrize("name", CASES)
def test_ids_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    folder, expected = save(name, tmp_path), REFERENCE[name]
    found = opened(str(folder / "tokenizer.json"))
    assert [found.encode(text, add_special_tokens=False).ids for text in TEXTS] == expected["ids"]
    assert begin_of(found) == expected["begin"]
    assert end_tokens(str(folder / "tokenizer.json")) == [expected["end"]]


@pytest.mark.parametrize(("saved", "plain"), [("llama3-cut", "llama3"), ("llama3-padded", "llama3"), ("llama2-cut", "llama2")])
def test_a_truncation_or_padding_that_was_saved_cuts_no_text(tmp_path: Path, saved: str, plain: str) -> None:
    text = tmp_path / "eval.txt"
    text.write_text("once upon a time there was a little girl\n" * 200)
    rows = []
    for name in (saved, plain):
        out = save(name, tmp_path / name)
        told = prepare_tokens(str(text), str(out / "tokenizer.json"), 64, 2000, 512, str(out))
        rows.append((told, np.load(out / "tokens.npy").tolist()))
    assert rows[0] == rows[1]
    assert rows[0][0]["count"] > 20


def test_a_question_of_many_tokens_is_whole(tmp_path: Path) -> None:
    folder = save("llama3-cut", tmp_path)
    told = {"prompt": "once upon a time " * 20, "choices": ["the cat", "the dog"], "answer": 1}
    (tmp_path / "q.jsonl").write_text("\ufeff" + json.dumps(told) + "\n", encoding="utf-8")  # a byte order mark is no part of it
    assert prepare_questions(str(tmp_path / "q.jsonl"), str(folder / "tokenizer.json"), 256, 512, str(tmp_path))["rows"] == 2
    lengths = np.load(tmp_path / "question_rows.npy")[:, 1]
    assert lengths.min() > 60


def test_a_byte_order_mark_is_no_token(tmp_path: Path) -> None:
    folder = save("qwen2", tmp_path)
    rows = []
    for mark in ("", "\ufeff"):
        (tmp_path / "eval.txt").write_text(mark + "the cat sat on the mat. " * 50, encoding="utf-8")
        prepare_tokens(str(tmp_path / "eval.txt"), str(folder / "tokenizer.json"), 16, 32, 512, str(tmp_path))
        rows.append(np.load(tmp_path / "tokens.npy").tolist())
    assert rows[0] == rows[1]


LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|begin_of_text|>{{ m.role }}\n\n{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
GEMMA = "{{ bos_token }}{% for m in messages %}{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
PHI3 = "{% for m in messages %}{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"


@pytest.mark.parametrize(
    ("name", "template", "written", "own"),
    [
        ("llama3", LLAMA3, "<|eot_id|>", "<|eot_id|>"),
        ("qwen2", CHATML, "<|im_end|>", "<|im_end|>"),
        ("gemma", GEMMA, "<end_of_turn>", "<eos>"),
        ("phi3", PHI3, "<|end|>", "<|endoftext|>"),
        ("mistral", "{% for m in messages %}[{{ m.content }}]{% endfor %}", "", "</s>"),  # writes nothing special behind it
        ("mistral", "{% for m in messages if m.role == 'user' %}{{ m.content }}</s>{% endfor %}", "", "</s>"),  # leaves it out
        ("mistral", "{{ raise_exception('no system message') }}", "", "</s>"),
    ],
)  # fmt: skip
def test_an_answer_ends_where_the_chat_template_ends_it(tmp_path: Path, name: str, template: str, written: str, own: str) -> None:
    path = str(save(name, tmp_path) / "tokenizer.json")
    known = opened(path)
    expected = {known.token_to_id(token) for token in (written, own) if token}
    assert end_tokens(path, template, "<bos>", own) == sorted(expected)
