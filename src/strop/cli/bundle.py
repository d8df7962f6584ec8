"""`strop bundle`."""

from typing import Annotated, Any

import typer

import strop
from strop.bundle.infer import predict_bundle, write_text
from strop.cli import options as o
from strop.cli.console import print_json, say
from strop.core.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Verify a bundle, or run it.", rich_markup_mode=None)
Folder = Annotated[str, typer.Argument(help="Folder of the bundle.")]


@app.command()
def verify(folder: Folder, json: o.Json = False) -> None:
    """Find any changed, missing or extra file or folder."""
    manifest = strop.verify_bundle(folder)
    if json:
        print_json(manifest.model_dump(mode="json"))
        return
    say(f"{folder}: whole and unchanged: {len(manifest.files)} files, recipe {manifest.recipe.name}, {manifest.outcome}")


@app.command()
def infer(
    folder: Folder,
    inputs: Annotated[str | None, typer.Argument(help=".npz with an array per model input, or a picture.")] = None,
    output: Annotated[str | None, typer.Argument(help=".npz to write: outputs, or embeddings.")] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text; repeat for more.")] = None,
    pair: Annotated[list[str] | None, typer.Option("--pair", help="The second text of each --text, for models of pairs.")] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="Language models: the text that goes on.")] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Language models: how many at most.")] = 64,
    chat: Annotated[bool, typer.Option("--chat", help="Language models: the prompt is a user's message.")] = False,
    json: o.Json = False,
) -> None:
    """Run a bundle on arrays, a picture, texts or a prompt, in a process of its own."""
    if prompt is not None:
        if json or inputs is not None or text or pair:
            raise UsageError(
                "--prompt is for a language model, which writes plain text", "leave out inputs, --text, --pair, --json"
            )
        write_text(folder, prompt, tokens, chat)
        return
    if inputs is not None and inputs.endswith(".npz"):
        if output is None:
            raise UsageError("no place for the outputs", "strop bundle infer FOLDER INPUTS.npz OUTPUTS.npz")
        strop.infer_bundle(folder, inputs, output)
        say(f"wrote {output}")
        return
    preprocess = strop.verify_bundle(folder).preprocess
    if inputs is not None and preprocess is not None and preprocess.kind == "text":
        raise UsageError(f"{folder} takes texts, not {inputs}", "strop bundle infer FOLDER --text TEXT")
    items = items_of(inputs, text or [], pair or [])
    answers = predict_bundle(folder, items, output=output)
    if json:
        print_json(answers)
        return
    show(items, answers, output)


def items_of(picture: str | None, texts: list[str], pairs: list[str]) -> list[Any]:
    """What is to be predicted.

    Raises:
        UsageError: nothing, or pairs that do not match.
    """
    if pairs and len(pairs) != len(texts):
        raise UsageError(f"{len(texts)} --text for {len(pairs)} --pair", "give both for each pair")
    items: list[Any] = [*([picture] if picture is not None else []), *(zip(texts, pairs, strict=True) if pairs else texts)]
    if not items:
        raise UsageError("nothing to run it on", "give an .npz, a picture, --text or --prompt")
    return items


def show(items: list[Any], answers: list[Any], output: str | None) -> None:
    """The best classes of each item, or where its embedding went."""
    for item, answer in zip(items, answers, strict=True):
        say(item if isinstance(item, str) else " | ".join(item))
        if answer and isinstance(answer[0], float):
            say(
                f"  an embedding of {len(answer)} values"
                + (f": {output}" if output is not None else "; name an .npz to write it")
            )
            continue
        for name, value in answer:
            say(f"  {value:.4f}  {name}" if isinstance(value, float) else f"  {name}  {value}")
