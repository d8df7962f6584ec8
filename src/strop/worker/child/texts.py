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


def prepare_tokens(source: str, tokenizer: str, window: int, most: int, vocabulary: int, out: str) -> dict[str, Any]:
    """Windows of `window` ids, the begin token in front of each where the tokenizer puts one; what fills no window is left out.

    Args:
        most: tokens at most. vocabulary: ids must lie below it.

    Raises:
        DataError: no text, too little of it, or a tokenizer of another vocabulary.
    """
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_file(tokenizer)
    except Exception as error:
        raise DataError(
            f"{tokenizer}: not a tokenizer: {str(error).splitlines()[0][:200]}", "give the model's own tokenizer.json"
        ) from None
    begin = begin_of(found)
    step = window - (begin is not None)
    ids: list[int] = []
    with open(source, encoding="utf-8", errors="strict") as file:
        try:
            while len(ids) < most + step:
                text = file.read(CHUNK)
                if not text:
                    break
                text += file.readline()  # whole lines, so that a word is not cut
                ids += found.encode(text, add_special_tokens=False).ids
        except UnicodeDecodeError as error:
            raise DataError(f"{source}: no text in UTF-8: {error.reason}", "give plain text") from None
    count = min(max(1, most // step), len(ids) // step)
    if not count:
        raise DataError(f"{source}: {len(ids)} tokens fill no window of {step}", "give more text, or a shorter --context")
    used = np.asarray(ids[: count * step], np.int32).reshape(count, step)
    if used.max() >= vocabulary:
        raise DataError(
            f"{tokenizer}: token {int(used.max())} is beyond the model's vocabulary of {vocabulary}",
            "it belongs to another model",
        )
    rows = used if begin is None else np.concatenate([np.full((count, 1), begin, np.int32), used], axis=1)
    np.save(os.path.join(out, "tokens.npy"), rows)
    return {"count": count, "begin": begin, "tokens": int(used.size)}


def decode_tokens(tokenizer: str, sequences: list[dict[str, list[int]]]) -> list[dict[str, str]]:
    """The texts of prompts and of what was written after them, by the model's own tokenizer.

    Both are decoded in one piece, since a token alone may be half a letter, or hide the space before it.
    """
    from tokenizers import Tokenizer

    found, texts = Tokenizer.from_file(tokenizer), []
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
