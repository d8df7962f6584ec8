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
FILES = "chat_template.jinja", "tokenizer_config.json"


class ChatError(Exception):
    """The template is refused, or refuses the conversation."""


def render(template: str, messages: Sequence[dict[str, str]], begin: str = "", end: str = "") -> str:
    """The conversation as the model was trained to read it, up to where its answer begins.

    The template sees the messages and its own words only: no attributes of Python, no files, no long loops.

    Args:
        messages: each with `role` and `content`. begin, end: the texts of the model's own tokens.

    Raises:
        ChatError: the template is broken, reaches for what it may not, or refuses these messages.
    """
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(text: str) -> None:
        raise ChatError(f"the chat template refuses: {text}")

    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    room.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    room.globals.update(raise_exception=refuse, strftime_now=lambda form: datetime.now().strftime(form))
    try:
        made = room.from_string(template)
        told = made.render(messages=list(messages), add_generation_prompt=True, bos_token=begin, eos_token=end, tools=None)
        told.encode()  # half a character, which no tokenizer takes, is a ValueError
    except (TemplateError, *REFUSED) as error:
        raise ChatError(f"the chat template cannot be rendered: {(str(error).splitlines() or [''])[0][:200]}") from None
    return told


def read_chat(path: str) -> dict[str, str]:
    """The template of a folder as it is written there, and the texts of its first and last token; empty where there is none."""
    from strop_child.checked_json import read_object  # not in a bundle, whose template is in its manifest

    told: dict[str, Any] = {}
    if os.path.isfile(os.path.join(path, FILES[1])):
        told = read_object(os.path.join(path, FILES[1]))
    template = told.get("chat_template")
    if isinstance(template, list):  # several by name: the usual one
        template = next((t.get("template") for t in template if isinstance(t, dict) and t.get("name") == "default"), None)
    if os.path.isfile(os.path.join(path, FILES[0])):
        with open(os.path.join(path, FILES[0]), "rb") as file:
            try:
                template = file.read(4 * MOST + 1).decode("utf-8")
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
