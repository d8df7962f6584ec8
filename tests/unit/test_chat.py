"""A chat template sees the messages and nothing else."""

import json
from pathlib import Path

import pytest

from strop_child.chat import MOST, ChatError, read_chat, render, try_chat

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go"}]
PLAIN = """{{ bos_token }}{% for m in messages %}
<|{{ m.role }}|>{{ m.content | trim }}{{ eos_token }}
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"""


def test_a_conversation_is_rendered_up_to_the_answer() -> None:
    assert render(PLAIN, TURNS, "<s>", "</s>") == (
        "<s><|user|>Hi</s>\n<|assistant|>Yes?</s>\n<|user|>Go</s>\n<|assistant|>"
    )  # fmt: skip
    assert render("{{ messages[0] | tojson }}", TURNS) == '{"role": "user", "content": "Hi"}'


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append('x') }}", "unsafe"),
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "Range too big"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].content + 1 }}", "concatenate"),
    ],
)
def test_what_a_template_may_not(template: str, said: str) -> None:
    with pytest.raises(ChatError, match=said):
        render(template, TURNS)


@pytest.mark.parametrize(
    ("told", "beside", "found"),
    [
        ({}, None, {}),
        ({"chat_template": PLAIN, "bos_token": {"content": "<s>"}}, None, {"template": PLAIN, "begin": "<s>", "end": ""}),
        ({"chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]}, None,
         {"template": "d", "begin": "", "end": ""}),
        ({"eos_token": "</s>"}, "own file", {"template": "own file", "begin": "", "end": "</s>"}),
    ],
)  # fmt: skip
def test_where_a_template_is_found(tmp_path: Path, told: dict, beside: str | None, found: dict) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    if beside is not None:
        (tmp_path / "chat_template.jinja").write_text(beside)
    assert read_chat(str(tmp_path)) == found


def test_a_template_is_tried_before_it_is_kept(tmp_path: Path) -> None:
    assert try_chat(PLAIN, "<s>", "</s>")
    assert not try_chat(" ", "", "")
    (tmp_path / "chat_template.jinja").write_text("x" * (2 * MOST))
    with pytest.raises(ChatError, match="more than"):
        try_chat(**read_chat(str(tmp_path)))
