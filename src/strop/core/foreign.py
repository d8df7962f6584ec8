"""What came from outside: JSON and TOML within limits of size and depth, and texts that steer nothing. Pure.

The child side has the same rules for JSON in `strop_child/checked_json.py`, which imports nothing of Strop.
"""

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

MOST_JSON, MOST_TOML = 10 << 20, 1 << 20
"""Bytes; real files have kilobytes. Parsed they may take thirty times as much memory."""
MOST_DEPTH = 100
"""Objects and lists inside one another."""
STEERING = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)  # what moves a terminal's cursor, breaks a line, turns the direction of writing, or cannot be written as UTF-8
DOTTED = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_DEPTH}}}""")
"""A key of more parts than there may be levels."""
SURROGATE = re.compile(r"[\ud800-\udfff]")


class ForeignError(ValueError):
    """What was read is refused; the text says why, on one line, without the file's name."""


def clean(text: str, keep: str = "") -> str:
    """A foreign text with a replacement character for whatever would steer a terminal, break a line or not be writable.

    Args:
        keep: characters that may stay, such as line breaks.
    """
    return STEERING.sub(lambda found: found.group() if found.group() in keep else "�", text)


def cleaned(value: Any) -> Any:
    """Every text in plain JSON, keys too."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): cleaned(inner) for key, inner in value.items()}
    return [cleaned(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def writable(text: str) -> str:
    """A text that UTF-8 can hold: lone surrogates, such as Python makes of undecodable file names, become `�`."""
    return SURROGATE.sub("�", text)


def in_markdown(text: str) -> str:
    """A foreign text on one line of Markdown, where it opens no tag, no link and no further cell of a table."""
    line = clean(text.replace("\r", "").replace("\n", " ").replace("\t", " ")).replace("<", "&lt;").replace("](", "]&#40;")
    return re.sub(r"\\+(?=\|)", lambda found: "&#92;" * len(found.group()), line).replace("|", "\\|")


def fenced(text: str, language: str = "") -> str:
    """A foreign text as a block of code, whose fence is longer than any in the text."""
    kept = clean(text, keep="\n\t")
    longest = max((len(run) for run in re.findall(r"`+", kept)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{kept}\n{fence}"


def parse_json(text: bytes, most: int = MOST_JSON) -> Any:
    """Plain values.

    Raises:
        ForeignError: too large, nested too deeply, not UTF-8, not JSON, or with an unpaired surrogate.
    """
    return _parsed(text, most, json.loads, "JSON")


def parse_object(text: bytes, most: int = MOST_JSON) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ForeignError: as `parse_json`, or another value.
    """
    value = parse_json(text, most)
    if not isinstance(value, dict):
        raise ForeignError(f"expected a JSON object, found {kind(value)}")
    return value


def parse_toml(text: bytes, most: int = MOST_TOML) -> dict[str, Any]:
    """Plain values; dates and times as texts.

    Raises:
        ForeignError: too large, nested too deeply, not UTF-8, or not TOML.
    """

    def parse(told: str) -> Any:
        if DOTTED.search(told):  # which the library reads in a time that grows with the square of its parts
            raise RecursionError
        return json.loads(json.dumps(tomllib.loads(told.removeprefix("\ufeff")), default=str))

    found: dict[str, Any] = _parsed(text, most, parse, "TOML")
    return found


def _parsed(text: bytes, most: int, parse: Callable[[str], Any], form: str) -> Any:
    if len(text) > most:
        raise ForeignError(f"too large: more than {most / 1e6:.0f} MB of {form}")
    try:
        value = parse(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ForeignError(f"not valid {form}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ForeignError(f"nested too deeply: at most {MOST_DEPTH} levels of {form} are read") from None
    except ValueError as error:
        raise ForeignError(f"not valid {form}: {clean(str(error))[:200]}") from None
    require_shallow(value, form)
    half = half_in(value)
    if half is not None:
        raise ForeignError(f"{half}: an unpaired surrogate, which cannot be written as UTF-8")
    return value


def require_shallow(whole: Any, form: str = "JSON") -> None:
    """Raises ForeignError where objects and lists lie too deep inside one another; whoever walks them may then recurse."""
    level = [whole]
    for _ in range(MOST_DEPTH):
        outer = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        level = [inner for each in outer for inner in each if isinstance(inner, (dict, list))]
        if not level:
            return
    raise ForeignError(f"nested too deeply: at most {MOST_DEPTH} levels of {form} are read")


def half_in(value: Any, key: str = "") -> str | None:
    """The key of the first text that holds a lone surrogate, or None."""
    if isinstance(value, str):
        return (writable(key) or "the text") if SURROGATE.search(value) else None
    if isinstance(value, dict):
        pairs = [(f"{key}.{name}" if key else name, inner) for name, inner in value.items()]
        odd = next((name for name, _ in pairs if SURROGATE.search(name)), None)
        return writable(odd) if odd is not None else next((k for n, v in pairs if (k := half_in(v, n)) is not None), None)
    return next((k for v in value if (k := half_in(v, key)) is not None), None) if isinstance(value, list) else None


def kind(value: object) -> str:
    """What a plain value is, in JSON's words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
