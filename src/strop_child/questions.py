"""Questions with choices or exact answers, asked of a language model by the likelihood of what may follow. Needs numpy."""

import os
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strop_child.checked_json import values
from strop_child.texts import DataError, begin_of, opened

LINE = 1 << 20
"""Letters of a line at most."""
FORM = 'write {"prompt": text, "choices": [texts], "answer": number from 0, or text} or {"prompt": text, "answer": text}'
ROWS, TOKENS = "question_rows.npy", "question_tokens.npy"


def prepare_questions(source: str, tokenizer: str, room: int, vocabulary: int, out: str) -> dict[str, int]:
    """`write_questions` with the tokenizer in this tokenizer.json."""
    return write_questions(source, opened(tokenizer), room, vocabulary, out)


def write_questions(source: str, tokenizer: Any, room: int, vocabulary: int, out: str) -> dict[str, int]:
    """Token ids of every continuation that may follow, and where they lie, as two arrays.

    A row of question_rows.npy is a continuation: place of its first token, tokens in all, how many of them are the prompt,
    number of its question, and 1 where it is the right one. A question with one row has an exact answer.

    Args:
        room: tokens of a prompt with its continuation at most.
    Returns:
        questions, rows: how many of each.

    Raises:
        DataError: a line that is no question, or is longer than the room; none at all.
    """
    ids, rows, count = list[int](), list[tuple[int, ...]](), 0
    begin = begin_of(tokenizer)
    front = [] if begin is None else [begin]

    def tokens(text: str) -> list[int]:
        return front + list(tokenizer.encode(text, add_special_tokens=False).ids)

    for where, prompt, continuations, right in read_questions(source):
        wholes = [tokens(joined(prompt, continuation)) for continuation in continuations]
        context = common(tokens(prompt), wholes)
        for place, whole in enumerate(wholes):
            if len(whole) > room:
                raise DataError(f"{where}: {len(whole)} tokens, beyond the {room} of a window", "shorten it")
            if max(whole) >= vocabulary:
                raise DataError(f"{where}: token {max(whole)}, beyond the vocabulary of {vocabulary}", "another tokenizer?")
            rows.append((len(ids), len(whole), context, count, int(place == right)))
            ids += whole
        count += 1
    if not count:
        raise DataError(f"{source}: no question in it", FORM)
    np.save(os.path.join(out, ROWS), np.array(rows, np.int64))
    np.save(os.path.join(out, TOKENS), np.array(ids, np.int32))
    return {"questions": count, "rows": len(rows)}


def joined(prompt: str, continuation: str) -> str:
    """One after the other, with a space between where neither has one."""
    apart = prompt[-1:].isspace() or continuation[:1].isspace()
    return prompt + ("" if apart else " ") + continuation


def common(prompt: list[int], wholes: list[list[int]]) -> int:
    """How many tokens of the prompt all its continuations begin with; each has at least one token beyond them."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(prompt, *wholes, strict=False))
    return max(1, min(len(list(alike)), *(len(whole) - 1 for whole in wholes)))


def read_questions(source: str) -> Iterator[tuple[str, str, list[str], int]]:
    """Where each stands, its prompt, what may follow, and the number of the right one."""
    with open(source, encoding="utf-8-sig", errors="strict") as file:
        for number, line in enumerate(lines(file, source), 1):
            where = f"{source}, line {number}"
            if len(line) > LINE:
                raise DataError(f"{where}: longer than {LINE} letters", FORM)
            if not line.strip():
                continue
            try:
                told = values(line)
            except ValueError as error:
                raise DataError(f"{where}: {error}", FORM) from None
            yield (where, *question(told, where))


def lines(file: Any, source: str) -> Iterator[str]:
    """Lines, none of them longer than one letter beyond the limit."""
    try:
        while line := file.readline(LINE + 1):
            yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: no text in UTF-8: {error.reason}", FORM) from None


def question(told: Any, where: str) -> tuple[str, list[str], int]:
    """Prompt, continuations, and the number of the right one; of an exact answer there is one."""

    def must(holds: bool, what: str) -> None:
        if not holds:
            raise DataError(f"{where}: {what}", FORM)

    must(isinstance(told, dict), "no object")
    unknown = sorted(set(told) - {"prompt", "choices", "answer"})
    must(not unknown, f"unknown key {unknown[0]!r}" if unknown else "")
    prompt, choices, answer = told.get("prompt"), told.get("choices"), told.get("answer")
    must(isinstance(prompt, str) and bool(prompt.strip()), "`prompt` is no text")
    if choices is None:
        must(isinstance(answer, str) and bool(answer.strip()), "`answer` is no text, and there are no `choices`")
        return prompt, [answer], 0
    must(isinstance(choices, list) and len(choices) > 1, "`choices` are not at least two texts")
    must(all(isinstance(c, str) and c.strip() for c in choices), "`choices` are not all texts")
    must(len({joined(prompt, c) for c in choices}) == len(choices), "`choices` has one twice")
    if isinstance(answer, str):
        must(answer in choices, "`answer` is none of the `choices`")
        return prompt, choices, choices.index(answer)
    must(type(answer) is int and 0 <= answer < len(choices), "`answer` is no number of a choice")
    return prompt, choices, answer


def answer_questions(
    window: Callable[[NDArray[Any]], NDArray[np.float32]], rows: NDArray[Any], tokens: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Of every row the log-likelihood of its continuation, nats, and 1 where each of its tokens was the likeliest.

    Args:
        window: token ids → log-probabilities of every next token, [tokens - 1, vocabulary].
    """
    found: dict[str, NDArray[Any]] = {"likelihood": np.empty(len(rows), np.float64), "greedy": np.empty(len(rows), np.float32)}
    for index, (place, length, context, *_) in enumerate(rows):
        ids = tokens[place : place + length]
        log = window(ids)[context - 1 :]
        wanted = ids[context:]
        found["likelihood"][index] = log[np.arange(len(wanted)), wanted].astype(np.float64).sum()
        found["greedy"][index] = np.array_equal(log.argmax(axis=1), wanted)
    return found
