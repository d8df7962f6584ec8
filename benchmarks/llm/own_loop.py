"""A framework's own greedy loop beside Strop's session, in one process: `python own_loop.py '{"backend": …, "model": …, …}'`.

Run by the framework's own interpreter, by path; shares nothing with Strop but the runner it judges. Both write the same number
of tokens after the same prompt; rounds of the one and the other alternate. CPU time of the whole process, since wall time is
too noisy on a shared machine. Prints {"own": [nanoseconds a token of each round], "session": […], "same": whether both wrote
the same}.
"""

import ctypes as c
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PROMPT, WRITTEN, END = 64, 64, 2
Writer = Callable[[list[int]], list[int]]


def runner_of(path: str) -> Any:
    """Strop's runner, the very file that is measured and shipped."""
    spec = importlib.util.spec_from_file_location("runner", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runner"] = module
    spec.loader.exec_module(module)
    return module


def by_session(session: Any) -> Writer:
    """Greedy by steps."""

    def write(prompt: list[int]) -> list[int]:
        session.reset()
        made, given = list[int](), np.array(prompt, np.int32)
        for _ in range(WRITTEN):
            token = int(np.argmax(session.step(given, "last")[-1]))
            made.append(token)
            given = np.array([token], np.int32)
        return made

    return write


def llamacpp(runner: Any, session: Any, _model: str, _settings: dict[str, Any]) -> Writer:
    """As llama.cpp's own simple example: llama_batch_get_one, llama_decode, a greedy sampler."""
    lib = runner.library()
    context = lib.function("llama_init_from_model", runner.POINTER, runner.POINTER, lib.context_params)
    params = lib.function("llama_context_default_params", lib.context_params)()
    held = session.properties
    params.n_ctx = params.n_batch = params.n_ubatch = held["context"]
    params.threads = params.threads_batch = held["threads"]
    params.type_k = params.type_v = runner.CACHE[held["cache"]]
    own = context(session.model, params)
    memory = lib.function("llama_get_memory", runner.POINTER, runner.POINTER)(own)
    clear = lib.function("llama_memory_clear", None, runner.POINTER, runner.BOOL)
    one = lib.function("llama_batch_get_one", runner.Batch, c.POINTER(runner.INT), runner.INT)
    decode = lib.function("llama_decode", runner.INT, runner.POINTER, runner.Batch)
    greedy = lib.function("llama_sampler_init_greedy", runner.POINTER)()
    sample = lib.function("llama_sampler_sample", runner.INT, runner.POINTER, runner.POINTER, runner.INT)

    def write(prompt: list[int]) -> list[int]:
        clear(memory, True)
        made, given = list[int](), (runner.INT * len(prompt))(*prompt)
        for _ in range(WRITTEN):
            decode(own, one(given, len(given)))
            made.append(sample(greedy, own, -1))
            given = (runner.INT * 1)(made[-1])
        return made

    return write


def openvino(_runner: Any, _session: Any, model: str, settings: dict[str, Any]) -> Writer:
    """openvino_genai's pipeline on the same IR, given token ids."""
    import openvino as ov
    import openvino_genai as genai

    told: dict[str, Any] = {"INFERENCE_PRECISION_HINT": settings["precision"], "INFERENCE_NUM_THREADS": settings["threads"],
                            "NUM_STREAMS": 1, "KV_CACHE_PRECISION": settings["cache"], "ATTENTION_BACKEND": "SDPA"}  # fmt: skip
    place = tempfile.mkdtemp()  # under the names that the pipeline wants
    for suffix in (".xml", ".bin"):
        Path(place, f"openvino_model{suffix}").symlink_to(Path(model).with_suffix(suffix))
    pipe = genai.LLMPipeline(place, "CPU", **told)
    greedy = genai.GenerationConfig(max_new_tokens=WRITTEN, min_new_tokens=WRITTEN, do_sample=False, ignore_eos=True)
    greedy.set_eos_token_id(END)

    def write(prompt: list[int]) -> list[int]:
        ids = np.array([prompt], np.int64)
        return list(pipe.generate(genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids))), greedy).tokens[0])

    return write


def onnxruntime_genai(_runner: Any, session: Any, _model: str, settings: dict[str, Any]) -> Writer:
    """onnxruntime_genai's own loop: generate_next_token."""
    import onnxruntime_genai as og

    params = og.GeneratorParams(session.model)
    params.set_search_options(max_length=int(settings["context"]), do_sample=False)
    own = og.Generator(session.model, params)

    def write(prompt: list[int]) -> list[int]:
        own.rewind_to(0)
        own.append_tokens(np.array(prompt, np.int32))
        made = list[int]()
        for _ in range(WRITTEN):
            own.generate_next_token()
            made.append(int(own.get_next_tokens()[0]))
        return made

    return write


def mlx(_runner: Any, session: Any, _model: str, _settings: dict[str, Any]) -> Writer:
    """mlx_lm's own generate_step."""
    import mlx.core as mx
    from mlx_lm.generate import generate_step

    def write(prompt: list[int]) -> list[int]:
        return [int(token) for token, _ in generate_step(mx.array(prompt), session.model, max_tokens=WRITTEN)]

    return write


OWN: dict[str, Callable[..., Writer]] = {
    "llamacpp": llamacpp, "openvino": openvino, "onnxruntime-genai": onnxruntime_genai, "mlx": mlx,
}  # fmt: skip


def main(backend: str, runner_path: str, model: str, settings: dict[str, Any], rounds: int) -> dict[str, Any]:
    runner = runner_of(runner_path)
    session = runner.open(model, settings)
    writers = {"own": OWN[backend](runner, session, model, settings), "session": by_session(session)}
    rng = np.random.default_rng(0)
    spent: dict[str, list[float]] = {name: [] for name in writers}
    same = True
    for number in range(rounds + 1):
        prompt = [1, *(int(token) for token in rng.integers(3, 500, PROMPT - 1))]
        made = {}
        for name in sorted(writers, reverse=bool(number % 2)):
            begin = time.process_time_ns()
            made[name] = writers[name](prompt)
            if number:  # the first round warms
                spent[name].append((time.process_time_ns() - begin) / WRITTEN)
        same = same and made["own"] == made["session"]
    return {**spent, "same": same}


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    given = json.loads(sys.argv[1])
    print(json.dumps(main(**given)), flush=True)
