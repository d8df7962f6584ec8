"""Runs a GGUF language model with llama.cpp's libraries by ctypes. Needs numpy and the libraries only.

The same file is measured by Strop and shipped in the bundle. The structures are those of llama.cpp 0.5 and 0.6; that is checked.
"""

import builtins
import ctypes as c
import functools
import glob
import os
import re
import sys
from typing import Any

import numpy as np

FOLDER = "LLAMA_CPP"
CACHE = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8}
"""Types of the KV cache, by llama.cpp's numbers."""
MICRO = 512
"""Tokens that are computed at once: llama.cpp's default; it reserves room for the logits of all of them."""
POINTER, INT, UNSIGNED, FLOAT, BOOL, SIZE = c.c_void_p, c.c_int32, c.c_uint32, c.c_float, c.c_bool, c.c_size_t


def structure(*fields: tuple[str, Any]) -> Any:
    """A ctypes structure of (names, type) groups."""
    return type("Structure", (c.Structure,), {"_fields_": [(name, kind) for names, kind in fields for name in names.split()]})


ModelParams = structure(
    ("devices buffers", POINTER), ("gpu_layers split load_mode lazy main_gpu", INT),
    ("tensor_split callback callback_data overrides", POINTER),
    ("vocab_only check extra_buffers no_host no_alloc load_mtp", BOOL),
)  # fmt: skip


def context_params(*more: tuple[str, Any]) -> Any:
    """The structure of 0.5; `more` are the fields that a later version has before those of the abort callback."""
    return structure(*CONTEXT_HEAD, *more, *CONTEXT_TAIL)


CONTEXT_HEAD: tuple[tuple[str, Any], ...] = (
    ("n_ctx n_batch n_ubatch n_seq_max n_rs n_out n_out_seq", UNSIGNED),
    ("threads threads_batch context_type rope pooling attention flash", INT),
    ("f0 f1 f2 f3 f4 f5", FLOAT), ("yarn", UNSIGNED), ("defrag", FLOAT), ("callback callback_data", POINTER),
    ("type_k type_v", INT),
)  # fmt: skip
CONTEXT_TAIL: tuple[tuple[str, Any], ...] = (
    ("abort abort_data", POINTER),
    ("embeddings offload no_perf op_offload swa_full kv_unified", BOOL), ("samplers", POINTER), ("n_samplers", SIZE),
    ("other", POINTER),
)  # fmt: skip
LAYOUTS = {"0.5.": context_params(), "0.6.": context_params(("moe", SIZE))}
"""Versions that the structures here are those of → the one that differs."""
SOURCE = "SOURCE"
"""A file beside the libraries that says where they are from."""
WHOLE = "xllamacpp.abi3.so"
"""A wheel's library: all of llama.cpp in one file, for AVX2, without the quantizer."""
Batch = structure(
    ("n", INT), ("token", c.POINTER(INT)), ("embd", POINTER), ("pos n_seq", c.POINTER(INT)),
    ("seq", c.POINTER(c.POINTER(INT))), ("logits", c.POINTER(c.c_int8)),
)  # fmt: skip
REASONS = ("error loading model: ", "error: ", "failed to quantize: ")
"""What llama.cpp writes in front of the reason for a failure."""
LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, POINTER)


class LlamaError(Exception):
    """llama.cpp refused something."""


