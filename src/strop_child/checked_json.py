"""JSON that came from outside: bounded in size and depth, texts that can be written, and numbers that are what their names say.

The parent has the same rules in `strop.core.foreign`. Stdlib only.
"""

import json
import os
import re
import reprlib
from typing import Any

from strop_child.refusal import ModelError

MOST_BYTES = 10 << 20
"""Of a configuration; real ones have kilobytes. Parsed it may take thirty times as much memory."""
MOST_DEPTH = 100
"""Objects and lists inside one another."""
MOST_NUMBER = 1e300
AGAIN = "copy it again from where the model came from"
SURROGATE = re.compile("[\ud800-\udfff]")


def read_object(path: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelError: no plain file, too large, too deep, or none.
    """
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no plain file", AGAIN)
    size = os.path.getsize(path)
    if size > most:
        raise ModelError(f"{path}: {size / 1e6:.0f} MB of JSON, at most {most / 1e6:.0f} MB are read", AGAIN)
    with open(path, "rb") as f:
        text = f.read(most)
    return parsed(text, path)


def parsed(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = values(text)
    except ValueError as error:
        raise ModelError(f"{where}: {error}", AGAIN) from None
    if not isinstance(value, dict):
        raise ModelError(f"{where}: a JSON {type(value).__name__}, an object is expected", AGAIN)
    return value


def values(text: bytes | str) -> Any:
    """Plain values of any kind.

    Raises:
        ValueError: not UTF-8, not JSON, nested too deeply, or with an unpaired surrogate; one line says which.
    """
    if text[:3] == b"\xef\xbb\xbf" or text[:1] == "\ufeff":
        raise ValueError("begins with a UTF-8 byte order mark (BOM), which JSON does not allow; save it as UTF-8 without one")
    deep = f"JSON nested too deep: at most {MOST_DEPTH} levels are read"
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError(deep) from None
    except ValueError as error:
        raise ValueError(f"not readable JSON: {shown(str(error))}") from None
    level = [value]
    for _ in range(MOST_DEPTH):
        outer = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        level = [inner for each in outer for inner in each if isinstance(inner, (dict, list))]
        if not level:
            break
    else:
        raise ValueError(deep)
    half = half_in(value)
    if half is not None:
        raise ValueError(f"{half}: an unpaired surrogate, which cannot be written as UTF-8")
    return value


def half_in(value: Any, key: str = "") -> str | None:
    """The key of the first text that holds a lone surrogate, or None."""
    if isinstance(value, str):
        return (SURROGATE.sub("?", key) or "a text") if SURROGATE.search(value) else None
    if isinstance(value, dict):
        for name, inner in value.items():
            found = SURROGATE.sub("?", name) if SURROGATE.search(name) else half_in(inner, f"{key}.{name}" if key else name)
            if found is not None:
                return found
    elif isinstance(value, list):
        return next((found for inner in value if (found := half_in(inner, key)) is not None), None)
    return None


def shown(value: object) -> str:
    """Short and on one line, whatever it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    try:
        return value[:120].replace("\n", " ") if isinstance(value, str) else short.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a number beyond all measure"


def quoted(value: object) -> str:
    """As `shown`, a text in quotes."""
    return repr(shown(value)) if isinstance(value, str) else shown(value)


class Section:
    """One object of a configuration. Every read checks; of several names the first that is there counts."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def has(self, *keys: str) -> bool:
        return any(self.values.get(key) is not None for key in keys)

    def whole(self, *keys: str, most: int, least: int = 0) -> int | None:
        """A whole number within limits; of a list (a value a layer) the largest. None where it is absent."""
        key = next((k for k in keys if self.values.get(k) is not None), None)
        if key is None:
            return None
        value = self.values[key]
        numbers = value if isinstance(value, list) and 0 < len(value) <= 10_000 else [value]
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
                raise ModelError(
                    f"{self.where}: {key} is {quoted(number)}, a whole number from {least} to {most} is expected", AGAIN
                )
        return int(max(numbers))

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise ModelError(f"{self.where}: {key} is {quoted(value)}, a text is expected", AGAIN)
        return (value or "")[:200]

    def number(self, key: str) -> float | None:
        """A finite number. None where it is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MOST_NUMBER:
            raise ModelError(f"{self.where}: {key} is {quoted(value)}, a finite number is expected", AGAIN)
        return float(value)

    def wholes(self, key: str, most: int) -> list[int] | None:
        """One whole number from 0 on, or a list of them. None where it is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        found = value if isinstance(value, list) else [value]
        for number in found:
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
                raise ModelError(f"{self.where}: {key} is {quoted(value)}, whole numbers from 0 to {most} are expected", AGAIN)
        return found

    def flag(self, key: str) -> bool:
        return self.values.get(key) is True

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ModelError(f"{self.where}: {key} is {quoted(value)}, a list of texts is expected", AGAIN)
        return [v[:200] for v in value[:10_000]]

    def part(self, *keys: str) -> "Section | None":
        """A nested object; None where it is absent."""
        key = next((k for k in keys if self.values.get(k) is not None), None)
        if key is None:
            return None
        value = self.values[key]
        if not isinstance(value, dict):
            raise ModelError(f"{self.where}: {key} is {quoted(value)}, an object is expected", AGAIN)
        return Section(value, f"{self.where}: {key}")
