"""Which shapes are fixed and by whom, how settings say it, and which lengths of texts are worth compiling."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strop.core.errors import UsageError
from strop.core.model import TensorSpec
from strop.core.preprocess import Images, Texts
from strop.core.recipe import Offer
from strop.core.shapes import (
    FIXING,
    Lengths,
    axes_of,
    compiled,
    compiled_for,
    compiled_for_lengths,
    parsed,
    setting_of,
    was_given,
)
from strop.plan.discover import backends
from strop.plan.shapes import fixed_shapes, lengths_for, lengths_to_compile, narrowed
from strop.plan.space import follow, offers, retuned
from strop.run.request import make_request
from strop_child import shaped

from .makers import model, recipe, target, task


def of(*shapes, outputs=((),), names="xyz"):
    """A model with inputs, and outputs, of these shapes."""
    inputs = tuple(TensorSpec(name=n, dtype="float32", shape=s) for n, s in zip(names, shapes, strict=False))
    outs = tuple(TensorSpec(name=f"out{k}", dtype="float32", shape=s) for k, s in enumerate(outputs))
    return model("onnx").model_copy(update={"inputs": inputs, "outputs": outs})


TEXTS = Texts(inputs={"x": "ids", "y": "mask"}, dtypes={"x": "int64", "y": "int64"})
ONE_LENGTH = TEXTS.model_copy(update={"max_length": 32, "pad_to": 32})
TEXT_MODEL = of(("batch", "length"), ("batch", "length"), outputs=(("batch", "length", 8), ("batch", 8)))


@pytest.mark.parametrize(
    ("shapes", "preprocess", "batches", "wanted"),
    [
        ([("batch", 3, 8, 8)], None, (1,), ({"x": (1, 3, 8, 8)},)),
        ([(None, 3, 8, 8)], None, (4, 1), ({"x": (4, 3, 8, 8)}, {"x": (1, 3, 8, 8)})),
        ([(1, 3, 8, 8)], None, (1,), ()),  # the model fixes all of them itself
        ([("batch", 3, "h", "w")], None, (1,), ()),
        ([("batch", 3, "h", "w")], Images(input="x", crop=(8, 9)), (1,), ({"x": (1, 3, 8, 9)},)),
        ([("batch", "h", "w", 3)], Images(input="x", resize=(8, 9), layout="NHWC"), (1,), ({"x": (1, 8, 9, 3)},)),
        ([("batch", 3, "h", "w")], Images(input="x", resize=8), (1,), ()),  # the longer side varies
        ([("batch", 3, 16, "w")], Images(input="x", crop=(8, 9)), (1,), ()),  # it contradicts the model
        ([("batch", "length"), ("batch", "length")], TEXTS, (1,), ()),
        ([("batch", "length")] * 2, ONE_LENGTH, (1,), ({"x": (1, 32), "y": (1, 32)},)),  # cut off where they are filled up to
        ([("batch", "length")] * 2, ONE_LENGTH.model_copy(update={"max_length": 64}), (1,), ()),
    ],
)
def test_shapes_are_fixed_by_model_and_preprocessing(shapes, preprocess, batches, wanted):
    found = of(*shapes)
    assert fixed_shapes(found, found, preprocess, batches) == wanted


def test_the_user_fixes_what_the_model_leaves_open():
    found = of(("batch", "length"), ("batch", "length"))
    called = narrowed(found, {"x": (2, 16)})
    assert [s.shape for s in called.inputs] == [("batch", 16), ("batch", 16)], "one axis has one size in all inputs"
    assert fixed_shapes(found, called, None, (2,)) == ({"x": (2, 16), "y": (2, 16)},)


@pytest.mark.parametrize(
    ("shapes", "asked", "message"),
    [
        ([("batch", 4)], {"z": (1, 4)}, "no input 'z'"),
        ([("batch", 4)], {"x": (1, 4, 4)}, "has shape [batch, 4]"),
        ([("batch", 4)], {"x": (1, 5)}, "has shape [batch, 4]"),
        ([(2, "n")], {"x": (1, 5)}, "has shape [2, n]"),
        ([("batch", "n"), ("batch", "n")], {"x": (1, 5), "y": (1, 6)}, "axis 'n' is 5 in one input and 6 in 'y'"),
    ],
)
def test_a_shape_that_the_model_cannot_have_is_refused(shapes, asked, message):
    with pytest.raises(UsageError) as refused:
        narrowed(of(*shapes), asked)
    assert message in str(refused.value)


def test_a_request_takes_shapes_from_flags_and_file(tmp_path):
    toml = tmp_path / "strop.toml"
    toml.write_text('[task]\nshapes = { x = [4, 3], y = [4, 2] }\nother_shapes = "refuse"\n')
    asked = make_request("m.onnx", str(toml), shape=["x=4x5"])
    assert (asked.shapes, asked.batches, asked.other_shapes) == ({"x": (4, 5), "y": (4, 2)}, (4,), "refuse")
    assert make_request("m.onnx", shape=["a=b=1x3"]).shapes == {"a=b": (1, 3)}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"shape": ["x=1xn"]}, "whole numbers above 0 joined by x"),
        ({"shape": ["x=0x3"]}, "whole numbers above 0 joined by x"),
        ({"shape": ["x=1x3", "x=1x4"]}, "--shape names 'x' twice: 1x3 and 1x4"),
        ({"shape": ["1x3x224x224"]}, "for example --shape input=1x3x224x224"),
        ({"shape": ["x=1x3", "y=2x3"]}, "the inputs differ in their first size"),
        ({"shape": ["x=2x3"], "batches": [4]}, "is not the 4 of --batch"),
        ({"other_shapes": "maybe"}, "known: fallback, refuse"),
    ],
)
def test_shapes_that_cannot_be_meant_are_refused(flags, message):
    with pytest.raises(UsageError) as refused:
        make_request("m.onnx", **flags)
    assert message in f"{refused.value} {refused.value.hint}"


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
sets = st.dictionaries(st.text("abc=d", min_size=1).filter(lambda n: "=" not in n[-1:]), sizes, min_size=1, max_size=3)


@given(st.lists(sets, min_size=1, max_size=3))
def test_a_setting_says_its_shapes(found):
    assert parsed(setting_of(found)) == tuple(found)
    assert [shaped.shapes_of(one) for one in setting_of(found).split("|")] == found, "as the child and the bundle read it"


def test_both_sides_know_the_same_settings():
    assert shaped.OWN == FIXING


def test_axes_are_fixed_by_name_where_all_have_one():
    fixed = ({"x": (1, 3, 8)}, {"x": (4, 3, 8)})
    assert axes_of(of(("batch", 3, "n")), fixed) == "batch=1,n=8|batch=4,n=8"
    assert axes_of(of(("batch", 3, None)), fixed) is None
    assert axes_of(of(("batch", 3, "a,b")), fixed) is None, "no setting can hold it"


def offered(shape, fixed):
    """What both runtimes offer for a model with one input."""
    found = of(shape, outputs=(shape,)).model_copy(update={"weights": {"MatMul": 3}, "reader": "onnxruntime"})
    known = {name: backends()[name] for name in ("onnxruntime", "openvino")}
    wanted = task().model_copy(update={"shapes": fixed, "calibration": task().evaluation})
    return {o.name: o for o in offers(known, found, target(), wanted)}


def test_every_recipe_of_a_runtime_that_gains_is_compiled_for_fixed_shapes():
    recipes = [o.recipe for o in offered(("batch", 4), ({"x": (1, 4)},)).values() if o.recipe is not None]
    shaped = {r.name for r in recipes if "shapes" in r.settings}
    assert shaped == {r.name for r in recipes if r.runtime == "openvino" or r.name == "fp32-static"}
    assert {"openvino-f32", "nncf-int8", "openvino-int8-static"} <= shaped, "adopted files, too"
    assert not any("shapes" in o.recipe.settings for o in offered(("batch", "n"), ()).values() if o.recipe is not None)


def test_percentile_calibration_is_offered_where_the_user_fixed_what_the_file_leaves_open():
    found = offered(("batch", "n"), ({"x": (1, 4)},))
    assert found["int8-static-percentile"].recipe is not None
    assert "the inputs' vary" in offered(("batch", "n"), ())["int8-static-percentile"].why


def test_candidates_follow_a_baseline_with_fixed_shapes():
    found = offered(("batch", 4), ({"x": (1, 4)},))
    static, dynamic = found["fp32-static"].recipe, found["int8-dynamic"].recipe
    assert static is not None
    assert dynamic is not None
    assert static.role == "baseline-variant"
    assert (static.settings["shapes"], static.settings["axes"]) == ("x=1x4", "batch=1")
    assert follow(dynamic, static).settings["axes"] == "batch=1"


def test_a_runtime_that_needs_names_is_not_compiled_without_them():
    found = offered((None, 4), ({"x": (1, 4)},))
    assert "one of the inputs has none" in found["fp32-static"].why
    assert found["openvino-f32"].recipe is not None
    assert found["openvino-f32"].recipe.settings["shapes"] == "x=1x4"
    assert compiled_for(({"x": (1, 4)},), of((None, 4)), named=True) == {"shapes": "x=1x4", "axes": "x_axis0=1"}


def test_what_runs_on_an_accelerator_keeps_its_shapes():
    given = [Offer(name="a", reason="", recipe=recipe("a", device="gpu")), Offer(name="b", refused="too bold")]
    assert list(compiled(given, ({"x": (1, 4)},), ["null"])) == given


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(1, 3))
def test_the_lengths_that_are_compiled_fill_up_the_least(lengths, most):
    found = lengths_to_compile(lengths, 8, most)
    every = sorted({max(8, -(-n // 8) * 8) for n in lengths})
    assert len(found) <= most
    if not lengths:
        assert found == ()
        return
    assert found[-1] == every[-1]

    def cost(chosen):
        return sum(min(c for c in chosen if c >= n) for n in lengths)

    others = (c for k in range(1, most + 1) for c in itertools.combinations(every, k) if c[-1] == every[-1])
    assert cost(found) == min(map(cost, others))


def test_lengths_are_compiled_where_a_mask_hides_what_is_filled_up():
    found = lengths_for(TEXT_MODEL, TEXTS, 1, [5, 6, 30])
    assert found == Lengths(sets=({"x": (1, 32), "y": (1, 32)}, {"x": (1, 8), "y": (1, 8)}), crop={"out0": 1}, mask="y")
    assert compiled_for_lengths(found) == {"shapes": "x=1x32,y=1x32|x=1x8,y=1x8", "crop": "out0=1", "mask": "y"}
    no_mask = TEXTS.model_copy(update={"inputs": {"x": "ids", "y": "types"}})
    assert lengths_for(TEXT_MODEL, no_mask, 1, [5]) is None
    assert lengths_for(TEXT_MODEL, None, 1, [5]) is None, "arrays: nothing says what fills them up"
    unnamed = of(("batch", "length"), ("batch", "length"), outputs=(("batch", None, 8),))
    assert lengths_for(unnamed, TEXTS, 1, [5]) is None, "nothing says which axis of the output is the length"


def test_compiled_lengths_are_one_more_setting_of_the_best_candidate():
    lengths = lengths_for(TEXT_MODEL, TEXTS, 1, [5, 30])
    wanted = task().model_copy(update={"lengths": lengths})
    best = recipe("nncf-int8", runtime="openvino", settings={"precision": "f32", "threads": 1})
    names = {r.name: r.settings for r in retuned(best, [], backends()["openvino"], target(), wanted)}
    assert names["nncf-int8+buckets"] == {**best.settings, **compiled_for_lengths(lengths)}
    assert not any("buckets" in r.name for r in retuned(best, [], backends()["openvino"], target(), task()))
    assert not any("buckets" in r.name for r in retuned(best, [], backends()["null"], target(), wanted))


def test_a_session_reads_back_the_shapes_that_it_was_asked_for():
    asked = setting_of([{"ids": (1, 64), "picture": (1, 3, 8, 8)}, {"ids": (2, 64), "picture": (2, 3, 8, 8)}])
    assert was_given(asked, "1x64,1x3x8x8")
    assert was_given(asked, "1x3x8x8,1x64")
    assert not was_given(asked, "1x64,?x3x8x8"), "one input that is fixed in the file anyway says nothing of the others"
    assert not was_given(asked, "2x64,2x3x8x8")
