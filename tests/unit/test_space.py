"""The space of recipes: who is asked, which offers stay, what a stranger's backend may not do."""

from dataclasses import replace
from pathlib import Path

import pytest

from strop.core.backend import Backend
from strop.core.errors import BackendError, ConfigError
from strop.core.inspection import Fit
from strop.core.recipe import Held, Offer, Recipe
from strop.plan.advise import advise
from strop.plan.discover import backends, require_runner
from strop.plan.inspection import model_from
from strop.plan.precision import fits, footprints
from strop.plan.space import by_role, follow, next_in_turn, offers, retuned, without_impossible

from .makers import inspection, model, recipe, target, task

OWN = (recipe("plain", "reference"), recipe("idle", "baseline-variant"), recipe("fast"), recipe("small"))


def backend(name, *recipes, runs=("null",)):
    found = [Offer(name=r.name, reason="because", recipe=r) for r in recipes]
    return Backend(name=name, work=Path(), runner=Path(), runs=runs, offer=lambda *_: found)


NULL = backend("null")


def names(*found, **options):
    asked = {b.name: b for b in found}
    return [o.name for o in offers(asked, model(), target(), task(), **options) if o.offered]


def test_a_backend_that_runs_models_needs_a_runner(tmp_path):
    null = backends()["null"]
    for runner in (None, tmp_path / "missing.py"):
        with pytest.raises(BackendError, match="'null' runs null, but has no runner"):
            require_runner(replace(null, runner=runner))
    require_runner(replace(null, runner=None, runs=(), builds=("null",)))


def test_the_built_in_backends_are_found_by_their_entry_points():
    assert {"null", "onnxruntime"} <= set(backends())


def test_only_backends_that_run_the_kind_are_asked():
    other = backend("other", recipe("alien", runtime="other"), runs=("tflite",))
    assert names(backend("null", *OWN), other) == ["plain", "idle", "fast", "small"]


def test_the_models_reader_gives_the_baseline_even_where_another_is_named():
    other = backend("other", recipe("theirs", runtime="other"))
    assert names(backend("null", *OWN), other, only=["other"]) == ["plain", "idle", "theirs"]
    assert names(backend("null", *OWN), other, only=["other"], names=["fast"]) == ["plain", "idle", "fast"]
    assert "theirs" not in names(backend("null", *OWN), other, only=["null"])


def test_named_recipes_stay_with_those_of_the_baseline():
    assert names(backend("null", *OWN), names=["small"]) == ["plain", "idle", "small"]


@pytest.mark.parametrize("options", [{"only": ["nobody"]}, {"names": ["nothing"]}])
def test_unknown_names_are_refused_with_the_known_ones(options):
    with pytest.raises(ConfigError, match=r"unknown|not offered") as refused:
        names(backend("null", *OWN), **options)
    assert "null" in refused.value.hint or "plain" in refused.value.hint


def test_a_recipe_offered_twice_and_a_missing_reference_are_the_backends_fault():
    with pytest.raises(BackendError, match="'fast' is offered twice"):
        names(backend("null", *OWN), backend("other", recipe("fast", runtime="other")))
    with pytest.raises(BackendError, match="no reference"):
        names(backend("null", *OWN[1:]))


def test_by_role():
    found = [Offer(name=r.name, reason="", recipe=r) for r in OWN] + [Offer(name="int4", refused="too bold")]
    assert [r.name for r in by_role(found, "candidate")] == ["fast", "small"]


def test_a_recipe_follows_the_tuned_settings_but_keeps_its_own():
    tuned = recipe("tuned", settings={"threads": 1, "graph": "basic"})
    mine = recipe("mine", settings={"graph": "all"}, follows_baseline=True)
    assert follow(mine, tuned).settings == {"threads": 1, "graph": "all"}
    stubborn = mine.model_copy(update={"follows_baseline": False})
    assert follow(stubborn, tuned) == stubborn
    stranger = mine.model_copy(update={"runtime": "other"})
    assert follow(stranger, tuned) == stranger


def test_a_retuned_recipe_tries_each_other_setting_once():
    variants = [
        recipe("fp32", settings={"threads": 2, "graph": "basic"}), recipe("fp32-1thread", settings={"threads": 1}),
        recipe("fp32-again", settings={"threads": 1}), recipe("else-9", runtime="other", settings={"threads": 9}),
    ]  # fmt: skip
    mine = recipe("int8", settings={"graph": "all"}, follows_baseline=True)
    found = {r.name: r.settings for r in retuned(mine, variants, NULL, target())}
    assert found == {"int8+plain": {"threads": 2, "graph": "all"}, "int8+1thread": {"threads": 1, "graph": "all"}}
    assert retuned(mine.model_copy(update={"follows_baseline": False}), variants, NULL, target()) == []


