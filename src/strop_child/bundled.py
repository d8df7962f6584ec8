"""A bundle as something to run and to time: its own `infer.py`, as a user would load it. Child side."""

import builtins
import importlib.util
import os
import sys
import types
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from strop_child.preprocess import DataError
from strop_child.shards import Growing, feed_of, opened, release


def module_of(folder: str) -> Any:
    sys.dont_write_bytecode = True
    spec: Any = importlib.util.spec_from_file_location("strop_bundle_infer", os.path.join(folder, "infer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def warm_import(path: str) -> None:
    """The bundle's runtime is imported by now, as a backend's is: the empty process that memory is counted from."""
    folder = os.path.dirname(path)
    runner = module_of(folder)._module(Path(folder), "runner")
    if hasattr(runner, "warm"):
        runner.warm()


def open(path: str, settings: dict[str, Any]) -> Any:
    """A session for Strop's clock; `path` is the bundle's infer.py."""
    return module_of(os.path.dirname(path)).load(os.path.dirname(path))


def infer(folder: str, inputs: str, output: str) -> None:
    """Arrays of one .npz → outputs in another."""
    module = module_of(folder)
    bundle = module.load(folder)
    with np.load(inputs, allow_pickle=False) as arrays:
        feed = bundle.feed_of(inputs, arrays)
    found = bundle.run_in_batches(feed, bundle.manifest["workload"]["batches"][0])
    write(output, module.flat(found) if hasattr(module, "flat") else found)


def write(output: str, arrays: dict[str, Any]) -> None:
    """An .npz, whole or not at all."""
    draft = output + ".partial.npz"
    np.savez(draft, **arrays)
    os.replace(draft, output)


def infer_shards(folder: str, inputs: dict[str, str], out: str) -> dict[str, str]:
    """Shards of any size → output shards in `out`, batch by batch. Returns {output: file}.

    An output whose first axis is not the batch has no shard.
    """
    bundle = module_of(folder).load(folder)
    given = opened(inputs)
    count, batch = len(next(iter(given.values()))), bundle.manifest["workload"]["batches"][0]
    shards: dict[str, tuple[str, Growing]] = {}
    apart = bundle.manifest.get("by_call", ())

    def fits(name: str, value: Any, size: int) -> bool:
        return name not in apart and np.shape(value)[:1] == (size,) and np.asarray(value).dtype != object  # text

    with ExitStack() as stack:
        for start in range(0, count, batch):
            rows = np.arange(start, start + batch) % count if bundle.filled else np.arange(start, min(start + batch, count))
            answer = bundle.run(feed_of(given, rows))
            release(*given.values())
            for name, value in ((n, np.asarray(v)) for n, v in answer.items() if fits(n, v, len(rows))):
                if name not in shards:
                    path = os.path.join(out, f"output{len(shards)}.npy")
                    shards[name] = path, stack.enter_context(Growing(path))
                shards[name][1].append(value[: min(batch, count - start)])
    return {name: path for name, (path, _) in shards.items()}


def language_losses(folder: str, tokens: str, out: str, language: dict[str, Any], count: int) -> dict[str, str]:
    """The loss of every token of the first windows by the bundle's own runner; {"nll": file}."""
    from strop_child.language import windows

    bundle = module_of(folder).load(folder)
    path = os.path.join(out, "nll.npy")
    rows = np.load(tokens, mmap_mode="r", allow_pickle=False)[:count]
    found = [
        -log[np.arange(len(log)), row[1:]]
        for row, log in zip(rows, windows(bundle.session, rows, language["chunk"]), strict=True)
    ]
    np.save(path, np.asarray(found, np.float32))
    return {"nll": path}


def encode(folder: str, items: list[Any], output: str) -> None:
    """Pictures or texts → the model's inputs in an .npz, by the bundle's own preprocessing."""
    tool = preprocessing(folder)
    write(output, tool.encode(tool.items(items)))


def answer(folder: str, items: list[Any], inputs: str, outputs: str, most: int, embeddings: str | None) -> Any:
    """What outputs mean, as plain values; embeddings are written to a file too. Returns a list, one answer an item."""
    tool = preprocessing(folder)
    with np.load(inputs, allow_pickle=False) as feed, np.load(outputs, allow_pickle=False) as values:
        found = tool.answers(dict(values), dict(feed), tool.items(items), most)
    if not isinstance(found, np.ndarray):
        return found
    if embeddings is not None:
        write(embeddings, {"embeddings": found})
    return found.tolist()


def preprocessing(folder: str) -> Any:
    """The bundle's own preprocess.py, compiled from its source, opened on the bundle."""
    module = types.ModuleType("bundle_preprocess")
    path = os.path.join(folder, "preprocess.py")
    if not os.path.isfile(path):
        raise DataError("this bundle takes arrays: it was made from data that were arrays already", "give an .npz")
    module.__file__ = path
    with builtins.open(path, encoding="utf-8") as f:
        exec(compile(f.read(), path, "exec"), module.__dict__)
    return module.Bundled(folder)
