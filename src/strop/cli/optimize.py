"""`strop optimize`."""

import shlex
import sys
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import strop
from strop.cli import options as o
from strop.cli.console import complain, print_json, say, say_wrapped, stderr, stdout, table
from strop.cli.progress import Progress
from strop.core.errors import EXIT_GOALS, EXIT_INTERRUPTED, EXIT_NONE, EXIT_OK
from strop.core.foreign import clean
from strop.core.outcome import Outcome
from strop.core.recipe import Offer
from strop.report.frameworks import export_lines
from strop.report.render.terminal import Shown, body_and_verdict
from strop.report.verdict import three_lines
from strop.run.forms import parse_budget
from strop.run.optimize import Plan, list_plan
from strop.run.options import OPTIMIZE
from strop.run.several import comparison_folder

USES = {None: "INPUTS.npz OUTPUTS.npz", "image": "PICTURE", "text": '--text "TEXT"', "language": '--prompt "TEXT"'}
"""What a bundle's infer.py takes, by the kind of its preprocessing."""
EXITS = {"chosen": EXIT_OK, "provisional": EXIT_OK, "none": EXIT_NONE}
NO_LONGER = "--allow-provisional does nothing: a provisional outcome exits 0 without it, and 10 with --require-goals"


@o.takes(OPTIMIZE, "target", target="Device to optimize for; repeat for several [this-machine].")
def command(
    *,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The model: a file (ONNX, GGUF, OpenVINO IR) or a Hugging Face folder.")
    ],
    config: o.Config = None,
    flags: dict[str, Any],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the recipes and why; build nothing.")] = False,
    require_goals: Annotated[
        bool, typer.Option("--require-goals", help="Exit 10 unless every goal is reached and every must was measured.")
    ] = False,
    allow_provisional: Annotated[bool, typer.Option("--allow-provisional", hidden=True)] = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Find, prove and pack the best version of MODEL for this machine, or, with --target, for other devices.

    Exit: 0 chosen or provisional (no must failed), 11 none. With --require-goals a provisional outcome (a goal that
    is not reached, a must that was not measured) gives 10. Of several targets the worst. Errors have codes of their own.
    """
    if allow_provisional:
        complain(NO_LONGER)
    targets = flags.pop("target", [])
    several = targets if len(targets) > 1 else []
    alone = {"target": targets[0]} if len(targets) == 1 else {}
    if dry_run:
        devices: list[dict[str, Any]] = [{"target": one} for one in several] or [alone]
        plans = {one.get("target", "") if several else "": list_plan(model, config=config, **flags, **one) for one in devices}
        show_plans(plans, json)
        return
    with Progress(stderr, parse_budget(flags.get("budget")), quiet) as progress:
        try:
            outcomes = (
                strop.optimize_for(model, several, config=config, observer=progress, **flags)
                if several
                else [strop.optimize(model, config=config, observer=progress, **flags, **alone)]
            )
        except KeyboardInterrupt:
            say_how_to_go_on(progress)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    if several:
        show_several(outcomes, json)
    else:
        print_json(read_report(Path(outcomes[0].delivered) / "report.json")) if json else show(outcomes[0], progress.notices)
    for notice in progress.notices if json or several else ():
        stderr.print(notice, soft_wrap=True, highlight=False, markup=False) if json else say(notice)
    exits = EXITS | ({"provisional": EXIT_GOALS} if require_goals else {})
    raise typer.Exit(max(exits[one.outcome] for one in outcomes))


def read_report(path: Path) -> dict[str, Any]:
    """The report that was just delivered."""
    document: dict[str, Any] = loads(path.read_text(encoding="utf-8"))
    return document


def show_several(outcomes: list[Outcome], json: bool) -> None:
    """The verdict of each device, and where the comparison is."""
    out = comparison_folder(outcomes)
    if json:
        print_json(read_report(out / "comparison.json"))
        return
    for outcome in outcomes:
        for line in three_lines(outcome):
            say(line)
        say("")
    say(f"comparison: {out / 'comparison.html'}, {out / 'comparison.md'}, {out / 'comparison.json'}")
    for outcome in outcomes:
        say(f"report: {Path(outcome.delivered) / 'report.html'}")


def say_how_to_go_on(progress: Progress) -> None:
    """After Ctrl-C: nothing is lost, and which command goes on."""
    again = shlex.join(["strop", *[a for a in sys.argv[1:] if a != "--fresh"]])
    complain(f"interrupted; what is done is kept in run {progress.run or '(not begun)'}. Go on with:")
    complain(f"  {again}")


def show_plans(plans: dict[str, Plan], json: bool) -> None:
    """`--dry-run`, for each of several targets or for one; what there is to note comes first."""
    for note in dict.fromkeys(note for plan in plans.values() for note in plan.notes):
        stderr.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    if json:
        shown = {target: [as_json(offer) for offer in plan.offers] for target, plan in plans.items()}
        print_json(shown.get("", shown))
        return
    for line in export_lines(next(iter(plans.values())).export):
        say_wrapped(line)
    for target, plan in plans.items():
        if target:
            say(f"for {target}:")
        show_plan(plan.offers)


def as_json(offer: Offer) -> dict[str, Any]:
    """An offer; `reason` says why it is offered, or why not."""
    return {**offer.model_dump(mode="json"), "reason": offer.why}


def show_plan(offers: list[Offer]) -> None:
    """A line a recipe: whether it would be tried, and why."""
    rows = [[offer.name, "offered" if offer.offered else "no", steps(offer), offer.why] for offer in offers]
    stdout.print(table(["recipe", "", "steps", "why"], rows))


def steps(offer: Offer) -> str:
    recipe = offer.recipe
    if recipe is None:
        return ""
    return " → ".join([*(s.name for s in recipe.steps), f"run in {recipe.runtime}"])


COLORS = {"chosen": "bold green", "provisional": "bold yellow", "none": "bold red"}


def show(outcome: Outcome, notices: Sequence[str] = ()) -> None:
    """The table and the notes, where things are, and last the verdict."""
    out = Path(outcome.delivered)
    body, verdict = body_and_verdict(outcome)
    for part in body:
        show_part(part)
    say(f"report: {out / 'report.html'}, {out / 'report.md'}, {out / 'report.json'}")
    if outcome.chosen is not None:
        task = outcome.task
        kind = "language" if task.language is not None else task.preprocess.kind if task.preprocess is not None else None
        say(f"bundle: {out / 'bundle'}  (python {out / 'bundle' / 'infer.py'} {USES.get(kind, USES[None])})")
    for notice in notices:
        say(notice)
    say("")
    for number, part in enumerate(verdict):
        show_part(part, COLORS[outcome.outcome] if not number else "")


def show_part(part: Shown, style: str = "") -> None:
    """A table, or a line; on a terminal broken at words to its width."""
    if not isinstance(part, str):
        stdout.print(part)
    elif stdout.is_terminal:
        stdout.print(Text(clean(part), style=style), highlight=False)
    else:
        say(part)
