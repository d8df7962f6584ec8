"""What a language model is for: a text as windows of token ids, the request that is timed, the context it is given."""

from pathlib import Path
from typing import Any, NamedTuple

from strop.core.errors import DataError, WorkerError
from strop.core.model import Model
from strop.core.task import Chat, Dataset, Language, Task
from strop.run import datasets
from strop.run.context import Run
from strop.run.workload import workload_of
from strop.store import files
from strop.store.store import read_json, write_json
from strop.worker.call import DATA_WORK, Limits, Work
from strop.worker.interpreter import work_of

WINDOW = 512
TOKENS, TOKENIZER = "tokens.json", "tokenizer.json"
MORE = 4
"""How many times `--eval-tokens` may be scored where a gate stays undecided."""
CHAT_S, CHAT_BYTES = 5.0, 1_000_000_000
"""What rendering a chat template may take."""
CALIBRATION = 16
"""Windows of calibration text."""


def language_task(run: Run, model: Model) -> Task:
    """Windows of the user's text; what lies behind them is calibration text, unless that is given.

    Raises:
        DataError: a request that does not fit the context, no text, or a tokenizer of another vocabulary.
    """
    language = workload(run, model)
    request, called = run.request, workload_of(run, run.request.batches, language=True)
    if request.data is None:
        raise DataError("language models need a text", "give --data eval.txt: plain text, as much as you have")
    spare = CALIBRATION if request.calibration is None else 0
    found = tokens(run, model, request.data, language.window, request.eval_tokens, MORE, spare)
    evaluation, calibration = found.data, found.spare
    if evaluation.count == 1:
        run.note(
            "One window of text is scored, which tells no spread; gates on quality stay open: raise --eval-tokens or give more."
        )
    if request.calibration is not None:
        calibration = tokens(run, model, request.calibration, language.window, CALIBRATION * language.window, 1, 0).data
        datasets.refuse_overlap(run, evaluation, calibration)
    elif calibration is not None:
        run.note(f"Calibration text: {calibration.count} windows behind those that are scored, of the same file.")
    asked = questions(run, model, language.window) if request.questions is not None else None
    if asked is not None:
        evaluation = evaluation.model_copy(update={
            "digest": f"{evaluation.digest}-{asked.digest}", "inputs": {**evaluation.inputs, **asked.inputs},
        })  # fmt: skip
    chat = chat_of(run, model)
    told = {
        "begin": found.begin, "ends": ends_of(run, model, chat), "pool": found.pool, "chat": chat,
        "questions": asked.count if asked is not None else 0,
    }  # fmt: skip
    return Task(
        evaluation=evaluation, calibration=calibration, metric="perplexity", output="nll", kind="language", family=model.family,
        language=language.model_copy(update=told), options=request.options, workload=called,
    )  # fmt: skip


def tokenizer_of(run: Run, model: Model) -> tuple[Work, Path]:
    """The worker that knows the model's tokenizer, and the file that it is in."""
    if model.traits.get("tokenizer") == "own":
        return work_of(run.backend(model.reader)), Path(model.artifact.path)
    return DATA_WORK, Path(model.artifact.folder) / TOKENIZER


def chat_of(run: Run, model: Model) -> Chat | None:
    """The model's chat template, if it has one that renders in a sandbox with little time and memory."""
    work, tokenizer = tokenizer_of(run, model)
    path = tokenizer.parent if work is DATA_WORK else tokenizer
    log, limits = run.folder.folder / "data.log", Limits(CHAT_S, CHAT_BYTES)
    try:
        with run.place.open(work, log, limits) as child:
            found = child.call("read_chat", path=str(path.absolute()))
        with run.place.open(DATA_WORK, log, limits) as child:
            usable = bool(found) and child.call("try_chat", **found)
    except WorkerError as error:
        run.note(f"The chat template is left out: {error.message.rstrip('.')}.")
        return None
    return Chat(**found) if usable else None


