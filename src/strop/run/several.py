"""One model for several devices: a run each, shared steps built once, and a page that compares them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from strop.core.errors import UsageError
from strop.core.events import Observer, nobody
from strop.core.outcome import Outcome
from strop.core.spelling import PathText, spelled
from strop.core.strict import to_json
from strop.report.comparison import comparison_document, comparison_markdown, comparison_page
from strop.run.devices import find_device
from strop.run.forms import listed
from strop.run.keywords import OptimizeForFlags
from strop.run.optimize import optimize
from strop.run.outfolder import absolute, choose_out, link_latest, require_writable
from strop.run.request import make_request
from strop.store import files
from strop.store.output import Record, add_files, read_record, write_record

COMPARISON = ".strop-comparison"
"""Name of the list of what stands beside the devices' folders."""


@spelled
def optimize_for(
    model: PathText, targets: Sequence[PathText] | PathText, *, config: PathText | None = None, out: PathText | None = None,
    observer: Observer = nobody,
    **flags: Unpack[OptimizeForFlags],
) -> list[Outcome]:  # fmt: skip
    """`optimize` for each of several devices; what they share is built once.

    Args:
        targets: devices of the catalog, paths of profiles, `this-machine`.
        out: gets a folder for each device, named like it, and comparison.html, .md and .json; by default `strop-out/<model>`.
        flags: as for `optimize`.

    Raises:
        UsageError: a device is named twice. StropError: as `optimize`; what is finished by then stays.

    Example:
        >>> [outcome.outcome for outcome in strop.optimize_for("model.onnx", ["this-machine", "raspberry-pi-5"])]
    """
    targets = listed("targets", targets)
    names = [find_device(target).name for target in targets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--target {twice} is given twice", "each device once")
    request = make_request(model, config, out=out, **flags)
    require_writable(request)
    about = Record(model=absolute(model))
    place, why = choose_out(request, about, adds=True)
    if why:
        observer("beside", {"place": str(place), "why": why})
    with files.disk(place):
        place.mkdir(parents=True, exist_ok=True)
    if read_record(place) is None:
        write_record(place, about)
    outcomes = []
    for name, target in zip(names, targets, strict=True):
        observer("target", {"name": name})
        outcomes.append(optimize(model, config=config, target=target, out=str(place / name), observer=observer, **flags))
    pages = {
        "comparison.html": comparison_page(outcomes), "comparison.md": comparison_markdown(outcomes),
        "comparison.json": to_json(comparison_document(outcomes), indent=1) + "\n",
    }  # fmt: skip
    for kept in add_files(place, pages, COMPARISON):
        observer("kept", {"name": str(place / kept.name), "kept": str(place / kept.kept)})
    if out is None:
        link = link_latest(place)
        observer("latest" if link else "no-latest", {"link": link, "place": str(place)})
    return outcomes


def comparison_folder(outcomes: Sequence[Outcome]) -> Path:
    """Where the comparison of what `optimize_for` delivered is."""
    return Path(outcomes[0].delivered).parent
