"""What outcome a set of gate results allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.verdict import Gate, GateResult, Verdict

RESULTS = ["PASS", "FAIL", "INCONCLUSIVE", "UNMEASURED"]
pairs = st.lists(st.tuples(st.sampled_from(["must", "goal"]), st.sampled_from(RESULTS)), min_size=1, max_size=8)


def verdict(found):
    return Verdict(results=tuple(GateResult(gate=Gate(metric="speedup", kind=k), result=r, reason="") for k, r in found))


@pytest.mark.parametrize(
    ("must", "goal", "outcome"),
    [
        ("PASS", "PASS", "chosen"),
        ("PASS", "FAIL", "provisional"),
        ("PASS", "NOT APPLICABLE", "chosen"),
        ("PASS", "INCONCLUSIVE", "provisional"),
        ("PASS", "UNMEASURED", "provisional"),
        ("UNMEASURED", "PASS", "provisional"),
        ("FAIL", "PASS", "none"),
        ("INCONCLUSIVE", "PASS", "none"),
    ],
)
def test_outcome(must, goal, outcome):
    assert verdict([("must", must), ("goal", goal)]).outcome == outcome


@given(pairs)
def test_chosen_means_that_everything_passed(found):
    everything = all(result == "PASS" for _, result in found)
    assert (verdict(found).outcome == "chosen") == everything
    assert (verdict(found).missed == ()) == everything


@given(pairs)
def test_a_must_that_fails_or_stays_open_leaves_none(found):
    broken = any(kind == "must" and result in ("FAIL", "INCONCLUSIVE") for kind, result in found)
    assert (verdict(found).outcome == "none") == broken
