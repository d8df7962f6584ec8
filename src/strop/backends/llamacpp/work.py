"""llama.cpp's child side: probe, inspect, build, open. Imports nothing of strop."""

import os
import re
import sys
from collections import Counter
from typing import Any

from strop_child.refusal import ModelError

from . import runner
from .runner import open

EIGHT = ("Q8_0", "Q6_K")
PLAIN = ("F32", "F16", "BF16")
_ = open  # `work.open` is the runner's: what is measured is what is shipped


def warm_import(_artifact: str) -> Any:
    """The libraries and their CPU variant are loaded by now: the empty process that memory is counted from."""
    return runner.library()


def probe() -> dict[str, Any]:
    """What works here, and why not."""
    from importlib.metadata import version

    try:
        found = runner.library()
    except (runner.LlamaError, OSError) as error:
        return {"works": False, "why_not": str(error), "versions": {}, "devices": [], "python": sys.version.split()[0]}
    return {
        "works": True,
        "why_not": "",
        "versions": {"llama.cpp": f"{found.version} ({found.source})", "gguf": version("gguf")},
        "devices": [f"CPU ({found.variant})"],
        "python": sys.version.split()[0],
    }


def inspect(path: str) -> dict[str, Any]:
    """What this GGUF is. The inspector has looked at its header before."""
    from .steps import told_of

    first = parts(path)[0]
    if first != os.path.basename(path):
        raise ModelError(f"{path}: a further part of a model in several files", f"give the first: {first}; it finds the others")
    try:
        vocabulary = runner.Vocabulary(path)
    except runner.LlamaError as error:
        raise ModelError(str(error), hint_for(str(error))) from None
    types = Counter[str]()
    for part in parts(path):
        told = told_of(os.path.join(os.path.dirname(path), part), whole=False)["claims"]
        types.update({name.removeprefix("tensors in "): int(count) for name, count in told.items()})
    low = [name for name in types if name not in PLAIN]
    return {
        "files": parts(path),
        "family": "llm",
        "inputs": [{"name": "tokens", "dtype": "int32", "shape": [None]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [None, vocabulary.size]}],
        "parameters": 0,
        "precision": "int8" if low and set(low) <= set(EIGHT) else "int4" if low else "fp32" if set(types) == {"F32"} else "fp16",
        "traits": {
            "vocabulary": vocabulary.size,
            "context": vocabulary.trained_context(),
            "ends": [str(token) for token in vocabulary.ends()],
            "types": [f"{count} {name}" for name, count in sorted(types.items())],
            "tokenizer": "own",
        },
    }


def hint_for(why: str) -> str:
    """What to do where llama.cpp refuses a file for this reason."""
    if "unknown model architecture" in why or "unknown pre-tokenizer" in why:
        return "a newer llama.cpp may know it: name the folder of its libraries in $LLAMA_CPP; the Hugging Face folder works too"
    if "missing tensor" in why or "wrong number of tensors" in why or "wrong shape" in why:
        return "the file does not hold what its architecture has: convert it again, or download it again"
    return "convert it again with a current llama.cpp, or download it again"


def parts(path: str) -> list[str]:
    """The file's name, or those of all parts that it is one of."""
    name = os.path.basename(path)
    found = re.match(r"^(.*)-\d{5}-of-(\d{5})\.gguf$", name)
    if found is None:
        return [name]
    return [f"{found[1]}-{place:05d}-of-{found[2]}.gguf" for place in range(1, int(found[2]) + 1)]


def prepare_tokens(source: str, tokenizer: str, **arguments: Any) -> Any:
    """Windows of a text by the tokenizer in the file."""
    from strop_child.texts import write_windows

    return write_windows(source, runner.Vocabulary(tokenizer), **arguments)


def prepare_questions(source: str, tokenizer: str, **arguments: Any) -> Any:
    """Token ids of questions by the tokenizer in the file."""
    from strop_child.questions import write_questions

    return write_questions(source, runner.Vocabulary(tokenizer), **arguments)


def decode_tokens(tokenizer: str, sequences: list[dict[str, list[int]]]) -> Any:
    """Texts of token ids by the tokenizer in the file."""
    from strop_child.texts import decoded

    return decoded(runner.Vocabulary(tokenizer), sequences)


def read_chat(path: str) -> Any:
    """The file's chat template and the texts of its first and last token."""
    vocabulary = runner.Vocabulary(path)
    return {"template": vocabulary.chat_template(), "begin": vocabulary.text("bos"), "end": vocabulary.text("eos")}


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    from . import steps

    return getattr(steps, step["name"])(artifact, os.path.join(out_dir, "model.gguf"), data, **step["params"])
