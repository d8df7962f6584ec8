"""JSON that came from outside: bounded in size and depth, and numbers that are what their names say."""

import json
import reprlib
from typing import Any

from members import size_of
from refusal import ModelError

MOST_BYTES = 10 << 20
"""Of a configuration; real ones have kilobytes. Parsed it may take thirty times as much memory."""
AGAIN = "copy it again from where the model came from"


def read_object(path: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ModelError: too large, too deep, or none.
    """
    size = size_of(path)
    if size > most:
        raise ModelError(f"{path}: {size / 1e6:.0f} MB of JSON, at most {most / 1e6:.0f} MB are read", AGAIN)
    with open(path, "rb") as f:
        text = f.read(most)
    return parsed(text, path)


def parsed(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ModelError(f"{where}: JSON nested too deep", AGAIN) from None
    except ValueError as error:
        raise ModelError(f"{where}: not readable JSON: {shown(str(error))}", AGAIN) from None
    if not isinstance(value, dict):
        raise ModelError(f"{where}: a JSON {type(value).__name__}, an object is expected", AGAIN)
    return value


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
