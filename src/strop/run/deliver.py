"""Delivering: the bundle, checked and timed against the session that was measured, then the output folder."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from strop.bundle.pack import pack
from strop.bundle.verify import verify_bundle
from strop.core.amounts import MB, memory_mb, plain
from strop.core.candidate import Result
from strop.core.difference import close
from strop.core.errors import BundleError, StoreError, WorkerError
from strop.core.outcome import Outcome
from strop.core.shapes import Shapes, parsed
from strop.core.standing import standing_of
from strop.core.strict import to_json
from strop.report.evidence import Evidence
from strop.report.render.html import page
from strop.report.render.json import report
from strop.report.render.markdown import markdown
from strop.run.checking import Footprint, footprint_in, open_array, shards, subject
from strop.run.context import Run
from strop.run.evidence import gather
from strop.run.open_run import OUTCOME
from strop.run.outfolder import choose_out, link_latest, record_of
from strop.run.pairing import Subject, open_request
from strop.run.planning import costs
from strop.run.profiling import profile_candidates
from strop.run.timing import measure, timing_of
from strop.run.trial import Trial
from strop.store import files
from strop.store.output import read_record, rewrite
from strop.store.store import load, save
from strop.worker.call import BUNDLE_WORK, Work

RUNNER_PAIRS, RUNNER_QUADS = 3, 12
SLOWER_RUNNER = 0.95
REPORT_S = 2.0
"""To write the report, once the runner was timed."""


def deliver(run: Run, outcome: Outcome, new: bool = False) -> Outcome:
    """Bundle, reports and output folder; whole or not at all. Returns the outcome, with the bundle's own figures noted.

    Args:
        new: whether the run just came to this outcome; an earlier one of its stays in place until this one is complete.
    """
    run.budget.enter("delivery")
    folder = run.folder.folder
    if new:
        run.tell("packing")
        outcome = outcome.model_copy(update={"bundle_name": free_bundle(run)})
        with run.spending("bundle"):
            outcome = packed(run, outcome)
            run.family.keep_samples(run, outcome)
        outcome = outcome.model_copy(update={"timing": run.spent()})
    if run.request.profile and run.place.kind == "here":
        profile_candidates(run, outcome)
    evidence = gather(outcome, run.folder)
    if new or run.request.profile:
        write_report(folder, outcome, evidence)
    if new:
        save(folder / OUTCOME, outcome)
        run.emit("finished", outcome=outcome.outcome, chosen=outcome.choice and outcome.choice.name)
    return outcome.model_copy(update={"delivered": str(write_out(run, outcome, evidence))})


def write_out(run: Run, outcome: Outcome, evidence: Evidence) -> Path:
    """The output folder: reports and bundle, beside whatever the user has there. Returns where it is."""
    about = record_of(run.request, outcome.model, run.target, outcome.run, standing_of(outcome))
    place, why = choose_out(run.request, about)
    if why:
        run.tell("beside", place=str(place), why=why)
    tell_of_replaced_bundle(run, place)

    def write(draft: Path) -> None:
        write_report(draft, outcome, evidence)
        if outcome.chosen is not None:
            shutil.copytree(run.folder.folder / outcome.bundle_name, draft / "bundle")

    for kept in rewrite(place, about, write):
        run.tell("kept", name=str(place / kept.name), kept=str(place / kept.kept))
    if run.request.out is None:
        link = link_latest(place)
        run.tell("latest" if link else "no-latest", link=link, place=str(place))
    return place


def tell_of_replaced_bundle(run: Run, out: Path) -> None:
    """The output folder may hold another run's bundle, which goes; the store keeps it."""
    record = read_record(out) if (out / "bundle").is_dir() else None
    other = record.run if record is not None else ""
    with contextlib.suppress(StoreError):  # a damaged record of the other run says nothing
        before = load(run.store.run(other).folder / OUTCOME, Outcome) if other and other != run.folder.name else None
        kept = run.store.run(other).folder / before.bundle_name if before is not None else None
        if kept is not None and kept.is_dir():
            run.tell("bundle-replaced", place=str(out / "bundle"), other=other, kept=str(kept))


def free_bundle(run: Run) -> str:
    """A name for the bundle in the run's folder that no earlier outcome of the run uses; what a killed packing left goes."""
    folder = run.folder.folder
    earlier = load(folder / OUTCOME, Outcome)
    used = earlier.bundle_name if earlier is not None else ""
    for left in folder.glob("bundle*"):
        if left.is_dir() and left.name != used:
            shutil.rmtree(left)
    return "bundle" if used != "bundle" else "bundle-2"


def write_report(folder: Path, outcome: Outcome, evidence: Evidence) -> None:
    """report.json, report.md and report.html."""
    files.write_text(folder / "report.json", to_json(report(outcome, evidence), indent=1) + "\n")
    files.write_text(folder / "report.md", markdown(outcome, evidence))
    files.write_text(folder / "report.html", page(outcome, evidence))


def packed(run: Run, outcome: Outcome) -> Outcome:
    """With the bundle in the run's folder, unless there is nothing to pack.

    Raises:
        BundleError: the bundle does not answer as the measured session did; nothing is delivered.
    """
    chosen = outcome.chosen
    target = run.folder.folder / outcome.bundle_name
    if chosen is None:
        return outcome
    outcome, shapes = with_shapes(run, outcome)
    pack(outcome, run.backend(chosen.candidate.recipe.runtime), target, shapes, run.family.template)
    verify_bundle(str(target))
    require_same_answers(run, outcome, target)
    return note_runner_speed(run, outcome, target) if run.place.kind == "here" else outcome


