"""`strop runs`."""

import time
from pathlib import Path
from typing import Annotated

import typer

import strop
from strop.cli import options as o
from strop.cli.console import print_json, say, stderr, stdout, table
from strop.cli.progress import Progress
from strop.core.foreign import clean
from strop.core.profile import Profiled
from strop.plan.bottlenecks import find_bottlenecks

app = typer.Typer(no_args_is_help=True, help="List, show, profile and remove runs; prune the build cache.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="A run's name, or how it begins.")]


def _store(path: str | None) -> strop.Store:
    return strop.Store(Path(path or ".strop"))


@app.command("list")
def list_(store: o.Store = None, json: o.Json = False) -> None:
    """All runs, newest first."""
    rows = []
    for run in _store(store).list_runs():
        report = run.finished()
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime((run.folder / "run.json").stat().st_mtime))
        chosen = (report.get("chosen") or {}).get("name", "–") if report else "–"
        unfinished = "stopped by an error" if run.refused() else "not finished"
        rows.append([run.name, began, report["outcome"] if report else unfinished, chosen])
    if json:
        print_json([dict(zip(("run", "began", "outcome", "chosen"), row, strict=True)) for row in rows])
        return
    stdout.print(table(["run", "began", "outcome", "chosen"], rows))


@app.command()
def show(name: Name, store: o.Store = None, json: o.Json = False) -> None:
    """A run's report; for one that is not finished, what it has done so far."""
    run = _store(store).find_run(name)
    report = run.finished()
    if report is None:
        refused = run.refused()
        say(f"{run.name}: {f'stopped: {refused}.' if refused else 'not finished; the same command goes on.'} So far:")
        print(clean((run.folder / "events.jsonl").read_text(encoding="utf-8"), keep="\n"), end="")
    elif json:
        print_json(report)
    else:
        print(clean((run.folder / "report.md").read_text(encoding="utf-8"), keep="\n\t"), end="")


@app.command("report")
def report_(
    name: Name,
    out: Annotated[str | None, typer.Option("--out", help="Where a copy of the page goes.")] = None,
    store: o.Store = None,
) -> None:
    """Write a finished run's reports again; prints where the page is."""
    print(strop.report_run(name, store=store or ".strop", out=out))


@app.command()
def profile(
    name: Name,
    candidates: Annotated[list[str] | None, typer.Option("--candidate", help="Which [baseline and finalists].")] = None,
    store: o.Store = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Where a finished run's candidates spend their time and memory; added to its reports."""
    with Progress(stderr, None, quiet) as progress:
        found = strop.profile_run(name, store=store or ".strop", candidates=candidates or (), observer=progress)
    if json:
        print_json([profiled.model_dump(mode="json") for profiled in found])
        return
    for profiled in found:
        show_findings(profiled)
    say(f"report: {_store(store).find_run(name).folder / 'report.html'}")


def show_findings(profiled: Profiled) -> None:
    """A candidate's bottlenecks, each with its evidence and an advice."""
    if profiled.profile is None:
        say(f"{profiled.candidate}: could not be profiled: {profiled.failure}")
        return
    findings = find_bottlenecks(profiled.profile)
    say(f"{profiled.candidate}:{'' if findings else ' no bottleneck by the rules'}")
    for finding in findings:
        say(f"  {finding.title}: {finding.evidence}.")
        say(f"    {finding.advice}")


@app.command()
def remove(name: Name, store: o.Store = None) -> None:
    """Remove a run; the build cache stays."""
    run = _store(store).find_run(name)
    run.remove()
    say(f"removed {run.name}")


@app.command()
def prune(
    store: o.Store = None, all_: Annotated[bool, typer.Option("--all", help="Remove all runs, too.")] = False
) -> None:  # fmt: skip
    """Remove the build cache and the data shards; reports and samples stay, unless all are to go."""
    freed = _store(store).prune(runs=all_)
    say(f"freed {freed / 1e6:.1f} MB")
