"""What a language model is for: a text as windows of token ids, the request that is timed, the context it is given."""

from pathlib import Path

from strop.core.errors import DataError
from strop.core.model import Model
from strop.core.task import Dataset, Language, Task
from strop.run import datasets
from strop.run.context import Run
from strop.store import files
from strop.store.store import read_json, write_json

WINDOW = 512
TOKENS = "tokens.json"


def language_task(run: Run, model: Model) -> Task:
    """Windows of the user's text, or of made-up tokens where none is given.

    Raises:
        DataError: a request that does not fit the context, no text, or a tokenizer of another vocabulary.
    """
    language = workload(run, model)
    if run.request.data is None:
        raise DataError("language models need a text", "give --data eval.txt: plain text, as much as you have")
    evaluation, begin = tokens(run, model, Path(run.request.data), language.window, run.request.eval_tokens)
    calibration = None
    if run.request.calibration is not None:
        calibration, _ = tokens(run, model, Path(run.request.calibration), language.window, run.request.eval_tokens)
        datasets.refuse_overlap(run, evaluation, calibration)
    return Task(
        evaluation=evaluation, calibration=calibration, metric="perplexity", output="nll", kind="language",
        language=language.model_copy(update={"begin": begin, "ends": ends_of(model)}), options=run.request.options,
    )  # fmt: skip


def ends_of(model: Model) -> tuple[int, ...]:
    """Tokens that end an answer."""
    found = model.traits.get("ends", [])
    return tuple(int(end) for end in found) if isinstance(found, list) else ()


def workload(run: Run, model: Model) -> Language:
    """Lengths of a request and of a window, inside of the context.

    Raises:
        DataError: they do not fit.
    """
    request, most = run.request, int(str(model.traits.get("context") or 0)) or 1 << 20
    context = request.context or min(most, max(WINDOW, request.prompt_tokens + request.output_tokens))
    if context > most:
        raise DataError(f"--context {context}: the model was made for {most} tokens", f"give at most {most}")
    window = min(WINDOW, context)
    if request.prompt_tokens + request.output_tokens > window:
        raise DataError(
            f"a prompt of {request.prompt_tokens} and an answer of {request.output_tokens} tokens do not fit {window}",
            "give a shorter --prompt-tokens or --output-tokens, or a longer --context",
        )
    return Language(prompt=request.prompt_tokens, output=request.output_tokens, context=context, window=window)


def tokens(run: Run, model: Model, source: Path, window: int, most: int) -> tuple[Dataset, int | None]:
    """A text's windows as a data set, and the token that begins each."""
    if not source.is_file():
        raise DataError(f"{source}: no such file", "language models take a plain text file")
    tokenizer = Path(model.artifact.folder) / "tokenizer.json"
    arguments = {"window": window, "most": most, "vocabulary": int(str(model.traits["vocabulary"]))}
    key = files.digest_json({
        "text": files.digest_file(source), "tokenizer": files.digest_file(tokenizer), "version": 1, **arguments,
    })  # fmt: skip

    def make(draft: Path) -> None:
        made = datasets.ask(
            run, "prepare_tokens", source=str(source.absolute()), tokenizer=str(tokenizer), out=str(draft), **arguments
        )
        write_json(draft / TOKENS, made)

    folder = run.store.once("data", key, make)
    told = read_json(folder / TOKENS)
    data = Dataset(digest=key, folder=str(folder), count=told["count"], inputs={"tokens": "tokens.npy"})
    return data, told["begin"]
