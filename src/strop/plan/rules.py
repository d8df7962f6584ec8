"""`advice.toml`, typed: its rules, and whether a rule's condition holds. Pure."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from strop.core.noun import Noun

PURPOSES = ("any", "prototyping", "enterprise", "mobile", "realtime", "cross-platform")
Fact = str | float | bool | tuple[str, ...]
When = dict[str, Any]


class Platform(Noun):
    name: str
    title: str
    when: When
    primary: str = ""
    primary_why: str = ""
    secondary: str = ""
    secondary_why: str = ""
    quantization: str
    today: str = ""


class Branch(Noun):
    name: str
    ask: str
    when: When
    pick: tuple[str, ...]
    strategy: str


class Requirement(Noun):
    name: str
    purposes: tuple[str, ...]
    grades: dict[str, str]


class Use(Noun):
    name: str
    when: When
    frameworks: dict[str, dict[str, Any]]


class Order(Noun):
    purpose: str
    frameworks: tuple[str, ...]


class Blocker(Noun):
    """`soft` ones warn: the framework runs the model, but not as well as its name promises.

    One that `yields` holds unless the framework, or a recipe of it, is asked for by name.
    """

    name: str
    framework: str
    when: When
    what: str
    remedy: str
    soft: bool = False
    yields: bool = False


class Rules(Noun):
    """The file, typed."""

    schema_version: int = 1
    frameworks: tuple[str, ...]
    titles: dict[str, str]
    points: dict[str, Any]
    grades: dict[str, float]
    platform: tuple[Platform, ...]
    tree: tuple[Branch, ...]
    tensor_quantization: str
    requirement: tuple[Requirement, ...]
    use: tuple[Use, ...]
    order: tuple[Order, ...]
    blocker: tuple[Blocker, ...]


def parse_rules(text: str) -> Rules:
    """The rules of a file like `advice.toml`."""
    raw = tomllib.loads(text)
    raw["schema_version"] = raw.pop("schema", 1)
    return Rules.model_validate(raw)


@cache
def rules() -> Rules:
    """The shipped rules."""
    return parse_rules(files("strop.plan").joinpath("advice.toml").read_text(encoding="utf-8"))


def holds(when: When, facts: Mapping[str, Fact]) -> bool:
    """Whether every condition is met; the head of `advice.toml` tells the forms."""
    for key, wanted in when.items():
        if key == "any":
            met = any(holds(part, facts) for part in wanted)
        elif key.startswith("not "):
            met = not _met(facts.get(key.removeprefix("not ")), wanted)
        else:
            met = _met(facts.get(key), wanted)
        if not met:
            return False
    return True


def _met(fact: Fact | None, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_met(fact, one) for one in wanted)
    if fact is None:
        return False
    if isinstance(fact, tuple):
        return any(_met(one, wanted) for one in fact)
    if isinstance(wanted, str) and wanted[:1] in "<>" and isinstance(fact, (int, float)):
        bound = float(wanted[1:])
        return fact > bound if wanted[0] == ">" else fact < bound
    if isinstance(wanted, str) and isinstance(fact, str):
        return fact.lower() == wanted.lower()
    return bool(fact == wanted)
