"""A model's chat template, rendered in a sandbox. Needs jinja2; run here first, and shipped in the bundle."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

MOST = 1 << 16
"""Letters that a template may have."""
TRIAL = ({"role": "user", "content": "Hello"},)
REFUSED = ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError
"""What a hostile or broken template raises beside Jinja's own errors."""
ANSWER = "answer-0123456789"
"""Stands for the model's answer where the template is asked what it writes behind one."""
FILES = "chat_template.jinja", "tokenizer_config.json", "chat_template.json"


class ChatError(Exception):
    """The template is refused, or refuses the conversation."""


def render(
    template: str, messages: Sequence[dict[str, str]], begin: str = "", end: str = "", answering: bool = True
) -> str:  # fmt: skip
    """The conversation as the model was trained to read it, up to where its answer begins.

    The template sees the messages and its own words only: no attributes of Python, no files, no long loops. Where it leaves out
    what the last message says, it expects contents as lists of parts, and gets them so.

    Args:
        messages: each with `role` and `content`. begin, end: the texts of the model's own tokens.
        answering: whether the beginning of an answer is written too.

    Raises:
        ChatError: the template is broken, reaches for what it may not, or refuses these messages.
    """
    from jinja2 import TemplateError

    more = {"add_generation_prompt": answering, "bos_token": begin, "eos_token": end, "tools": None, "documents": None}
    last = str(messages[-1]["content"]).strip() if messages else ""
    parts = [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages]
    try:
        made = _room().from_string(template)
        told = made.render(messages=list(messages), **more)
        if last not in told:
            listed = made.render(messages=parts, **more)
            told = listed if last in listed else told
        told.encode()  # half a character, which no tokenizer takes, is a ValueError
    except (TemplateError, *REFUSED) as error:
        raise ChatError(f"the chat template cannot be rendered: {(str(error).splitlines() or [''])[0][:200]}") from None
    return str(told)


def _room() -> Any:
    """A sandbox with what transformers gives a template: loop controls, `{% generation %}`, and its own filter and functions."""
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Marks what the model itself says, for training; here its contents are written as they are."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

        def _said(self, caller: Any) -> Any:
            return caller()

    def refuse(text: str) -> None:
        raise ChatError(f"the chat template refuses: {text}")

    def tojson(
        value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
    ) -> str:  # fmt: skip
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])
    room.filters["tojson"] = tojson
    room.globals.update(raise_exception=refuse, strftime_now=lambda form: datetime.now().strftime(form))
    return room


def after_answer(template: str, begin: str, end: str) -> str:
    """What the template writes behind the model's answer; empty where it leaves answers out."""
    said = render(template, (*TRIAL, {"role": "assistant", "content": ANSWER}), begin, end, answering=False)
    return said.rpartition(ANSWER)[2] if ANSWER in said else ""


def read_chat(path: str) -> dict[str, str]:
    """The template of a folder as it is written there, and the texts of its first and last token; empty where there is none."""
    from strop_child.checked_json import read_object  # not in a bundle, whose template is in its manifest

    told: dict[str, Any] = {}
    if os.path.isfile(os.path.join(path, FILES[1])):
        told = read_object(os.path.join(path, FILES[1]))
    template = told.get("chat_template")
    if isinstance(template, list):  # several by name: the usual one
        template = next((t.get("template") for t in template if isinstance(t, dict) and t.get("name") == "default"), None)
    if template is None and os.path.isfile(os.path.join(path, FILES[2])):
        template = read_object(os.path.join(path, FILES[2])).get("chat_template")
    if os.path.isfile(os.path.join(path, FILES[0])):
        with open(os.path.join(path, FILES[0]), "rb") as file:
            try:
                template = file.read(4 * MOST + 1).decode("utf-8-sig")
            except UnicodeDecodeError:
                raise ChatError(f"{FILES[0]} is not UTF-8") from None
    if not isinstance(template, str):
        return {}
    return {"template": template, "begin": text_of(told.get("bos_token")), "end": text_of(told.get("eos_token"))}


def try_chat(template: str, begin: str, end: str) -> bool:
    """Whether there is a template; it has then rendered a conversation.

    Raises:
        ChatError: it is too long, or cannot be rendered.
    """
    if len(template) > MOST:
        raise ChatError(f"the chat template has more than {MOST} letters")
    if template.strip():
        render(template, TRIAL, begin, end)
    return bool(template.strip())


def text_of(token: Any) -> str:
    """A special token's text, which some configurations wrap."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""
