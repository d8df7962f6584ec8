"""The recorded run of a language model: its raw samples give the same figures, verdicts and choice today."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.recorded.replay import replay, reports


@pytest.mark.slow
def test_a_recorded_run_gives_the_same_today(tmp_path: Path, own_environments: Callable[..., None]) -> None:
    own_environments("transformers", "llamacpp", "openvino")
    found = replay("language", tmp_path)
    assert not found.touched
    assert found.now.offers == found.then.offers
    assert found.now.results == found.then.results
    assert (found.now.outcome, found.now.choice) == (found.then.outcome, found.then.choice)
    then, now = reports(found)
    assert list(now) == list(then)
    assert {key: value for key, value in now.items() if key != "reproduce"} == {k: v for k, v in then.items() if k != "reproduce"}
