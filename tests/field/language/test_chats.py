"""Chat templates of all forms that transformers renders."""

import json
from pathlib import Path

import pytest

from strop_child.chat import after_answer, read_chat, render, try_chat

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go"}]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}"
         "<u>{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}", "<u>HiYes?<u>Go<a>"),
        ("{%- for m in messages %}\n{%- generation -%}\n  {{ m.content }}\n{%- endgeneration %}\n{%- endfor %}", "HiYes?Go"),
        ("{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}|{% endif %}{% endfor %}"
         "{% endfor %}", "Hi|Yes?|Go|"),
        ("{% if tools %}T{% endif %}{% if documents %}D{% endif %}{{ messages[-1].content }}", "Go"),
        ("{{ messages[-1] | tojson(ensure_ascii=True, sort_keys=True) }}", '{"content": "Go", "role": "user"}'),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% endfor %}", "Yes?Go"),
    ],
)  # fmt: skip
def test_a_template_renders_as_in_transformers(template: str, said: str) -> None:
    assert render(template, TURNS) == said
    assert try_chat(template, "", "")


def test_what_a_template_writes_behind_an_answer() -> None:
    assert after_answer("{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}", "", "") == "<end>\n"
    assert after_answer("{{ messages[0].content }}", "", "") == ""


def test_a_template_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "json {{ messages[0].content }}"}))
    assert read_chat(str(tmp_path))["template"].startswith("json")
    (tmp_path / "chat_template.jinja").write_bytes(b"\xef\xbb\xbfjinja {{ messages[0].content }}")
    assert read_chat(str(tmp_path))["template"].startswith("jinja")
