"""A language model's two baselines: whose answers count, and over what a speed-up is."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strop.backends.llamacpp import spec as llamacpp
from strop.backends.mlx import spec as mlx
from strop.backends.onnxruntime_genai import spec as genai
from strop.backends.openvino import spec as openvino
from strop.core.candidate import Timing
from strop.core.inspection import Fit
from strop.core.measurement import Check
from strop.core.model import Model
from strop.core.recipe import HOLD, Offer, Recipe, Step
from strop.core.target import Target
from strop.core.task import Language, Task
from strop.core.verdict import EXACTLY_ONE
from strop.plan.space import by_role, without_impossible
from strop.report.render.markdown import markdown
from strop.report.verdict import three_lines
from strop.run.baseline import may_be_faster
from strop.run.checking import CHECK, Footprint
from strop.run.denominator import agrees, as_denominator, may_be_denominator
from strop.run.families.language.answers import language_quality
from strop.run.families.language.calls import plan_language_quads
from strop.run.finalists import select
from strop.run.pairing import quad_seconds
from strop.run.trial import Trial, only_informs
from strop.store.store import save
from strop_child import language

from .makers import interval, model, target, task
from .test_hf_configuration import TRANSFORMERS
from .test_language_report import run as language_run
from .test_language_report import scored
from .test_report import result
from .test_selection import trial

BF16 = ("avx2", "avx512_bf16")


def variants(backend: Any, stored: str, instructions: tuple[str, ...] = ("avx2",), **device: Any) -> list[str]:
    given = model("hf").model_copy(update={"family": "llm", "reader": "transformers", "traits": {"weights": stored}})
    at: Target = target().model_copy(update={"instructions": instructions, **device})
    return [recipe.name for recipe in by_role(backend.offer(given, at, language_task()), "baseline-variant")]


def language_task() -> Task:
    return task().model_copy(update={"language": Language(context=256), "metric": "perplexity", "output": "nll"})


@pytest.mark.parametrize(
    ("backend", "stored", "instructions", "found"),
    [
        (llamacpp, "f32", BF16, ["gguf-f32"]),
        (llamacpp, "f16", BF16, ["gguf-f16"]),
        (llamacpp, "bf16", BF16, ["gguf-bf16"]),
        (llamacpp, "bf16", ("avx2",), ["gguf-f16"]),
        (openvino, "f32", BF16, ["openvino-f32"]),
        (openvino, "bf16", BF16, ["openvino-f32", "openvino-bf16"]),
        (openvino, "bf16", ("avx2",), ["openvino-f32"]),
        (genai, "bf16", BF16, ["genai-fp32"]),
        (mlx, "f32", (), []),
    ],
)
def test_unquantized_is_what_rounds_no_weight_of_the_files(
    backend: Any, stored: str, instructions: tuple[str, ...], found: list[str]
) -> None:
    assert variants(backend, stored, instructions) == found


def test_on_apple_mlx_is_one_of_them() -> None:
    assert variants(mlx, "f32", os="Darwin") == ["mlx-fp32"]
    assert variants(mlx, "bf16", os="Darwin") == ["mlx-fp32", "mlx-fp16"]


@pytest.mark.parametrize("backend", [llamacpp, openvino, genai])
def test_a_target_that_is_elsewhere_has_no_denominator(backend: Any) -> None:
    """Nothing is timed for it, so that an unquantized recipe is a candidate like any other."""
    assert variants(backend, "f32", host="") == []
    given = model("hf").model_copy(update={"family": "llm"})
    offers = backend.offer(given, target().model_copy(update={"host": ""}), language_task())
    assert {"gguf-f32", "openvino-f32", "genai-fp32"} & {r.name for r in by_role(offers, "candidate")}


def test_float16_holds_the_weights_of_bfloat16() -> None:
    """Every one between 2^-17 and 65,504; what `HOLD` says of it."""
    every = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    size = np.abs(every[np.isfinite(every)])
    usual, tiny = size[(size >= 2.0**-17) & (size <= 65504)], size[size < 2.0**-17]
    np.testing.assert_array_equal(usual.astype(np.float16).astype(np.float32), usual)
    assert np.abs(tiny.astype(np.float16).astype(np.float32) - tiny).max() <= 3e-8
    assert "bf16" not in HOLD["f16"] and "f16" not in HOLD["f32"]


@pytest.mark.parametrize(
    ("tensors", "stored"),
    [
        ({"a": ("BF16", [2, 2]), "norm": ("F32", [2])}, "bf16"),
        ({"a": ("F16", [2, 2])}, "f16"),
        ({"a": ("F32", [2, 2])}, "f32"),
        ({"a": ("BF16", [2, 2]), "b": ("F32", [2, 2])}, "f32"),
        ({"a": ("BF16", [2, 2]), "b": ("F16", [2, 2])}, "f32"),
        ({}, "f32"),
    ],
)
def test_the_files_say_how_many_bits_the_weights_have(tmp_path: Path, tensors: dict[str, Any], stored: str) -> None:
    entries = {name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, (dtype, shape) in tensors.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert TRANSFORMERS.stored_type([tmp_path / "model.safetensors"]) == stored


def test_without_a_word_of_it_weights_have_32_bits() -> None:
    assert model().stored == "f32"
    assert Model.model_validate({**model().model_dump(), "traits": {"weights": "bf16"}}).stored == "bf16"


def test_a_variant_that_does_not_fit_is_not_offered_and_the_given_files_stay() -> None:
    step = Step(stage="convert", builder="transformers", name="to_gguf", consumes="hf", produces="gguf")
    converted = Recipe(name="gguf-f32", runtime="llamacpp", steps=(step,), role="baseline-variant")
    given = Recipe(name="transformers-fp32", runtime="transformers", role="reference")
    tight = Fit(precision="fp32", verdict="does not fit", reason="needs 9 GB")
    offers = [Offer(name=r.name, reason="because", recipe=r) for r in (given, converted)]
    left = without_impossible(offers, None, [tight])
    assert [o.offered for o in left] == [True, False]
    assert "needs 9 GB" in left[1].refused


def answered(folder: Path, name: str, losses: np.ndarray, kl: float | None = None) -> Path:
    """A check's folder: windows of losses, and a divergence at every position."""
    place = folder / name / "check"
    place.mkdir(parents=True)
    values = {"nll": losses} | ({} if kl is None else {"kl": np.full(losses.shape, kl), "same_top": np.ones(losses.shape)})
    for output, array in values.items():
        np.save(place / f"{output}.npy", array)
    save(place / CHECK, Check(shards={output: f"{output}.npy" for output in values}, examples=len(losses), seconds=1.0))
    return place