def with_shapes(run: Run, outcome: Outcome) -> tuple[Outcome, Shapes | None]:
    """What a bundle for fixed shapes takes, with the memory that the session for other shapes adds; None for any other.

    Where that session does not answer as the measured one did, or fails, other shapes are refused, and a note says so.
    """
    assert outcome.chosen is not None
    setting = outcome.chosen.candidate.recipe.settings.get("shapes")
    if not setting:
        return outcome, None
    padded = "crop" in outcome.chosen.candidate.recipe.settings
    found = Shapes(sets=parsed(str(setting)), padded=padded, others=outcome.task.other_shapes)
    if found.others == "refuse":
        return outcome, found
    of = subject(run, outcome.chosen.candidate, outcome.task)
    try:
        with run.place.open(of.work, run.folder.folder / "bundle.log", run.limits(session=True)) as child:
            child.ask("open", **open_request(of))
            added = child.ask("fallback")
        why = "" if added["same"] else "answers differently from the one that was measured"
    except WorkerError as error:
        added, why = {"bytes": None}, f"failed: {error.message}"
    if why:
        note = f"The bundle takes {setting} only and refuses other shapes: a session without fixed shapes {why}."
        return outcome.model_copy(update={"notes": (*outcome.notes, note)}), found.model_copy(update={"others": "refuse"})
    return outcome, found.model_copy(update={"fallback_bytes": added["bytes"]})


def require_same_answers(run: Run, outcome: Outcome, bundle: Path) -> None:
    """The bundle's own `infer.py`, over all evaluation data, against the shards that accuracy was taken from."""
    assert outcome.chosen is not None
    of = subject(run, outcome.chosen.candidate, outcome.task)
    measured = shards(run.folder.candidate(outcome.chosen.name) / "check")
    with tempfile.TemporaryDirectory(prefix="strop-", dir=run.folder.folder) as scratch:
        try:
            with run.place.open(bundle_work(run, outcome), run.folder.folder / "bundle.log", run.limits()) as child:
                got = run.family.infer(child, bundle, Path(scratch), of)
        except WorkerError as error:
            raise BundleError(f"the bundle does not run: {error.message}", f"see {run.folder.folder / 'bundle.log'}") from error
        for name, path in measured.items():
            if not run.family.ships_all and name not in got:
                continue
            if name not in got or not close(open_array(got[name]), open_array(path)):
                raise BundleError(
                    f"the bundle's output {name!r} differs from the measured session's",
                    "please report this",
                )


def bundle_work(run: Run, outcome: Outcome) -> Work:
    """The bundle's own code, under the interpreter of its runtime, and held to the target as the measured session was."""
    assert outcome.chosen is not None
    measured = run.place.work_of(run.backend(outcome.chosen.candidate.recipe.runtime))
    return BUNDLE_WORK._replace(python=measured.python, environment=measured.environment)


def runner_s(run: Run, chosen: Result, session: Subject) -> float:
    """Seconds that timing the bundle's runner takes: it starts and answers as the measured session did."""
    known = load(run.folder.candidate(chosen.name) / "memory-0.json", Footprint)
    trial = Trial(chosen, session, footprints=(known,) if known is not None else ())
    each = costs(run, trial, trial)
    return REPORT_S + each.alone + RUNNER_PAIRS * (each.pair + RUNNER_QUADS * each.quad)


def note_runner_speed(run: Run, outcome: Outcome, bundle: Path) -> Outcome:
    """The bundle's runner, timed against the session that was measured: what was benchmarked is what is shipped."""
    assert outcome.chosen is not None
    session = subject(run, outcome.chosen.candidate, outcome.task)
    runner = session._replace(
        name="bundle",
        work=bundle_work(run, outcome),
        artifact=str((bundle / "infer.py").absolute()),
        log=run.folder.folder / "bundle.log",
    )
    if not run.family.runner_timed or run.budget.left() < runner_s(run, outcome.chosen, session):
        return outcome
    pairs = measure(run, session, runner, "confirmation", range(RUNNER_PAIRS), RUNNER_QUADS)
    figure = timing_of(pairs, "confirmation", "").speedup
    if figure is None:
        text = "The bundle's runner could not be timed: the machine was too busy."
    else:
        text = (
            f"The bundle's runner has {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] of the measured session's speed."
        )
        text += " It is slower than what was measured." if figure.high < SLOWER_RUNNER else ""
    text = " ".join(said for said in (text, runner_memory(run, outcome.chosen, runner)) if said)
    return outcome.model_copy(update={"notes": (*outcome.notes, text)})


def runner_memory(run: Run, chosen: Result, runner: Subject) -> str:
    """What the process of the bundle's own `infer.py` takes, beside the measured session's; empty where it cannot be told."""
    session = memory_mb(chosen)
    try:
        with run.place.open(runner.work, runner.log, run.limits(session=True)) as child:
            found = footprint_in(child, runner, brief=True).memory
    except WorkerError:
        return ""
    if found is None or session is None:
        return ""
    return f"Its process takes {plain(found.resident / MB)} MB, the measured session's {plain(session.value)} MB."
