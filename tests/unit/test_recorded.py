"""A run that was recorded once: its raw samples give the same figures, verdicts and choice today."""

import shlex

import pytest
from tests.recorded.replay import replay, reports

from strop.bundle.verify import verify_bundle

CHANGED = "flags are told in the order of the options, and --other-shapes and --prefer too where a strop.toml may say otherwise"
"""What is wanted to differ from the recorded report, in `reproduce`."""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return replay("tensor", tmp_path_factory.mktemp("recorded"))


def test_nothing_is_measured_again(found):
    assert not found.touched


def test_the_choice_and_its_reason_are_the_recorded_ones(found):
    assert found.now.outcome == found.then.outcome
    assert found.now.choice == found.then.choice


def test_every_candidates_figures_are_the_recorded_ones(found):
    assert [r.name for r in found.now.results] == [r.name for r in found.then.results]
    for then, now in zip(found.then.results, found.now.results, strict=True):
        assert now == then


def test_offers_are_the_recorded_ones(found):
    assert found.now.offers == found.then.offers


def test_the_report_is_the_recorded_one(found):
    then, now = reports(found)
    assert list(now) == list(then)
    assert set(shlex.split(then.pop("reproduce"))) <= set(shlex.split(now.pop("reproduce"))), CHANGED
    for key, value in then.items():
        assert now[key] == value, key


def test_a_recorded_bundle_is_whole_today(found):
    folder = found.run.folder.folder / found.then.bundle_name
    manifest = verify_bundle(str(folder))
    assert manifest.recipe.name == found.then.chosen.name


def test_a_bundle_names_no_place_of_the_machine_that_made_it(found):
    folder = found.run.folder.folder / found.then.bundle_name
    written = [path for path in folder.rglob("*") if path.suffix in (".json", ".md", ".txt", ".py")]
    assert written and not [path.name for path in written if str(found.run.store.root) in path.read_text(encoding="utf-8")]
