"""What an export does badly: rules name every fault that can be found, each with evidence; what is not cleaned is said."""

import json
import re
from pathlib import Path

import pytest
from benchmarks.export_faults import FAULTS
from benchmarks.results import read

from strop.backends.onnxruntime import spec
from strop.core.model import Fault, Model
from strop.core.recipe import CLEAN
from strop.plan.export import default_inputs_note, export_remarks, rules
from strop.plan.space import by_role
from strop.report.frameworks import export_lines
from strop.run.reading import read_inspection
from strop.worker.call import CHILD

from .inspected import inspect
from .makers import model, target, task


def faulty(*names: str) -> Model:
    return model("onnx").model_copy(update={"faults": tuple(Fault(name=name, count=2, total=3) for name in names)})


def test_every_rule_has_evidence_that_can_be_looked_up() -> None:
    """A public source, or a committed command whose results are committed too."""
    for rule in rules().values():
        for source in rule.evidence.split("; "):
            assert source.startswith("https://") or source == "python -m benchmarks.export_faults", rule.name
        assert rule.worth and rule.remedy
    measured = read("export_faults")
    assert measured is not None and {row["fault"] for row in measured["figures"]["faults"]} == set(FAULTS) <= rules().keys()


def test_the_figures_of_the_rules_are_those_that_were_measured() -> None:
    measured = read("export_faults")
    assert measured is not None
    for row in measured["figures"]["faults"]:
        figure = f"{row['speed']:.2f}×"
        assert row["fault"] in ("dynamic-axes",) or figure in rules()[row["fault"]].worth, (row["fault"], figure)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_inspector_finds_each_fault_and_a_rule_says_what_it_is_worth(tmp_path: Path, fault: str) -> None:
    (tmp_path / "m.onnx").write_bytes(FAULTS[fault]().SerializeToString())
    found = inspect(tmp_path / "m.onnx")["faults"]
    remarks = {r.rule: r for r in export_remarks([Fault.model_validate(f) for f in found])}
    assert remarks.keys() == {f["name"] for f in found} and fault in remarks
    assert "{" not in json.dumps([r.text for r in remarks.values()])
    assert fault != "batch-norm" or "4 of 4 batch normalizations" in remarks[fault].text


def test_every_fault_that_can_be_found_has_a_rule() -> None:
    source = (CHILD.parent / "onnx_faults.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"name": "([a-z0-9-]+)"', source))
    assert {"unused-weights", "cancelling-transposes", "training-mode"} <= named <= rules().keys()


def test_the_remarks_are_part_of_an_inspection(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(FAULTS["cast-chains"]().SerializeToString())
    found = export_remarks(read_inspection(tmp_path / "m.onnx").faults)
    lines = list(export_lines(found))
    assert any("casts change nothing" in line for line in lines) and lines[2].startswith("    worth: ")
    assert list(export_lines(())) == []


def test_a_remedy_that_was_followed_is_not_asked_for_again() -> None:
    fault = Fault(name="dynamic-axes", count=2, total=4)
    assert "--shape" in export_remarks([fault])[0].remedy
    assert "--shape" not in export_remarks([fault], fixed=True)[0].remedy
    other = Fault(name="cast-chains", count=1, total=1)
    assert export_remarks([other], fixed=True) == export_remarks([other])


def test_a_cleaned_up_file_is_offered_only_where_there_is_something_to_clean_up() -> None:
    def variants(given: Model) -> list[str]:
        return [r.name for r in by_role(spec.offer(given, target(), task()), "baseline-variant") if r.cleaned]

    assert variants(faulty()) == []
    assert variants(faulty("old-opset", "dynamic-axes", "unfolded-constants")) == []
    assert variants(faulty("unused-weights", "cancelling-transposes", "training-mode")) == []
    assert variants(faulty("weights-as-inputs")) == ["fp32-clean"]
    assert variants(faulty("float64")) == ["fp32-clean"]
    assert variants(faulty("float64", "batch-norm")) == ["fp32-clean", "fp32-clean-float64"]
    reasons = {o.name: o.why for o in spec.offer(faulty("old-opset"), target(), task())}
    assert reasons["fp32-clean"].startswith("nothing to clean up")


def test_a_cleaned_up_file_runs_under_the_settings_of_the_reference() -> None:
    found = {r.name: r for r in (o.recipe for o in spec.offer(faulty("batch-norm"), target(), task())) if r is not None}
    assert found["fp32-clean"].settings == found["fp32"].settings
    assert [s.name for s in found["fp32-clean"].steps] == [CLEAN] and not found["fp32"].cleaned


def test_it_is_said_what_becomes_of_an_input_with_a_default() -> None:
    assert default_inputs_note(model("onnx")) == ""
    given = model("onnx").model_copy(update={"traits": {"default_inputs": ["temperature"]}})
    assert "'temperature'" in default_inputs_note(given) and "quantized or converted keeps the default" in default_inputs_note(
        given
    )


def test_a_short_budget_tries_the_cleaned_up_file_before_other_settings() -> None:
    found = by_role(spec.offer(faulty("weights-as-inputs"), target(), task()), "baseline-variant")
    assert found[0].name == "fp32-clean"