class Library:
    """The libraries of one folder, loaded in their order, with the CPU variant that llama.cpp chose."""

    def __init__(self, folder: str) -> None:
        self.folder, self.lines, self.source = folder, list[str](), self._source(folder)
        whole = os.path.join(folder, WHOLE)
        if os.path.exists(whole):
            self.base = self.ggml = self.llama = c.CDLL(whole)
        else:
            self.base = c.CDLL(self._file("libggml-base*.so*"), c.RTLD_GLOBAL)
            self.ggml = c.CDLL(self._file("libggml.*so*"), c.RTLD_GLOBAL)
            self.llama = c.CDLL(self._file("libllama.*so*"))
        self._log = LOG(lambda _level, text, _data: self.lines.append(text.decode("utf-8", "replace")))
        self.llama.llama_log_set(self._log, None)
        self.base.ggml_log_set(self._log, None)
        self.ggml.ggml_backend_load_all_from_path(c.c_char_p(folder.encode() + b"/"))
        version = self.function("llama_version", c.c_char_p)().decode()
        layout = next((found for known, found in LAYOUTS.items() if version.startswith(known)), None)
        if layout is None:
            raise LlamaError(f"llama.cpp {version}: the structures here are those of {' and '.join(k + 'x' for k in LAYOUTS)}")
        self.context_params = layout
        params = self.function("llama_context_default_params", layout)()
        if (params.n_ctx, params.n_batch, params.threads, params.type_k, params.type_v) != (512, 2048, 4, 1, 1):
            raise LlamaError(f"llama.cpp {version}: its structures are not those that are known here")
        self.version, self.variant = version, self._variant()

    def _file(self, pattern: str) -> str:
        found = sorted(glob.glob(os.path.join(self.folder, pattern)))
        if not found:
            raise LlamaError(f"no {pattern} in {self.folder}")
        return found[0]

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        try:
            found = getattr(self.llama, name)
        except AttributeError:
            raise LlamaError(f"this build of llama.cpp ({self.source}) has no {name}") from None
        found.restype, found.argtypes = result, arguments
        return found

    def _variant(self) -> str:
        """The CPU variant that was loaded, by its file's name; of a build without variants, what it was made for."""
        said = [line for line in self.lines if "loaded CPU backend" in line]
        if said:
            return os.path.basename(said[-1].rsplit(" ", 1)[-1].strip()).removeprefix("libggml-cpu-").removesuffix(".so")
        told = self.function("llama_print_system_info", c.c_char_p)().decode("utf-8", "replace")
        return f"made for {', '.join(re.findall(r'([A-Z0-9_]+) = 1', told)) or 'any CPU'}"

    @staticmethod
    def _source(folder: str) -> str:
        """Which build it is: what `strop backends install` wrote down, or the user's own."""
        path = os.path.join(folder, SOURCE)
        if not os.path.exists(path):
            return f"named in ${FOLDER}" if folder == os.environ.get(FOLDER) else "unknown"
        with builtins.open(path, encoding="utf-8") as file:
            return file.read().strip()

    def why(self) -> str:
        """Its own reason, for an error: what it said behind an error's name, else its last line. The lines behind it only say
        that loading failed."""
        said = [line.strip() for line in self.lines if line.strip()]
        named = [line.partition(mark)[2] for line in said for mark in REASONS if mark in line]
        return (named or said or ["it did not say why"])[-1].strip()[:300]

    def load(self, path: str, params: Any) -> Any:
        """The model in this file.

        Raises:
            LlamaError: llama.cpp refuses it; says why.
        """
        self.lines.clear()
        found = self.function("llama_model_load_from_file", POINTER, c.c_char_p, ModelParams)(path.encode(), params)
        if not found:
            raise LlamaError(f"{path}: llama.cpp {self.version} does not load it: {self.why()}")
        return found


def _libraries_in(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, WHOLE)) or bool(glob.glob(os.path.join(folder, "libllama*")))