def ends_of(run: Run, model: Model, chat: Chat | None) -> tuple[int, ...]:
    """Tokens that end an answer: those of the model's configuration, the tokenizer's own, and the chat template's."""
    found = model.traits.get("ends", [])
    ends = {int(end) for end in found} if isinstance(found, list) else set[int]()
    work, tokenizer = tokenizer_of(run, model)
    if work is DATA_WORK:
        written = chat.model_dump() if chat is not None else {}
        try:
            with run.place.open(work, run.folder.folder / "data.log", Limits(CHAT_S, CHAT_BYTES)) as child:
                ends |= set(child.call("end_tokens", tokenizer=str(tokenizer.absolute()), **written))
        except WorkerError as error:
            run.note(f"Only the model's configuration says which tokens end an answer: {error.message.rstrip('.')}.")
    return tuple(sorted(ends))


def workload(run: Run, model: Model) -> Language:
    """Lengths of a request and of a window, inside of the context.

    Raises:
        DataError: they do not fit.
    """
    request = run.request
    most = int(str(model.traits.get("context") or 0)) or 1 << 20
    context = request.context or min(most, max(WINDOW, request.prompt_tokens + request.output_tokens))
    if context > most:
        raise DataError(f"--context {context}: the model was made for {most} tokens", f"give at most {most}")
    window = min(context, max(WINDOW, request.prompt_tokens + request.output_tokens))
    if request.prompt_tokens + request.output_tokens > window:
        raise DataError(
            f"a prompt of {request.prompt_tokens} and an answer of {request.output_tokens} tokens do not fit {window}",
            "give a shorter --prompt-tokens or --output-tokens, or a longer --context",
        )
    return Language(prompt=request.prompt_tokens, output=request.output_tokens, context=context, window=window)


def questions(run: Run, model: Model, room: int) -> Dataset:
    """Token ids of the user's questions, made once; `count` is how many there are.

    Raises:
        DataError: no such file, or a line that is no question.
    """
    source = Path(str(run.request.questions))
    if not source.is_file():
        raise DataError(f"{source}: no such file", "--questions takes a JSONL file")
    folder, told = tokenized(run, model, source, "prepare_questions", room=room)
    inputs = {name: f"../{folder.name}/{name}.npy" for name in ("question_rows", "question_tokens")}
    return Dataset(digest=folder.name, folder=str(folder), count=told["questions"], inputs=inputs)


def tokenized(run: Run, model: Model, source: Path, verb: str, **arguments: int) -> tuple[Path, dict[str, Any]]:
    """What the worker that knows the tokenizer makes of a file, kept by what it was made from: the folder, and what it told."""
    work, tokenizer = tokenizer_of(run, model)
    arguments["vocabulary"] = int(str(model.traits["vocabulary"]))
    key = files.digest_json({
        "source": files.digest_file(source), "verb": verb, "version": 4, "tokenizer": digest_of(tokenizer), **arguments
    })  # fmt: skip

    def make(draft: Path) -> None:
        made = datasets.ask(run, verb, work, source=str(source.absolute()), tokenizer=str(tokenizer), out=str(draft), **arguments)
        write_json(draft / TOKENS, made)

    folder = run.store.once("data", key, make)
    return folder, read_json(folder / TOKENS)


def digest_of(tokenizer: Path) -> str:
    """Of a tokenizer's file, and of the files beside it that say how its class uses it."""
    beside = [name for name in ("tokenizer_config.json", "config.json") if tokenizer.name == TOKENIZER
              and (tokenizer.parent / name).is_file()]  # fmt: skip
    return files.digest_files(tokenizer.parent, [tokenizer.name, *beside])


class Tokens(NamedTuple):
    """A text as windows: those that are scored, how many there are in all, and those set apart."""

    data: Dataset
    pool: int
    spare: Dataset | None
    begin: int | None


def tokens(run: Run, model: Model, text: str, window: int, wanted: int, more: int, spare: int) -> Tokens:
    """A text's windows as a data set.

    Args:
        wanted: tokens to score. more: how many times as many are kept for a later look. spare: windows to set apart.
    """
    source = Path(text)
    if not source.is_file():
        raise DataError(f"{source}: no such file", "language models take a plain text file")
    folder, told = tokenized(run, model, source, "prepare_tokens", window=window, wanted=wanted, more=more, spare=spare)

    def data(file: str, count: int) -> Dataset:
        return Dataset(digest=f"{folder.name}-{file}", folder=str(folder), count=count, inputs={"tokens": file})

    apart = data("spare.npy", told["spared"]) if told["spared"] else None
    return Tokens(data("tokens.npy", told["count"]), told["pool"], apart, told["begin"])
