"""Records of an older schema, brought to the present one when they are read. Nothing on disk is changed.

A record that Strop cannot read is a run lost, or a bundle that nobody can verify any more: so a schema, once written, is read for
ever. Whoever changes what is written adds a step here, and a recorded example to the tests.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from strop.core.noun import SCHEMA

Raw = dict[str, Any]
CAST = re.compile(r"(.+): (\w+) cast to (\w+)")
REFUSED = "not offered: "


def migrated(name: str, value: Raw, schema: int) -> Raw:
    """The record in the present schema.

    Args:
        name: of its file. value: without its schema, of which it is.
    """
    for since in range(schema, SCHEMA):
        step = STEPS.get((name, since))
        value = step(value) if step is not None else value
    return value


def data_1(value: Raw) -> Raw:
    """What was cast to another type stood among the notes."""
    found = {note: match.groups() for note in value.get("notes", []) if (match := CAST.fullmatch(note))}
    casts = [list(parts) for parts in found.values()]
    return {"casts": casts, **value, "notes": [note for note in value.get("notes", []) if note not in found]}


def outcome_1(value: Raw) -> Raw:
    """An offer's reason said in words whether it was refused. The family was known by what a language model is called with."""
    family = "tensor" if value["task"].get("language") is None else "llm"
    task = {"family": family, **value["task"]}
    return {**value, "task": task, "offers": [_offer_1(offer) for offer in value["offers"]]}


def _offer_1(offer: Mapping[str, Any]) -> Raw:
    if offer.get("recipe") is not None:
        return dict(offer)
    return {**offer, "reason": "", "refused": offer["reason"].removeprefix(REFUSED) or "not asked for"}


STEPS: dict[tuple[str, int], Callable[[Raw], Raw]] = {
    ("data.json", 0): data_1,  # the data worker, which writes it, names no schema
    ("outcome.json", 1): outcome_1,
}
"""File and schema → what brings it to the next one."""
