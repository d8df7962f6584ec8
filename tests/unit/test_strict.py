"""Everything that Strop writes is strict JSON: a number that is not finite is null, and an interval without an end comes back."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.channels import worst
from strop.core.strict import to_json
from strop.core.verdict import Interval
from strop.report.evidence import NO_EVIDENCE
from strop.report.render.html import page
from strop.report.render.json import report
from strop.store.store import load, read_json, save, write_json

from .test_report import outcome, result


def strict(text):
    """Parses as every JSON reader does."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


ONE_EXAMPLE = worst({"y": np.array([[1.0, 2.0]])}, {"y": np.array([[1.0, 3.0]])}).figure


@given(st.recursive(st.floats() | st.text() | st.none() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_value_is_strict_json_and_finite_ones_are_unchanged(value):
    read = strict(to_json(value))
    if "NaN" not in json.dumps(value) and "Infinity" not in json.dumps(value):
        assert read == value


def test_one_evaluation_example_is_reported_in_strict_json():
    assert ONE_EXAMPLE.high == math.inf
    fast = result("fast", 3.0)
    found = outcome(fast.model_copy(update={"retained": ONE_EXAMPLE, "quality": {"difference": ONE_EXAMPLE}}), chosen="fast")
    document = strict(to_json(report(found, NO_EVIDENCE)))
    assert document["chosen"]["accuracy_retained"]["high"] is None
    html = page(found, NO_EVIDENCE)
    strict(html.partition('id="data">')[2].partition("</script>")[0])


@pytest.mark.parametrize("figure", [ONE_EXAMPLE, Interval(value=0, low=-math.inf, high=math.inf)])
def test_an_interval_without_an_end_is_stored_and_comes_back(tmp_path, figure):
    save(tmp_path / "noun.json", figure)
    strict((tmp_path / "noun.json").read_text())
    assert load(tmp_path / "noun.json", Interval) == figure
    write_json(tmp_path / "plain.json", {"figure": figure.model_dump()})
    assert read_json(tmp_path / "plain.json")["figure"]["high"] is None
