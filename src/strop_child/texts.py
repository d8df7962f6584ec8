"""A text as windows of token ids: tokenized once, the same ids for every framework."""

import os
from typing import Any

import numpy as np

CHUNK = 1 << 16
"""Letters read at a time: any size of text goes through."""
HALF = "\N{REPLACEMENT CHARACTER}"
"""What the beginning of a letter is decoded to where the rest is missing."""


class DataError(Exception):
    """The text is refused; `hint` says what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def prepare_tokens(
    source: str, tokenizer: str, window: int, wanted: int, vocabulary: int, out: str, more: int = 1, spare: int = 0
) -> dict[str, Any]:  # fmt: skip
    """Windows of `window` ids, the begin token in front of each where the tokenizer puts one; what fills no window is left out.

    Args:
        wanted: tokens. more: how many times as many are kept for a later look. vocabulary: ids must lie below it.
        spare: windows to set apart, from the text behind all of these.
    Returns:
        count: windows of the tokens wanted. pool: windows in tokens.npy. spared: windows in spare.npy. begin: the token in front.

    Raises:
        DataError: no text, too little of it, or a tokenizer of another vocabulary.
    """
    return write_windows(source, opened(tokenizer), window, wanted, vocabulary, out, more, spare)


def opened(tokenizer: str) -> Any:
    """The tokenizer in this tokenizer.json, as the class that tokenizer_config.json names uses it.

    Raises:
        DataError: it is none.
    """
    from tokenizers import Tokenizer

    from strop_child.tokenizer_folder import settle

    try:
        found = Tokenizer.from_file(tokenizer)
    except Exception as error:
        raise DataError(
            f"{tokenizer}: not a tokenizer: {str(error).splitlines()[0][:200]}", "give the model's own tokenizer.json"
        ) from None
    return settle(found, os.path.dirname(tokenizer))


def write_windows(
    source: str, tokenizer: Any, window: int, wanted: int, vocabulary: int, out: str, more: int, spare: int
) -> dict[str, Any]:  # fmt: skip
    """As `prepare_tokens`, by any tokenizer whose `encode(text, add_special_tokens=…)` has `ids`."""
    begin = begin_of(tokenizer)
    step = window - (begin is not None)
    first = max(1, wanted // step)
    ids = np.asarray(ids_of(tokenizer, source, (first * more + spare) * step), np.int32)
    total = len(ids) // step
    if not total:
        front = " and the token in front" if begin is not None else ""
        raise DataError(
            f"{source}: {len(ids)} tokens fill no window of {window}, which takes {step}{front}",
            "give more text" + ("" if not len(ids) else ", or a shorter request: --context, --prompt-tokens, --output-tokens"),
        )
    if ids.max() >= vocabulary:
        raise DataError(
            f"the tokenizer gives token {int(ids.max())}, beyond the model's vocabulary of {vocabulary}",
            "it belongs to another model: give the folder as it was published",
        )
    rows = ids[: total * step].reshape(total, step)
    rows = rows if begin is None else np.concatenate([np.full((total, 1), begin, np.int32), rows], axis=1)
    spared = min(spare, max(0, total - first))
    pool = min(first * more, total - spared)
    np.save(os.path.join(out, "tokens.npy"), rows[:pool])
    np.save(os.path.join(out, "spare.npy"), rows[pool : pool + spared])
    return {"count": min(first, pool), "pool": pool, "spared": spared, "begin": begin}


def ids_of(tokenizer: Any, source: str, most: int) -> list[int]:
    """At least `most` ids of a text, or all that it has; read piece by piece.

    Raises:
        DataError: no text.
    """
    ids: list[int] = []
    with open(source, encoding="utf-8-sig", errors="strict") as file:
        try:
            while len(ids) < most:
                text = file.read(CHUNK)
                if not text:
                    break
                text += file.readline(CHUNK)  # whole lines, so that a word is not cut
                if "\0" in text:
                    raise DataError(f"{source}: no text: it holds NUL bytes", "give plain text")
                ids += tokenizer.encode(text, add_special_tokens=False).ids
        except UnicodeDecodeError as error:
            raise DataError(f"{source}: no text in UTF-8: {error.reason}", "give plain text") from None
    return ids


def decode_tokens(tokenizer: str, sequences: list[dict[str, list[int]]]) -> list[dict[str, str]]:
    """The texts of prompts and of what was written after them, by the tokenizer in this tokenizer.json."""
    return decoded(opened(tokenizer), sequences)


def decoded(found: Any, sequences: list[dict[str, list[int]]]) -> list[dict[str, str]]:
    """Each prompt and what was made of it, decoded in one piece: a token alone may be half a letter, or hide its space."""
    texts = []
    for sequence in sequences:
        prompt, whole = found.decode(sequence["prompt"]), found.decode([*sequence["prompt"], *sequence["made"]])
        prompt = prompt.rstrip(HALF) if not whole.startswith(prompt) else prompt
        made = whole[len(prompt) :] if whole.startswith(prompt) else found.decode(sequence["made"])
        texts.append({"prompt": prompt, "made": made})
    return texts


def begin_of(tokenizer: Any) -> int | None:
    """The id that the tokenizer itself puts in front of a text, or None."""
    bare, whole = (tokenizer.encode("a", add_special_tokens=special).ids for special in (False, True))
    return int(whole[0]) if whole[:1] != bare[:1] and len(whole) > len(bare) else None
