"""Runs this bundle's language model. Needs Python, numpy, tokenizers and what requirements.txt names; nothing of Strop.

    from infer import load
    model = load()                               # of the folder that infer.py is in, or load("path/to/bundle")
    for piece in model.generate("Once upon a time", tokens=64):
        print(piece, end="", flush=True)

or as a script, which writes the text as it comes, the likeliest token each time:

    python infer.py --prompt "Once upon a time" --tokens 64

or, to see how fast it is here, beside what was measured when it was made:

    python infer.py --bench

With --chat the prompt is a user's message, in the words of the model's own template.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

CHAT_S = 5


def _module(folder: Path, name: str) -> Any:
    """The bundle's own code, compiled from the source that the manifest vouches for, never from a cache."""
    module = types.ModuleType(f"bundle_{name}")
    source = folder / f"{name}.py"
    module.__file__ = str(source)
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module.__dict__)
    return module


def _fitting(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings it was made for, with no more threads than this process has cores: they would wait for one another."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {**settings, "threads": min(int(settings["threads"]), usable)} if "threads" in settings else settings


@contextlib.contextmanager
def _seconds(most: int) -> Iterator[None]:
    """Ends what takes longer, where the platform can: a template may count for hours.

    Raises:
        ValueError: it took longer.
    """

    def late(*_: object) -> None:
        raise ValueError(f"the chat template took more than {most} s")

    if not hasattr(signal, "alarm"):
        yield
        return
    signal.signal(signal.SIGALRM, late)
    signal.alarm(most)
    try:
        yield
    finally:
        signal.alarm(0)


def _inside(folder: Path, name: str) -> str:
    """The path of a file that the manifest names.

    Raises:
        ValueError: it is not in the bundle.
    """
    root = folder.resolve()
    if Path(name).is_absolute() or ".." in Path(name).parts or not (root / name).resolve().is_relative_to(root):
        raise ValueError(f"manifest.json: {name!r} leaves the bundle")
    return str(folder / name)


class Bundle:
    """`generate(prompt)` gives pieces of text. `manifest` says how the model was measured."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        self.runner = runner = _module(self.folder, "runner")
        self.session = runner.open(_inside(self.folder, self.manifest["model"]), _fitting(self.manifest["settings"]))
        self.context = int(self.manifest["language"]["context"])
        self.begin = self.manifest["language"]["begin"]
        self.tokenizer: Any = None

    def _tokenizer(self) -> Any:
        """The one in this folder, or where there is none the model file's own."""
        path = self.folder / "tokenizer.json"
        if not path.exists():
            return self.runner.tokenizer(_inside(self.folder, self.manifest["model"]))
        from tokenizers import Tokenizer

        found = Tokenizer.from_file(str(path))
        found.no_truncation()  # some are saved with one, for training
        found.no_padding()
        return found

    def conversation(self, messages: list[dict[str, str]]) -> str:
        """Messages, each with `role` and `content`, as the prompt that the model's own template makes of them.

        Raises:
            ValueError: the model has no template, or it refuses these messages.
        """
        chat = self.manifest["language"]["chat"]
        if chat is None:
            raise ValueError("the model has no chat template")
        tool = _module(self.folder, "chat")
        try:
            return str(tool.render(chat["template"], messages, chat["begin"], chat["end"]))
        except tool.ChatError as error:
            raise ValueError(str(error)) from None

    def generate(self, prompt: str, tokens: int = 64) -> Iterator[str]:
        """The likeliest continuation, piece by piece, until the model ends it or `tokens` are there.

        Raises:
            ValueError: the prompt is empty or does not fit the context.
        """
        self.tokenizer = self.tokenizer or self._tokenizer()
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        ids = ids if self.begin is None or ids[:1] == [self.begin] else [self.begin, *ids]
        if not ids:
            raise ValueError("the prompt is empty")
        if len(ids) >= self.context:
            raise ValueError(f"the prompt has {len(ids)} tokens, the context {self.context}")
        if tokens > self.context - len(ids):
            print(f"room for {self.context - len(ids)} tokens behind a prompt of {len(ids)}", file=sys.stderr)
        self.session.reset()
        given, made, shown = ids, list[int](), self.tokenizer.decode(ids)
        for _ in range(min(tokens, self.context - len(ids))):
            token = int(np.argmax(self.session.step(given, "last")[-1]))
            if token in self.manifest["language"]["ends"]:
                return
            made, given = [*made, token], [token]
            text = self.tokenizer.decode([*ids, *made])  # in one piece: alone, a token may hide the space before it
            if not text.endswith("�"):  # half a letter waits for its other half
                yield text[len(shown) :]
                shown = text


def load(folder: str | Path | None = None) -> Bundle:
    """The bundle in `folder`, by default the one that this file is in, ready to run."""
    return Bundle(folder if folder is not None else Path(__file__).resolve().parent)


def bench(model: Bundle, tokens: int) -> int:
    """Tokens a second after a prompt of 16 tokens, beside what the manifest says of the device that it was measured on."""
    session, ids = model.session, [5] * min(16, model.context - 2)
    tokens = max(1, min(tokens, model.context - len(ids) - 1))
    session.reset()
    session.step(ids, "last")
    begin = time.perf_counter()
    for _ in range(tokens):
        session.step([5], "last")
    here = tokens / (time.perf_counter() - begin)
    print(f"here: {here:.3g} tokens a second, {tokens} after a prompt of {len(ids)}")
    before = (model.manifest["measurements"].get("pace") or {}).get("decode tok/s")
    if before is None:
        print("when it was made: not timed")
    else:
        cpu, threads = (model.manifest["environment"].get(key) for key in ("cpu", "threads"))
        print(f"when it was made: {before:.3g} on {cpu}, {threads} thread(s); here it is {here / before:.2f} times as fast")
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", help="the text that goes on")
    parser.add_argument("--bench", action="store_true", help="time it on this device")
    parser.add_argument("--tokens", type=int, default=64, help="how many at most [64]")
    parser.add_argument("--chat", action="store_true", help="the prompt is a user's message")
    given = parser.parse_args(arguments)
    if given.tokens < 1:
        parser.error(f"--tokens {given.tokens} is not above 0")
    if given.prompt is None and not given.bench:
        parser.error("--prompt is missing")
    try:
        (given.prompt or "").encode()
    except UnicodeEncodeError:
        parser.error("--prompt is not valid UTF-8")
    try:
        model = load(Path(__file__).resolve().parent)
        if given.bench:
            return bench(model, given.tokens)
        with _seconds(CHAT_S):
            prompt = model.conversation([{"role": "user", "content": given.prompt}]) if given.chat else given.prompt
        for piece in model.generate(prompt, given.tokens):
            print(piece, end="", flush=True)
        print()
    except ImportError as error:
        print(f"{error.name} is not installed: pip install -r requirements.txt", file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
