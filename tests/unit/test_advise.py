"""The advice, over the whole matrix and decision tree that it has to hold, and with facts that overturn it.

The tables below are the requirement, line by line; `advice.toml` is not read to make them.
"""

from typing import Any

import pytest

from strop.core.inspection import Advice, Fit, Inspection, Language
from strop.core.target import Accelerator, Target
from strop.plan.advise import Measured, advise
from strop.plan.rules import parse_rules, rules
from strop.run.devices import find_device

from .makers import inspection

LLM: dict[str, Any] = {"family": "llm", "modality": "text", "format": "huggingface", "architecture": "LlamaForCausalLM"}
PICTURES: dict[str, Any] = {"family": "tensor", "modality": "vision", "format": "onnx"}
BOTH: dict[str, Any] = {"family": "llm", "modality": "multimodal", "format": "huggingface"}

INTEL = Target(name="intel", cpu_vendor="Intel", architecture="x86_64", os="Linux")
ARC = Accelerator(kind="gpu", name="Arc", vendor="Intel")
L4 = Accelerator(kind="gpu", name="L4", vendor="NVIDIA")
CORAL = Accelerator(kind="tpu", name="Edge TPU", vendor="Google")
INTEL_GPU = Target(name="arc", cpu_vendor="AMD", architecture="x86_64", accelerators=(ARC,))
NVIDIA = Target(name="nv", cpu_vendor="AMD", architecture="x86_64", accelerators=(L4,))
APPLE = Target(name="mac", cpu_vendor="Apple", architecture="aarch64", os="macOS")
IPHONE = Target(name="phone", cpu_vendor="Apple", architecture="aarch64", os="iOS", kind="phone")
ANDROID = Target(name="android", cpu_vendor="ARM", architecture="aarch64", os="Android", kind="phone")
EDGE_TPU = Target(name="coral", cpu_vendor="ARM", architecture="aarch64", accelerators=(CORAL,))
EMBEDDED = Target(name="board", cpu_vendor="ARM", architecture="aarch64", os="Linux")
AMD = Target(name="amd", cpu_vendor="AMD", architecture="x86_64", os="Linux")


def points(advice: Advice, framework: str, rule: str) -> float:
    """What one kind of rule gave a framework."""
    ranked = next(r for r in advice.ranking if r.framework == framework)
    return sum(reason.points for reason in ranked.reasons if reason.rule.startswith(rule))


def first(model: dict[str, Any], target: Target, **more: Any) -> str:
    return advise(inspection(**model), target, **more).ranking[0].framework