def test_a_runtimes_own_variants_are_tried_too():
    own = replace(backend("other"), variants=lambda settings, _: {"again": dict(settings), "streams": {**settings, "streams": 2}})
    mine = recipe("int8", runtime="other", settings={"threads": 2})
    found = {r.name: r.settings for r in retuned(mine, [], own, target())}
    assert found == {"int8+streams": {"threads": 2, "streams": 2}}


def test_a_backend_that_is_missing_says_so_instead_of_offering():
    other = backend("other", recipe("theirs", runtime="other"))
    asked = {b.name: b for b in (backend("null", *OWN), other)}
    found = offers(asked, model(), target(), task(), missing={"other": "not installed: do this"})
    assert [(o.why, o.offered) for o in found if o.name == "other"] == [("not installed: do this", False)]
    with pytest.raises(BackendError, match="not installed"):
        offers(asked, model(), target(), task(), only=["other"], missing={"other": "not installed: do this"})


def test_a_runtime_may_adopt_what_another_backend_makes():
    def adopt(theirs, *_):
        mine = recipe(f"other-{theirs.name}", runtime="other")
        return [Offer(name=mine.name, reason="runs it too", recipe=mine)] if theirs.name == "fast" else []

    other = replace(backend("other", recipe("theirs", runtime="other")), adopt=adopt)
    assert names(backend("null", *OWN), other)[-2:] == ["theirs", "other-fast"]


def test_what_inspect_did_not_promise_is_the_backends_fault():
    raw = {"inputs": [], "outputs": [], "parameters": 3}
    assert model_from(raw, model().artifact, "null").parameters == 3
    for wrong in ({"parameters": "many"}, {"surprise": 1}, {"inputs": [{"name": "x"}]}):
        with pytest.raises(BackendError, match="inspect"):
            model_from(raw | wrong, model().artifact, "null")


def test_what_mends_a_loss_of_accuracy_comes_first():
    bold, mender, usual = recipe("bold", turn=0), recipe("mender", turn=4, mends="bold"), recipe("usual", turn=1)
    assert next_in_turn([mender, usual, bold], []).name == "bold"
    assert next_in_turn([mender, usual], []).name == "usual"
    assert next_in_turn([mender, usual], ["bold"]).name == "mender"
    assert next_in_turn([recipe("first", turn=2), recipe("second", turn=2)], []).name == "first"


def test_what_is_only_slow_here_is_tried_where_it_is_asked_for_by_name():
    """MLX runs on Linux, if slowly; a tensor model it cannot run at all, whoever asks."""
    found = [Offer(name="mlx-4bit-g64", reason="because", recipe=recipe("mlx-4bit-g64", runtime="mlx"))]
    for model_, asked, offered in (
        ({"family": "llm", "modality": "text", "format": "huggingface"}, (), False),
        ({"family": "llm", "modality": "text", "format": "huggingface"}, ("mlx",), True),
        ({}, ("mlx",), False),
    ):
        advice = advise(inspection(**model_), target())
        left = without_impossible(found, advice, (), asked)
        assert left[0].offered == offered
    assert "--backend mlx" in without_impossible(found, advise(inspection(family="llm"), target()), ())[0].why


def test_a_recipe_that_is_reckoned_by_itself_may_fit_where_usual_precisions_do_not():
    """A gigabyte of weights at 4 bits, and a device of half of that."""
    fields = {"family": "llm", "modality": "text", "format": "huggingface", "parameters": 2_000_000_000}
    model_, small = inspection(**fields), target().model_copy(update={"memory_bytes": 500_000_000})
    common = fits(footprints(model_), small)
    assert {f.verdict for f in common} == {"does not fit"}
    held = Held(linear=2, embedding=2, head=2, cache=16)
    tight, bold = (recipe(name, runtime="llamacpp").model_copy(update={"held": held}) for name in ("tight", "bold"))
    found = [Offer(name=r.name, reason="because", recipe=r) for r in (tight, bold, recipe("plain", runtime="llamacpp"))]
    advice = advise(model_, small, fit=common)

    def own(one: Recipe) -> Fit | None:
        if one.held is None:
            return None
        verdict = "fits" if one.name == "bold" else "does not fit"
        return Fit(precision="int4", verdict=verdict, reason="needs 700 MB")

    left = {o.name: o for o in without_impossible(found, advice, common, (), own)}
    assert [name for name, o in left.items() if o.offered] == ["bold"]
    assert left["tight"].refused == "needs 700 MB"
    assert "does not fit the device at any precision" in left["plain"].why
