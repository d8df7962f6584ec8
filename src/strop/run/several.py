"""One model for several devices: a run each, shared steps built once, and a page that compares them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strop.core.errors import UsageError
from strop.core.outcome import Outcome
from strop.report.comparison import comparison_document, comparison_markdown, comparison_page
from strop.run.context import Observer, nobody
from strop.run.deliver import MARK, require_writable
from strop.run.devices import find_device
from strop.run.optimize import optimize
from strop.store import files


def optimize_for(
    model: str, targets: Sequence[str], *, out: str = "strop-out", observer: Observer = nobody, **flags: Any
) -> list[Outcome]:
    """`optimize` for each of several devices; what they share is built once.

    Args:
        targets: devices of the catalog, paths of profiles, `this-machine`.
        out: gets a folder for each device, named like it, and comparison.html, .md and .json.
        flags: as for `optimize`.

    Raises:
        UsageError: a device is named twice. StropError: as `optimize`; what is finished by then stays.

    Example:
        >>> [outcome.outcome for outcome in strop.optimize_for("model.onnx", ["this-machine", "raspberry-pi-5"])]
    """
    names = [find_device(target).name for target in targets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--target {twice} is given twice", "each device once")
    place = Path(out)
    require_writable(place)
    with files.disk(place):
        place.mkdir(parents=True, exist_ok=True)
        (place / MARK).write_text("", encoding="utf-8")
    outcomes = []
    for name, target in zip(names, targets, strict=True):
        observer("target", {"name": name})
        outcomes.append(optimize(model, target=target, out=str(place / name), observer=observer, **flags))
    files.write_text(place / "comparison.html", comparison_page(outcomes))
    files.write_text(place / "comparison.md", comparison_markdown(outcomes))
    files.write_text(place / "comparison.json", json.dumps(comparison_document(outcomes), indent=1, ensure_ascii=False) + "\n")
    return outcomes
