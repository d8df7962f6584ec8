"""Which recipes ONNX Runtime and OpenVINO offer, by what the model and the CPU are."""

import pytest

from strop.core.task import Dataset
from strop.plan.discover import backends
from strop.plan.space import adopted

from .makers import model, target, task

BF16 = ("avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
CNN = {"operators": {"Conv": 20, "Relu": 20, "GlobalAveragePool": 1, "Softmax": 1}, "weights": {"Conv": 20}}
GATED = {"operators": {"Conv": 20, "Mul": 20, "Sigmoid": 20, "Gemm": 1}, "weights": {"Conv": 20, "Gemm": 1}}
TRANSFORMER = {"operators": {"MatMul": 30, "Softmax": 6, "LayerNormalization": 12, "Gelu": 6}, "weights": {"MatMul": 24}}


def offered(name, given, instructions=BF16):
    data = Dataset(digest="c", folder="f", count=50, inputs={"x": "x.npy"})
    of = model("onnx").model_copy(update={"reader": "onnxruntime", "ends": {"x": "Softmax"}, **given})
    here, asked = target().model_copy(update={"instructions": instructions}), task().model_copy(update={"calibration": data})
    found = list(backends()[name].offer(of, here, asked))
    return {o.name: o for o in [*found, *adopted([backends()["openvino"]], found, of, here)]}


def step(offer):
    return offer.recipe.steps[-1].params


@pytest.mark.parametrize(("given", "everything"), [(CNN, False), (GATED, True), (TRANSFORMER, False)])
def test_what_is_quantized_is_a_list_without_what_makes_the_answers(given, everything):
    found = offered("onnxruntime", given)
    listed = [o for n, o in found.items() if n.startswith("int8-static") and o.offered]
    assert all(step(o)["answers"] == "float" and "Softmax" not in step(o)["operators"] for o in listed)
    assert ("int8-static-all" in found) is everything
    assert (step(found["int8-static"])["operators"] == ["MatMul", "Gemm"]) is (given is TRANSFORMER)


def test_what_cannot_win_is_not_offered_and_says_why():
    found = offered("onnxruntime", CNN)
    assert not found["int8-static-s8s8"].offered and "x86" in found["int8-static-s8s8"].why
    assert not found["int8-static-entropy"].offered and "clips nothing" in found["int8-static-entropy"].why


@pytest.mark.parametrize(
    ("given", "instructions", "reason"),
    [
        (CNN, BF16, "leaves nothing for bf16"),
        (CNN, ("avx2",), "neither AVX-512 BF16 nor AMX"),
        (GATED, BF16, None),
        (TRANSFORMER, BF16, None),
    ],
)
def test_bf16_beside_int8_is_tried_where_the_cpu_has_it_and_something_is_left(given, instructions, reason):
    found = offered("openvino", given, instructions)["nncf-int8-bf16"]
    assert found.offered is (reason is None) and (reason or "") in found.why
    if found.offered:
        assert (found.recipe.settings["precision"], found.recipe.precision, found.recipe.turn) == ("bf16", "int8", 1)


def test_small_weights_of_convolutions_are_computed_with_in_bf16_where_the_cpu_has_it():
    for instructions, precision in ((BF16, "bf16"), (("avx2",), "f32")):
        found = offered("openvino", GATED, instructions)
        assert found["nncf-int8-weights"].recipe.settings["precision"] == precision
        assert found["openvino-f16-weights-bf16"].offered is (precision == "bf16")
    assert offered("openvino", TRANSFORMER)["openvino-f16-weights-bf16"].recipe.steps[0].params == {"compress": True}


@pytest.mark.parametrize(("given", "rest"), [(CNN, False), (GATED, True), (TRANSFORMER, True)])
def test_an_adopted_file_computes_the_rest_in_bf16_too_where_there_is_any(given, rest):
    found = offered("onnxruntime", given)
    assert found["openvino-int8-static"].recipe.settings["precision"] == "f32"
    assert ("openvino-int8-static-bf16" in found) is rest
    if rest:
        half = found["openvino-int8-static-bf16"].recipe
        assert (half.runtime, half.settings["precision"]) == ("openvino", "bf16")
        assert half.steps == found["int8-static"].recipe.steps


def test_olive_is_not_offered_calibration_with_an_input_without_axes():
    """Its loader would feed it with one."""
    specs = model("onnx").inputs
    assert offered("olive", CNN)["olive-static"].offered
    single = specs[0].model_copy(update={"name": "rate", "shape": ()})
    found = offered("olive", {**CNN, "inputs": (*specs, single)})["olive-static"]
    assert not found.offered and "without axes" in found.why