@functools.cache
def library() -> Library:
    """The libraries, loaded once: of the folder in $LLAMA_CPP, beside this file, or in the environment that runs it."""
    named = os.environ.get(FOLDER, "")
    if named and not (os.path.isabs(named) and _libraries_in(named)):
        raise LlamaError(f"${FOLDER} is {named}: no folder, by its whole path, with llama.cpp's libraries in it")
    places = [named, os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama.cpp")]
    places.append(os.path.join(sys.prefix, "llama.cpp"))
    found = next((p for p in places if p and _libraries_in(p)), None)
    if found is None:
        raise LlamaError(f"no llama.cpp libraries; name their folder in ${FOLDER}")
    return Library(found)


class Session:
    """`reset()` forgets everything; `step(tokens, want)` takes token ids and goes on from what it holds.

    `batch` in the settings is how many texts of equal length it can hold side by side, each with a context of its own.
    """

    def __init__(self, path: str, settings: dict[str, Any], watch: Any = None) -> None:
        self.lib = lib = library()
        model = lib.function("llama_model_default_params", ModelParams)()
        model.load_mode = 0  # read, not mapped: the CPU copies weights into its own layout, and mapped pages would count twice
        self.model = lib.load(path, model)
        context = lib.function("llama_context_default_params", lib.context_params)()
        texts, each = int(settings.get("batch", 1)), int(settings.get("context", 512))
        context.n_ctx = context.n_batch = texts * each
        context.n_seq_max = texts
        context.n_ubatch = min(context.n_ctx, MICRO)
        context.threads = context.threads_batch = int(settings.get("threads", 1))
        context.type_k = context.type_v = CACHE[str(settings.get("cache", "f16"))]
        if settings.get("cache") == "f32":
            context.flash = 0  # fused attention computes with keys and values in f16, whatever the cache holds
        if watch is not None:
            context.callback = c.cast(watch, POINTER)
        self.context = lib.function("llama_init_from_model", POINTER, POINTER, lib.context_params)(self.model, context)
        if not self.context:
            raise LlamaError(f"{path}: {lib.why()}")
        vocabulary = lib.function("llama_model_get_vocab", POINTER, POINTER)(self.model)
        self.vocabulary = lib.function("llama_vocab_n_tokens", INT, POINTER)(vocabulary)
        self.memory = lib.function("llama_get_memory", POINTER, POINTER)(self.context)
        self.batch = lib.function("llama_batch_init", Batch, INT, INT, INT)(context.n_ctx, 0, 1)
        self.decode = lib.function("llama_decode", INT, POINTER, Batch)
        self.output = lib.function("llama_get_logits", c.POINTER(FLOAT), POINTER)
        self.clear = lib.function("llama_memory_clear", None, POINTER, BOOL)
        self.past = 0
        self.properties = {
            "llama.cpp": lib.version, "build": lib.source, "variant": lib.variant, "threads": context.threads,
            "cache": next(name for name, number in CACHE.items() if number == context.type_k), "context": each,
        }  # fmt: skip

    def reset(self) -> None:
        self.clear(self.memory, True)
        self.past = 0

    def step(self, tokens: Any, want: str = "last") -> Any:
        """Logits after these tokens, [tokens] of one text or [texts, tokens].

        float32 [texts, vocabulary] for "last", [tokens, vocabulary] for "all" of one text, None for "none"; a view that the
        next step overwrites.
        """
        batch, many = self.batch, np.atleast_2d(tokens)
        texts, count = many.shape
        batch.n = texts * count
        for place, token in enumerate(many.ravel().tolist()):
            text, at = divmod(place, count)
            batch.token[place], batch.pos[place], batch.n_seq[place] = token, self.past + at, 1
            batch.seq[place][0] = text
            batch.logits[place] = want == "all" or at == count - 1
        code = self.decode(self.context, batch)
        if code:
            raise LlamaError(f"llama_decode gave {code}: {self.lib.why()}")
        self.past += count
        if want == "none":
            return None
        rows = texts * (count if want == "all" else 1)
        return np.ctypeslib.as_array(self.output(self.context), (rows * self.vocabulary,)).reshape(rows, self.vocabulary)


class Encoded:
    """What a tokenizer makes of a text."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids


class Vocabulary:
    """The tokenizer in a GGUF file; the weights are not loaded."""

    def __init__(self, path: str) -> None:
        self.lib = lib = library()
        params = lib.function("llama_model_default_params", ModelParams)()
        params.vocab_only = True
        self.model = lib.load(path, params)
        self.vocab = lib.function("llama_model_get_vocab", POINTER, POINTER)(self.model)
        self.size = int(lib.function("llama_vocab_n_tokens", INT, POINTER)(self.vocab))

    def encode(self, text: str, add_special_tokens: bool = True) -> Encoded:
        """Ids of a text; what looks like a special token in it is text, unless it is the model's own."""
        raw = text.encode()
        run = self.lib.function("llama_tokenize", INT, POINTER, c.c_char_p, INT, c.POINTER(INT), INT, BOOL, BOOL)
        ids = (INT * (len(raw) + 8))()
        count = run(self.vocab, raw, len(raw), ids, len(ids), add_special_tokens, True)
        if count < 0:
            raise LlamaError(f"a text of {len(raw)} bytes gave {-count} tokens")
        return Encoded(list(ids[:count]))

    def decode(self, ids: list[int]) -> str:
        run = self.lib.function("llama_detokenize", INT, POINTER, c.POINTER(INT), INT, c.c_char_p, INT, BOOL, BOOL)
        given, room = (INT * len(ids))(*ids), 64 * len(ids) + 64
        text = c.create_string_buffer(room)
        count = run(self.vocab, given, len(ids), text, room, False, True)
        return text.raw[: max(0, count)].decode("utf-8", "replace")

    def chat_template(self) -> str:
        found = self.lib.function("llama_model_chat_template", c.c_char_p, POINTER, c.c_char_p)(self.model, None)
        return found.decode("utf-8", "replace") if found else ""

    def text(self, which: str) -> str:
        """Text of the `bos` or `eos` token; empty where there is none."""
        token = self.lib.function(f"llama_vocab_{which}", INT, POINTER)(self.vocab)
        found = self.lib.function("llama_vocab_get_text", c.c_char_p, POINTER, INT)(self.vocab, token) if token >= 0 else None
        return found.decode("utf-8", "replace") if found else ""

    def ends(self) -> list[int]:
        """Tokens that end an answer, or a turn of a conversation: those the file names, and those llama.cpp knows."""
        ends = self.lib.function("llama_vocab_is_eog", BOOL, POINTER, INT)
        return [token for token in range(self.size) if ends(self.vocab, token)]

    def trained_context(self) -> int:
        return int(self.lib.function("llama_model_n_ctx_train", INT, POINTER)(self.model))


def tokenizer(path: str) -> Vocabulary:
    """The model's own tokenizer, for a bundle without another."""
    return Vocabulary(path)


def open(path: str, settings: dict[str, Any]) -> Session:
    """A session on the model at `path` with these settings."""
    return Session(path, settings)