@pytest.fixture
def losses() -> np.ndarray:
    return np.random.default_rng(0).uniform(2, 3, (4, 8))


@pytest.fixture
def reference(tmp_path: Path, losses: np.ndarray) -> Trial:
    found = trial("transformers-fp32", EXACTLY_ONE, EXACTLY_ONE, role="reference")
    return replace(found, check_folder=answered(tmp_path, "r", losses))


def variant(reference: Trial, folder: Path, precision: str, kl: float) -> Trial:
    found = trial("gguf", interval(2.0, 1.9, 2.1), interval(0.999, 0.998, 1.0), role="baseline-variant")
    recipe = found.candidate.recipe.model_copy(update={"precision": precision})
    found = found.with_result(candidate=found.candidate.model_copy(update={"recipe": recipe}))
    assert reference.check_folder is not None
    theirs = np.load(reference.check_folder / "nll.npy")
    return replace(found, check_folder=answered(folder, f"v-{precision}-{kl}", theirs + 0.001, kl), reference=reference)


@pytest.mark.parametrize(
    ("precision", "kl", "may"),
    [("fp32", 1e-6, True), ("fp32", 2e-4, False), ("bf16", 2e-4, True), ("fp16", 2e-3, False)],
)
def test_what_answers_otherwise_than_rounding_explains_is_no_denominator(
    tmp_path: Path, reference: Trial, precision: str, kl: float, may: bool
) -> None:
    found = variant(reference, tmp_path, precision, kl)
    assert agrees(found) == may == may_be_denominator(found)
    assert not may_be_denominator(found.dropped("slower"))
    quick, slow = Footprint(latencies_ns=(1,) * 3), Footprint(latencies_ns=(9,) * 3)
    untimed = replace(found.with_result(search=None), footprints=(quick,))
    assert may_be_faster(untimed, replace(reference, footprints=(slow,))) == may


def test_of_other_models_a_variant_is_the_same_files() -> None:
    assert may_be_denominator(trial("idle", EXACTLY_ONE, EXACTLY_ONE, role="baseline-variant"))


