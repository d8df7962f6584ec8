"""`inspect`: what a model is and takes, and, for a target, what fits and what to try. No framework, no weights are loaded."""

from collections.abc import Mapping
from pathlib import Path

from strop.core.backend import Backend
from strop.core.errors import UsageError
from strop.core.inspection import Advice, Assessment, Inspection
from strop.core.spelling import PathText, spelled
from strop.core.target import Target
from strop.plan.advise import advise
from strop.plan.discover import backends
from strop.plan.export import export_remarks
from strop.plan.precision import cached, fits, footprints, quantizable
from strop.plan.rules import rules
from strop.plan.runtimes import runtime_shares
from strop.run.devices import find_device
from strop.run.experience import experience
from strop.run.options import PURPOSE
from strop.run.reading import read_inspection
from strop.store.store import Store
from strop.worker.interpreter import why_missing


@spelled
def inspect(
    model: PathText, *, target: PathText | None = None, purpose: str = "any", context: int | None = None,
    store: PathText = ".strop",
) -> Assessment:  # fmt: skip
    """What a model is, what it takes at each precision, and what to try with it on a device.

    Args:
        model: an ONNX, GGUF or TFLite file, an OpenVINO IR, a Hugging Face or MLX folder.
        target: a device of the catalog, the path of a profile, or `this-machine`; None leaves the advice out.
        purpose: one of `strop.plan.rules.PURPOSES`.
        context: tokens in a language model's cache; None takes all it was made for, 4096 at most.
        store: whose finished runs count as experience.

    Raises:
        ModelError: damaged, unsafe or unsupported. UsageError: no such device or purpose. ConfigError: an invalid profile.

    Example:
        >>> strop.inspect("model.onnx", target="raspberry-pi-5").advice.ranking[0].framework
    """
    purpose = PURPOSE.form.read(PURPOSE.spelled, purpose)
    if context is not None and context < 1:
        raise UsageError(f"--context {context} is not above 0", "give a number of tokens")
    device = find_device(target) if target is not None else None
    inspection = read_inspection(Path(model))
    most = inspection.language.context if inspection.language is not None else None
    if context is not None and most is not None and context > most:
        raise UsageError(f"--context {context}: the model was made for {most} tokens", f"give at most {most}")
    sizes = footprints(inspection, context)
    return Assessment(
        inspection=inspection, context=context or cached(inspection) or None, footprints=sizes,
        quantizable=quantizable(inspection),
        export=export_remarks(inspection.faults), runtimes=runtime_shares(inspection.family),
        fits=fits(sizes, device) if device is not None else (),
        advice=advice_for(inspection, device, purpose, Store(Path(store)), context) if device is not None else None,
    )  # fmt: skip


def advice_for(inspection: Inspection, device: Target, purpose: str, store: Store, context: int | None = None) -> Advice:
    """The advice, from the rules and from what is true here: what is installed, and what the store's runs found."""
    fit = fits(footprints(inspection, context), device)
    measured = experience(store, inspection, device)
    return advise(inspection, device, purpose, absent_here(backends()), measured, fit)


def absent_here(installed: Mapping[str, Backend]) -> dict[str, str]:
    """Framework → why it cannot be started here."""
    missing = {name: why_missing(installed[name]) if name in installed else "Strop has no backend for it yet"
               for name in rules().frameworks}  # fmt: skip
    return {name: why for name, why in missing.items() if why}
