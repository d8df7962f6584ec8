"""Options of the command line: those of `strop.run.options` as a command's parameters, and what commands share beside them."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from strop.run import options
from strop.run.options import Option

Config = Annotated[
    str | None,
    typer.Option("--config", help="strop.toml; naming it lets its code run [found here, beside the model or in it]."),
]
Store = Annotated[
    str | None,
    typer.Option("--store", help=options.named("store").help, metavar="FOLDER", envvar="STROP_STORE", show_envvar=False),
]
Device = Annotated[str | None, typer.Option("--target", help=options.TARGET.help, metavar=options.TARGET.metavar)]
Purpose = Annotated[str | None, typer.Option("--for", help=options.PURPOSE.help, metavar=options.PURPOSE.metavar)]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Command = Callable[..., None]


def takes(some: Sequence[Option], *repeated: str, **helps: str) -> Callable[[Command], Command]:
    """For a command with a parameter `flags`: these options are its parameters in that place, and those given are its value.

    Args:
        repeated: options that this command takes several times. helps: option → its help, where it means something else here.
    """

    def wrap(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())
        at = next(i for i, p in enumerate(own) if p.name == "flags")
        more = [parameter(option, option.name in repeated, helps.get(option.name, option.help)) for option in some]
        parameters = [*own[:at], *more, *own[at + 1 :]]

        @functools.wraps(command)
        def called(**values: Any) -> None:
            flags = given(values, [option.name for option in some])
            command(**{p.name: values[p.name] for p in own if p.name != "flags"}, flags=flags)

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return wrap


class Grouped(TyperCommand):
    """A command whose `--help` lists its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is not None:
                own = "Arguments" if each.param_type_name == "argument" else "Command"
                groups.setdefault(getattr(each, "rich_help_panel", None) or own, []).append(record)
        order = ["Arguments", *dict.fromkeys(options.GROUPS.values()), "Command"]
        for name in sorted(groups, key=lambda name: order.index(name) if name in order else len(order)):
            with formatter.section(name):
                formatter.write_dl(groups[name])


def parameter(option: Option, repeated: bool, text: str) -> inspect.Parameter:
    """An option as typer takes it."""
    kind = list[option.form.flag] if repeated else option.form.flag  # type: ignore[name-defined]
    default = False if kind is bool else None
    told = typer.Option(
        option.spelled, help=text, metavar=None if kind is bool else option.value, rich_help_panel=option.group,
        envvar=option.variable, show_envvar=False,
    )  # fmt: skip
    whole: Any = kind if kind is bool else kind | None
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[whole, told])


def given(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the named parameters that the user gave: not None, not an unset switch, not an empty list. 0 counts as given.

    A command need not have all of them.
    """
    found = {n: values[n] for n in names if n in values}
    return {n: value for n, value in found.items() if value is not None and value is not False and value != []}
