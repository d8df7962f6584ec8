"""What is written to disk changes on purpose only, and what was written once is read for ever."""

import hashlib
import json
from pathlib import Path

import pytest

from strop.core.candidate import Candidate
from strop.core.manifest import Manifest
from strop.core.measurement import Check, Company, Pair
from strop.core.noun import SCHEMA
from strop.core.outcome import Outcome
from strop.core.profile import Profiled
from strop.core.race import RaceSet
from strop.run.checking import Footprint
from strop.store.migration import STEPS, migrated
from strop.store.output import Record
from strop.store.store import StoreError, read_json

RECORDS = (Candidate, Check, Company, Footprint, Manifest, Outcome, Pair, Profiled, RaceSet, Record)
KNOWN = Path(__file__).parent.parent / "data" / "schemas.json"
WORDS = ("description", "title", "default")


def bare(value, names=False):
    """A JSON schema without what only people read. names: whether the keys are those of fields."""
    if isinstance(value, dict):
        return {k: bare(v, k in ("properties", "$defs")) for k, v in value.items() if names or k not in WORDS}
    return [bare(v) for v in value] if isinstance(value, list) else value


def fingerprint(record):
    schema = bare(record.model_json_schema())
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_a_record_has_the_form_that_its_schema_is_known_for(record):
    """A field that is new and has a default only needs its digest here. Whatever else changes needs another number in
    `core/noun.py`, and a step in `store/migration.py`."""
    known = json.loads(KNOWN.read_text())
    assert known["schema"] == SCHEMA
    assert known["records"].get(record.__name__) == fingerprint(record)


def test_there_is_a_step_for_every_schema_before_this_one():
    assert {since for _, since in STEPS} <= set(range(SCHEMA))
    assert any(since == SCHEMA - 1 for _, since in STEPS)


def test_an_outcome_of_schema_1_is_read():
    old = {
        "task": {"evaluation": {"count": 3}, "language": None},
        "offers": [
            {"name": "int8", "reason": "usual", "recipe": {"name": "int8"}},
            {"name": "int4", "reason": "not offered: too bold", "recipe": None},
            {"name": "int2", "reason": "not asked for"},
        ],
    }  # fmt: skip
    new = migrated("outcome.json", old, 1)
    told = [(o["reason"], o.get("refused", "")) for o in new["offers"]]
    assert told == [("usual", ""), ("", "too bold"), ("", "not asked for")]
    assert new["task"] == {"family": "tensor", **old["task"]}
    assert old["offers"][1]["reason"] == "not offered: too bold", "what was read is left as it was"
    assert migrated("outcome.json", new, SCHEMA) == new


def test_data_of_an_older_worker_say_what_was_cast():
    new = migrated("data.json", {"count": 2, "notes": ["x: uint8 cast to float32", "3 items were left out"]}, 0)
    assert new == {"count": 2, "notes": ["3 items were left out"], "casts": [["x", "uint8", "float32"]]}
    assert migrated("data.json", new, 0) == new


def test_a_record_that_is_not_of_its_schema_is_damaged(tmp_path):
    (tmp_path / "outcome.json").write_text('{"schema": 1, "offers": []}')
    with pytest.raises(StoreError, match="marked as schema 1"):
        read_json(tmp_path / "outcome.json")