def test_the_denominator_keeps_what_its_answers_are_over_those_of_the_reference(tmp_path: Path, reference: Trial) -> None:
    """Its memory is 1 by definition, its answers are not."""
    champion = as_denominator(variant(reference, tmp_path, "fp32", 1e-6), language_task())
    assert champion.result.memory_ratio == EXACTLY_ONE
    assert champion.result.retained is not None
    assert champion.result.retained.value == pytest.approx(np.exp(-0.001))
    assert champion.quality_reference is reference
    assert as_denominator(reference, language_task()).result.retained == EXACTLY_ONE


def test_pytorch_is_timed_for_information_where_another_runtime_is_the_denominator(tmp_path: Path, reference: Trial) -> None:
    tuned = variant(reference, tmp_path, "fp32", 1e-6)
    loser = reference.with_result(search=Timing(stage="search", speedup=interval(1.2)))
    assert only_informs(loser, tuned)
    assert select([loser, tuned], tuned, {"speed": 1.0}) == []
    assert not only_informs(reference, reference), "where there is no other runtime it is the denominator itself"
    assert not only_informs(trial("plain", EXACTLY_ONE, EXACTLY_ONE, role="reference"), trial("idle", EXACTLY_ONE, EXACTLY_ONE))


def test_quality_of_a_candidate_is_that_of_its_distance_from_the_reference(tmp_path: Path, reference: Trial) -> None:
    found = variant(reference, tmp_path, "fp16", 5e-4)
    assert found.check_folder is not None and reference.check_folder is not None
    quality = language_quality(found.check_folder, reference.check_folder, language_task())
    assert quality["kl"].value == pytest.approx(5e-4)


def test_few_requests_hold_steps_enough_for_a_p99() -> None:
    """Of 32 steps each: four quads in three pairs hold 768 of a side. Short requests are cheap; long ones do with fewer."""
    assert plan_language_quads((4e8, 4e8), 32, 3) == 4
    assert plan_language_quads((4e8, 4e8), 8, 3) == 6
    assert plan_language_quads((1e7, 1e7), 32, 3) == 12
    assert plan_language_quads((5e9, 5e9), 32, 3) == 2
    assert quad_seconds((1e9, 1e9), least=1) == pytest.approx(4.0), "a token before a block takes next to no time"


@pytest.mark.parametrize("bytes_at_once", [1, 64, 1 << 20])
def test_probabilities_do_not_depend_on_how_many_rows_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch, bytes_at_once: int
) -> None:
    monkeypatch.setattr("strop_child.language.SLICE_BYTES", bytes_at_once)
    logits = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32) * 9
    logs = np.empty_like(logits)
    for part in language.slices(logits):
        language.normalize(logits[part], logs[part])
    whole = logits - logits.max(axis=1, keepdims=True)
    whole = whole - np.log(np.exp(whole).sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(logs, whole)
    other = np.roll(logs, 1, axis=1)
    wanted = np.maximum((np.exp(other) * (other - logs)).sum(axis=1), 0)
    np.testing.assert_array_equal(language.divergences(logs, other), wanted)
    logits[3, 2] = np.nan
    with pytest.raises(language.InvalidOutput, match="NaN"):
        language.normalize(logits, logs)


def test_the_report_tells_the_denominator_from_the_reference() -> None:
    """PyTorch's answers count, and its speed is shown; every speed-up is over the fastest runtime of the unquantized model."""
    given = language_run()
    torch = scored(result("torch", 0.4, role="reference"), 0.0, 40.0, 5.0)
    found = given.model_copy(update={
        "results": (torch, *given.results), "reference": "torch", "as_is": "torch", "against_as_is": interval(7.5),
    })  # fmt: skip
    text = markdown(found)
    assert "the given model, unquantized, in its fastest runtime here" in text
    assert "Answers are compared with those of `torch`" in text
    assert "In PyTorch (`torch`) it has 0.4×" in text
    assert "Answers are compared with those of `" not in markdown(given)
    brings = three_lines(found)[1]
    assert "7.5× over the model as it runs today" in brings and "(baseline 100)" in brings
    step = Step(stage="convert", builder="transformers", name="to_gguf", consumes="hf", produces="gguf")
    base = found.result("plain")
    recipe = base.candidate.recipe.model_copy(update={"steps": (step,)})
    kept = found.model_copy(update={
        "choice": found.choice.model_copy(update={"name": "plain"}),
        "results": (torch, base.model_copy(update={"candidate": base.candidate.model_copy(update={"recipe": recipe})})),
    })  # fmt: skip
    what, brings, _ = three_lines(kept)
    assert "use plain, the given model unquantized" in what
    assert "the given model's perplexity" in brings, "its answers are compared with the reference's too"