@pytest.mark.parametrize(
    ("target", "primary", "secondary"),
    [
        (INTEL, "openvino", "olive"), (INTEL_GPU, "openvino", "olive"), (NVIDIA, "olive", "openvino"),
        (APPLE, "mlx", "llamacpp"), (IPHONE, "mlx", "llamacpp"), (ANDROID, "llamacpp", "openvino"),
        (EDGE_TPU, "openvino", "olive"), (EMBEDDED, "llamacpp", "openvino"),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else value,
)  # fmt: skip
def test_platform_gives_a_primary_and_a_secondary(target: Target, primary: str, secondary: str) -> None:
    found = advise(inspection(**LLM), target)
    given = {r.framework: points(found, r.framework, "platform.") for r in found.ranking}
    assert sorted(given, key=lambda f: -given[f])[:2] == [primary, secondary]
    assert given[primary] > given[secondary] > 0
    assert sum(value > 0 for value in given.values()) == 2


@pytest.mark.parametrize(
    ("model", "target", "more", "pick", "branch"),
    [
        # first match wins in the order Apple, Intel, above 7 B parameters, else light
        (LLM, APPLE, {}, ["mlx"], "apple"),
        (LLM | {"parameters": 70 * 10**9}, APPLE, {}, ["mlx"], "apple"),
        (LLM, APPLE, {"purpose": "enterprise"}, ["mlx"], "apple"),
        (LLM, INTEL, {}, ["openvino"], "intel"),
        (LLM | {"parameters": 70 * 10**9}, INTEL, {}, ["openvino"], "intel"),
        (PICTURES, INTEL_GPU, {}, ["openvino"], "intel"),
        (LLM | {"parameters": 70 * 10**9}, AMD, {}, ["olive"], "large"),
        (LLM | {"parameters": 7 * 10**9 + 1}, EMBEDDED, {}, ["olive"], "large"),
        (LLM | {"parameters": 7 * 10**9}, EMBEDDED, {}, ["llamacpp"], "language"),
        # cross-platform: LLM and text, multimodal
        (LLM, AMD, {}, ["llamacpp"], "language"),
        (PICTURES | {"modality": "text"}, AMD, {}, ["llamacpp"], "language"),
        (BOTH, AMD, {}, ["openvino", "olive"], "multimodal"),
        # enterprise
        (LLM, AMD, {"purpose": "enterprise"}, ["olive"], "enterprise"),
        (PICTURES, NVIDIA, {"purpose": "enterprise"}, ["olive"], "enterprise"),
        # a GPU of NVIDIA's, as its platform has it
        (LLM, NVIDIA, {}, ["olive"], "nvidia"),
        (PICTURES, NVIDIA, {}, ["olive"], "nvidia"),
        # what is neither language nor multimodal
        (PICTURES, AMD, {}, ["openvino"], "tensor"),
    ],
)  # fmt: skip
def test_the_tree(model: dict[str, Any], target: Target, more: dict[str, Any], pick: list[str], branch: str) -> None:
    found = advise(inspection(**model), target, **more)
    assert found.asked[-1].rule == branch
    assert list(found.asked[-1].pick) == pick
    assert all(not asked.yes for asked in found.asked[:-1])
    if not found.moved:
        assert [r.framework for r in found.ranking][: len(pick)] == pick


def test_multimodal_says_to_compare() -> None:
    found = advise(inspection(**BOTH), AMD)
    assert any(note == "Compare OpenVINO + NNCF and Microsoft Olive: measure both." for note in found.notes)


GRADES = [  # requirement, purpose, llama.cpp, Olive, OpenVINO, MLX
    ("cross-platform", "cross-platform", "excellent", "good", "good", "Apple only"),
    ("enterprise integration", "enterprise", "basic", "excellent", "excellent", "limited"),
    ("mobile", "mobile", "excellent", "good", "good", "excellent (iOS)"),
    ("real time", "realtime", "excellent", "excellent", "excellent", "excellent"),
    ("model diversity", "any", "LLM", "all", "all", "LLM"),
    ("ease of use", "prototyping", "simple", "automated", "moderate", "simple"),
]


@pytest.mark.parametrize("line", GRADES, ids=lambda line: line[0])
def test_every_grade_is_said(line: tuple[str, ...]) -> None:
    requirement, purpose, *grades = line
    found = advise(inspection(**LLM), APPLE, purpose)
    for framework, grade in zip(("llamacpp", "olive", "openvino", "mlx"), grades, strict=True):
        ranked = next(r for r in found.ranking if r.framework == framework)
        assert f"{requirement}: {grade}" in [reason.text for reason in ranked.reasons], framework


def test_better_grades_count_for_more() -> None:
    worth = rules().grades
    assert worth["excellent"] > worth["good"] > worth["basic"] > worth["limited"] > worth["Apple only"]
    assert worth["automated"] > worth["simple"] > worth["moderate"]
    assert worth["all"] > worth["LLM"]


@pytest.mark.parametrize(
    ("purpose", "order"),
    [
        ("prototyping", ["llamacpp", "mlx", "olive", "openvino"]),
        ("enterprise", ["olive", "openvino", "mlx", "llamacpp"]),
    ],
)
def test_the_workflow_orders(purpose: str, order: list[str]) -> None:
    found = advise(inspection(**LLM), AMD, purpose)
    assert sorted(order, key=lambda f: -points(found, f, f"order.{purpose}")) == order
    assert len({points(found, f, f"order.{purpose}") for f in order}) == 4


@pytest.mark.parametrize(
    ("framework", "model", "target", "purpose", "said"),
    [
        ("llamacpp", LLM, EMBEDDED, "any", "language models: CPU and cross-platform"),
        ("olive", LLM, AMD, "enterprise", "language models: enterprise automation"),
        ("openvino", LLM, INTEL, "any", "language models: Intel, with NNCF"),
        ("mlx", LLM, APPLE, "any", "language models: Apple's unified memory"),
        ("olive", BOTH, AMD, "any", "multimodal models: complex pipelines"),
        ("openvino", BOTH, AMD, "any", "multimodal models: vision, audio and text"),
        ("mlx", BOTH, APPLE, "any", "multimodal models: growing"),
    ],
)
def test_use_cases(framework: str, model: dict[str, Any], target: Target, purpose: str, said: str) -> None:
    found = advise(inspection(**model), target, purpose)
    ranked = next(r for r in found.ranking if r.framework == framework)
    assert said in [reason.text for reason in ranked.reasons]


def test_llamacpp_in_multimodal_is_for_text_only() -> None:
    use = next(u for u in rules().use if u.name == "multimodal models")
    assert use.frameworks["llamacpp"]["for"] == "text only"
    assert points(advise(inspection(**BOTH), AMD), "llamacpp", "use.multimodal") == 0


@pytest.mark.parametrize(
    ("target", "quantization"),
    [
        (APPLE, "MLX int4, group size 64"), (INTEL, "NNCF int8, post-training"), (EMBEDDED, "GGUF Q4_K_M"),
        (ANDROID, "GGUF Q4_K_M"), (AMD, "GGUF Q4_K_M"), (NVIDIA, "Olive's automatic choice"),
        (EDGE_TPU, "Olive's automatic choice"),
    ],
    ids=lambda value: value.name if isinstance(value, Target) else "",
)  # fmt: skip
def test_the_default_quantisation_of_a_platform(target: Target, quantization: str) -> None:
    assert advise(inspection(**LLM), target).quantization == quantization


def test_the_edge_tpu_says_what_is_true_today() -> None:
    assert any("TFLite" in note for note in advise(inspection(**PICTURES), EDGE_TPU).notes)


# facts beat grades


def test_a_framework_that_is_absent_falls_behind_and_is_named() -> None:
    found = advise(inspection(**LLM), EMBEDDED, absent={"llamacpp": "no backend"})
    assert found.ranking[0].framework == "openvino"
    assert found.moved == "llama.cpp: not here: no backend"


def test_a_format_that_a_framework_cannot_read_blocks_it() -> None:
    found = advise(inspection(**PICTURES), APPLE)
    blocked = {r.framework: r.blocked for r in found.ranking if r.blocked}
    assert set(blocked) == {"mlx", "llamacpp"}
    assert "mlx-language-only" in blocked["mlx"]
    assert found.ranking[0].framework not in blocked
    assert "Apple MLX" in found.moved


def test_an_operator_that_a_framework_does_not_know_blocks_it() -> None:
    found = advise(inspection(**PICTURES, operators={"Conv": 2, "DeformConv": 1}), AMD)
    blocked = next(r.blocked for r in found.ranking if r.framework == "openvino")
    assert blocked.startswith("OpenVINO has no conversion for DeformConv (")
    assert "rule openvino-operators" in blocked
    assert found.ranking[0].framework != "openvino"


def test_where_the_pick_cannot_be_used_the_next_branch_is_followed() -> None:
    found = advise(inspection(**PICTURES), APPLE)
    assert found.asked[-1].rule == "apple"
    assert found.instead == "light: OpenVINO with NNCF, int8 after training"
    assert found.ranking[0].framework == "openvino"
    assert advise(inspection(**LLM), APPLE).instead == ""


def test_memory_that_does_not_fit_blocks_all() -> None:
    fit = [Fit(precision=p, verdict="does not fit", reason="needs too much") for p in ("fp32", "int4")]
    found = advise(inspection(**LLM), EMBEDDED, fit=fit)
    assert all(r.blocked for r in found.ranking)
    assert "does not fit the device at any precision: at int4 it needs too much" in found.ranking[0].blocked


@pytest.mark.parametrize("same", [True, False])
def test_measurements_overrule_the_textbook(same: bool) -> None:
    measured = [
        Measured(framework="onnxruntime", candidate="int8-static", speedup=2.4, run="r1", same_model=same),
        Measured(framework="openvino", candidate="nncf-int8", speedup=1.3, run="r1", same_model=same),
    ]
    found = advise(inspection(**PICTURES), AMD, measured=measured)
    assert found.ranking[0].framework == "onnxruntime"
    assert "int8-static 2.40×" in found.moved
    assert "r1" in found.moved
    assert first(PICTURES, AMD) == "openvino"


def test_what_was_measured_beats_any_sum_of_the_rest() -> None:
    measured = [Measured(framework="onnxruntime", candidate="a", speedup=1.2, run="r1")]
    found = advise(inspection(**PICTURES), INTEL, "enterprise", measured=measured)
    assert found.ranking[0].framework == "onnxruntime"
    assert found.moved


def test_the_very_model_counts_before_its_family() -> None:
    measured = [
        Measured(framework="onnxruntime", candidate="a", speedup=1.5, run="r1", same_model=True),
        Measured(framework="openvino", candidate="b", speedup=9.0, run="r2"),
    ]
    found = advise(inspection(**PICTURES), AMD, measured=measured)
    assert found.ranking[0].framework == "onnxruntime"
    said = [x.text for r in found.ranking if r.framework == "openvino" for x in r.reasons if x.rule == "fact.measured"]
    assert said and said[0].endswith("ONNX Runtime was measured with this very model, which counts first")


def test_odd_widths_warn() -> None:
    """A layer of width 172, as a small Llama has it."""
    found = advise(inspection(**LLM, width=172), EMBEDDED)
    said = [reason for r in found.ranking if r.framework == "llamacpp" for reason in r.reasons]
    assert any("172 are no multiple of 256" in reason.text and reason.rule == "blocker.llamacpp-k-quants" for reason in said)
    assert any("172 are no multiple of 32" in reason.text for reason in said)


def test_int8_without_vnni_warns() -> None:
    old = Target(name="old", cpu_vendor="Intel", architecture="x86_64", instructions=("avx2",))
    new = old.model_copy(update={"instructions": ("avx2", "avx_vnni")})
    unknown = old.model_copy(update={"instructions": ()})
    said = [[x.rule for r in advise(inspection(**PICTURES), t).ranking for x in r.reasons] for t in (old, new, unknown)]
    assert ["blocker.int8-saturates" in rules for rules in said] == [True, False, False]


def test_a_quantized_model_is_run_as_it_is() -> None:
    found = advise(inspection(**PICTURES, quantized="int8 (full)"), AMD)
    assert found.quantization == "none, it is quantized already (int8 (full))"
    assert found.strategy.startswith("run it as it is")


def test_a_microcontroller_runs_none_of_them() -> None:
    found = advise(inspection(**PICTURES), find_device("stm32h743"))
    assert all(r.blocked for r in found.ranking)
    assert found.strategy.startswith("none: no framework")


def test_a_phone_takes_the_model_and_not_the_bundle() -> None:
    found = advise(inspection(**PICTURES), IPHONE)
    blocked = {r.framework: r.blocked for r in found.ranking if r.blocked}
    assert "no OpenVINO for iOS" in blocked["openvino"]
    assert any(x.rule == "blocker.phone-app" for r in found.ranking for x in r.reasons)


def test_an_unknown_kind_falls_back_to_the_cpu_and_says_so() -> None:
    odd = AMD.model_copy(update={"accelerators": (Accelerator(kind="neuromorphic", name="Spiker"),)})
    found = advise(inspection(**PICTURES), odd)
    assert found.ranking[0].framework == first(PICTURES, AMD)
    note = "Spiker: no framework of Strop's computes on a neuromorphic device; what is made runs on the CPU beside it."
    assert note in found.notes


def test_every_placed_framework_says_why_by_rule() -> None:
    known = {f"tree.{b.name}" for b in rules().tree} | {f"platform.{p.name}" for p in rules().platform}
    for target in (INTEL, APPLE, AMD, NVIDIA):
        for ranked in advise(inspection(**LLM), target, "enterprise").ranking:
            assert ranked.points == sum(reason.points for reason in ranked.reasons)
            for reason in ranked.reasons:
                assert reason.rule in known or reason.rule.split(".")[0] in ("order", "requirement", "use", "blocker", "fact")


def test_the_rules_can_be_edited() -> None:
    """Other points, other order: the file is what decides."""
    from importlib.resources import files

    text = files("strop.plan").joinpath("advice.toml").read_text(encoding="utf-8")
    mine = parse_rules(text.replace("tree = 100", "tree = 0").replace("primary = 40", "primary = 0"))
    assert advise(inspection(**LLM), INTEL, among=mine).ranking[0].framework == "olive"


def test_language_sizes_are_kept() -> None:
    found = Inspection.model_validate_json(inspection(**LLM, language=Language(layers=2, hidden=8)).model_dump_json())
    assert found.language == Language(layers=2, hidden=8)
