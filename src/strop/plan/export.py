"""What an export does badly and what that is worth: faults found in a file, by the rules of `export.toml`. Pure."""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from strop.core.inspection import ExportRemark
from strop.core.model import Fault, Model
from strop.core.noun import Noun


class Rule(Noun):
    """One entry of the file: what a fault of this name means. The head of `export.toml` tells the fields."""

    name: str
    text: str
    worth: str
    remedy: str
    fixed: str = ""
    evidence: str


@cache
def rules() -> dict[str, Rule]:
    """The shipped rules by their names, in the order in which they are shown."""
    text = files("strop.plan").joinpath("export.toml").read_text(encoding="utf-8")
    return {rule.name: rule for rule in (Rule.model_validate(entry) for entry in tomllib.loads(text)["rule"])}


def export_remarks(found: Sequence[Fault], fixed: bool = False) -> tuple[ExportRemark, ...]:
    """A remark for each fault that a rule knows, what is worth most first.

    Args:
        fixed: whether the shapes of all inputs are fixed, though the file may leave them open.

    Example:
        >>> export_remarks([Fault(name="old-opset", count=9, total=13)])[0].text
        'opset 9 is older than 13, which quantization with a scale for each channel needs'
    """
    by_name = {fault.name: fault for fault in found}
    return tuple(
        ExportRemark(
            rule=name, text=rule.text.format(**_words(by_name[name])), worth=rule.worth,
            remedy=(rule.fixed if fixed else "") or rule.remedy, evidence=rule.evidence,
        )
        for name, rule in rules().items() if name in by_name
    )  # fmt: skip


def default_inputs_note(model: Model) -> str:
    """What becomes of inputs with a default that a caller may override; empty where the model has none."""
    names = model.traits.get("default_inputs")
    if not isinstance(names, list) or not names:
        return ""
    return (
        f"Input with a default that a caller may override: {', '.join(map(repr, names))}. The default is what is measured. "
        "The given file and a cleaned-up one can still be given another value; what is quantized or converted keeps the default."
    )


def _words(fault: Fault) -> dict[str, str | int]:
    """What a rule's text may name."""
    named = f", for example {fault.example}" if fault.example else ""
    return {"count": fault.count, "total": fault.total, "named": named, "mb": f"{fault.bytes / 1e6:.3g}"}
