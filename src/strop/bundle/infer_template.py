"""Runs this bundle's model. Needs Python, numpy and what requirements.txt names; nothing of Strop.

    from infer import load
    model = load()                               # of the folder that infer.py is in, or load("path/to/bundle")
    outputs = model.run({"input": array})        # arrays of shape [examples, ...] by input name; run(array) for a lone input
    answer = model.predict("picture.jpg")        # or a text, or a list of either, where the bundle knows the preprocessing

Where manifest.json names `shapes`, the session is compiled for these. Other shapes are answered by a second session, which is
opened when it is first needed, or refused, as it says there. `run(feed, views=True)` gives arrays that the next call overwrites.

`run` may be called from several threads at once: manifest.json says under `workload` with how many its throughput was measured.

or as a script:

    python infer.py inputs.npz outputs.npz       # from arrays to arrays
    python infer.py picture.jpg ...              # prints the best classes; embeddings go to --output
    python infer.py --text "a text" ...          # --pair "its second text" for models of text pairs
    python infer.py --bench [inputs.npz]         # how fast it is here, beside what was measured when it was made
"""

import argparse
import json
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _module(folder: Path, name: str) -> Any:
    """The bundle's own code, compiled from the source that the manifest vouches for, never from a cache."""
    module = types.ModuleType(f"bundle_{name}")
    source = folder / f"{name}.py"
    module.__file__ = str(source)
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), module.__dict__)
    return module


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
    """`run(dict of arrays) -> dict of arrays`, `predict(items)`. `manifest` says what the model takes and gives."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.folder = folder
        self.items: Any = None
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.session = self._open()
        self.inputs = {i["name"]: np.dtype(i["dtype"]) for i in self.manifest["inputs"]}
        self.own = threading.local()
        self.own.session = self.session
        self.turns: Any = None if hasattr(self.session, "fork") else self._several()
        shapes = {i["name"]: i["shape"] for i in self.manifest["inputs"]}
        self.single = {name for name, shape in shapes.items() if not shape}
        self.counted = next((name for name, shape in shapes.items() if shape), next(iter(shapes)))
        first = shapes[self.counted]
        self.fixed = first[0] if first and isinstance(first[0], int) else None
        self.filled = self.fixed is not None or self.manifest.get("shapes") is not None

    def _open(self) -> Any:
        """A session by the runner; for fixed shapes where the manifest names them."""
        runner, path = _module(self.folder, "runner"), _inside(self.folder, self.manifest["model"])
        settings, shapes = self.manifest["settings"], self.manifest.get("shapes")
        if shapes is None:
            return runner.open(path, settings)
        return _module(self.folder, "shaped").open_shaped(runner.open, path, settings, shapes["others"])

    def run(self, feed: dict[str, NDArray[Any]] | NDArray[Any], views: bool = False) -> Any:
        """Arrays by input name, shape [examples, ...], or the array of a lone input; whole numbers are cast where the model
        takes floats.

        An input without axes takes an array of shape [], or one number an example that is the same for all of the call.

        views: whether answers may be the runtime's own memory, which the calling thread's next call overwrites; else copies.

        Raises:
            ValueError: inputs that do not fit; or a shape that is refused, as manifest.json says under `shapes`.
        """
        if not isinstance(feed, dict):
            feed = self.lone(feed)
        if feed.keys() != self.inputs.keys():
            raise ValueError(f"inputs {sorted(feed)} given, the model takes {sorted(self.inputs)}")
        ready = {n: a if a.dtype == self.inputs[n] else _cast(n, a, self.inputs[n]) for n, a in feed.items()}
        if self.fixed is None or len(ready[self.counted]) == self.fixed:
            return self.answer(ready | {n: _number(n, ready[n]) for n in self.single} if self.single else ready, views)
        return self.run_in_batches(ready, self.fixed)

    def lone(self, array: Any) -> dict[str, NDArray[Any]]:
        """One array as the feed of a model with one input."""
        if len(self.inputs) != 1:
            raise ValueError(f"one array given, the model takes {sorted(self.inputs)}: give a dict of arrays by input name")
        return {next(iter(self.inputs)): np.asarray(array)}

    def _several(self) -> Any:
        """As many sessions as were measured, where the runtime does not share one model among threads."""
        path, settings = _inside(self.folder, self.manifest["model"]), self.manifest["settings"]
        streams, runner = int(settings.get("streams") or 1), _module(self.folder, "runner")
        more = [runner.open(path, settings) for _ in range(streams - 1)]
        return _module(self.folder, "turns").Turns([self.session, *more])

    def answer(self, ready: dict[str, NDArray[Any]], views: bool = False) -> Any:
        """By the calling thread's own session on the one model, where the runtime has that; else by the next that is free."""
        if self.turns is not None:
            return self.turns.run(ready)
        if not hasattr(self.own, "session"):
            self.own.session = self.session.fork()
        session = self.own.session
        return session.run_views(ready) if views and hasattr(session, "run_views") else session.run(ready)

    def feed_of(self, source: str, arrays: Any) -> dict[str, NDArray[Any]]:
        """The inputs among arrays, by their own names or by those they had when the model was evaluated."""
        known = {n: n if n in arrays else self.manifest["arrays"].get(n, n) for n in self.inputs}
        missing = [name for name, array in known.items() if array not in arrays]
        if missing:
            raise ValueError(f"{source}: no array {missing[0]!r}; has {', '.join(arrays)}")
        return {name: arrays[array] for name, array in known.items()}

    def predict(self, items: Any, most: int = 5) -> Any:
        """Answers for one picture (a path) or text, or for a list of them.

        Classes: (class, probability) pairs, best first. Token classes: (word, class) pairs. One number that stands for no class:
        an (output, number) pair. Embeddings: vectors of length 1.
        """
        if self.manifest["preprocess"] is None:
            raise ValueError("this bundle takes arrays: it was made from data that were arrays already; use run")
        self.items = self.items or _module(self.folder, "preprocess").Bundled(str(self.folder))
        many, found = self.items.items(items), []
        for start in range(0, len(many), self.items.batch):
            part = many[start : start + self.items.batch]
            feed = self.items.encode(part)
            found += list(self.items.answers(self.run_in_batches(feed, self.items.batch), feed, part, most))
        return found if isinstance(items, list) else found[0]

    def run_in_batches(self, feed: dict[str, NDArray[Any]], batch: int) -> dict[str, Any]:
        """Any number of examples, `batch` at a time; a last short batch is padded where shapes are fixed.

        Outputs that manifest.json names under `by_call`, such as detections, are lists: an array for each call.
        """
        counted = feed[self.counted]
        count, parts = len(counted) if counted.ndim else 1, []
        if not count or batch < 1:
            raise ValueError("no examples: the arrays are empty" if not count else f"a batch of {batch}: give 1 or more")
        for start in range(0, count, batch):
            rows = np.arange(start, start + batch) % count if self.filled else np.arange(start, min(start + batch, count))
            part = {n: np.ascontiguousarray(a[rows]) if a.ndim else a for n, a in feed.items()}
            parts.append(self.run(part))
        apart = self.manifest.get("by_call", ())
        return {
            name: [p[name] for p in parts] if name in apart else np.concatenate([p[name] for p in parts])[:count]
            for name in parts[0]
        }


def _cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not (np.can_cast(array.dtype, dtype, "same_kind") or (array.dtype.kind in "iub" and dtype.kind == "f")):
        raise ValueError(f"input {name!r} is {array.dtype}, the model takes {dtype}")
    return array.astype(dtype)


def _number(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """For an input without axes: the one number of a call."""
    values = np.asarray(array).reshape(-1)
    if not len(values) or (values != values[0]).any():
        given = f"{len(values)} different ones were" if len(values) else "none was"
        raise ValueError(f"input {name!r} has no axes: it takes one number a call, {given} given")
    return values[:1].reshape(())


def load(folder: str | Path | None = None) -> Bundle:
    """The bundle in `folder`, by default the one that this file is in, ready to run."""
    return Bundle(folder if folder is not None else Path(__file__).resolve().parent)


BENCH_S, WARM_S, LEAST_CALLS = 3.0, 0.5, 20


def bench(bundle: Bundle, inputs: str | None = None) -> int:
    """Calls one after another, timed on this device, beside what the manifest says of the one that it was measured on."""
    if inputs is not None:
        with np.load(inputs, allow_pickle=False) as arrays:
            rows = bundle.fixed or bundle.manifest["workload"]["batches"][0]
            feed = {name: a[:rows] if a.ndim else a for name, a in bundle.feed_of(inputs, arrays).items()}
    else:
        shapes = bundle.manifest["measurements"].get("shapes") or {}
        if shapes.keys() != bundle.inputs.keys():
            raise ValueError("the manifest does not say the shapes of a call: give inputs, --bench inputs.npz")
        feed = {name: np.zeros(shapes[name], dtype) for name, dtype in bundle.inputs.items()}
    examples = next((len(a) for a in feed.values() if a.ndim), 1)
    end, warm = time.perf_counter() + WARM_S, 0
    while time.perf_counter() < end or warm < 2:
        bundle.run(feed)
        warm += 1
    took: list[float] = []
    begin = time.perf_counter()
    while len(took) < LEAST_CALLS or time.perf_counter() - begin < BENCH_S:
        since = time.perf_counter()
        bundle.run(feed)
        took.append(time.perf_counter() - since)
    here = float(np.median(took)) * 1000
    print(f"here: p50 {here:.3g} ms a call of {examples} example(s), {1000 * examples / here:,.0f} a second, {len(took)} calls")
    before = (bundle.manifest["measurements"].get("latency_ms") or {}).get("p50")
    if before is None:
        print("when it was made: not timed")
    else:
        cpu, threads = (bundle.manifest["environment"].get(key) for key in ("cpu", "threads"))
        print(f"when it was made: p50 {before:.3g} ms on {cpu}, {threads} thread(s)")
        print(f"a call takes {here / before:.2f} times as long here")
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*")
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--pair", action="append", default=[])
    parser.add_argument("--output", default="embeddings.npz")
    parser.add_argument("--bench", action="store_true")
    given = parser.parse_args(arguments)
    texts = list(zip(given.text, given.pair, strict=True)) if given.pair else given.text
    items = [*given.items, *texts]
    if not items and not given.bench:
        print(__doc__)
        return 2
    try:
        bundle = load(Path(__file__).resolve().parent)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if given.bench:
        try:
            return bench(bundle, given.items[0] if given.items else None)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    if len(given.items) == 2 and given.items[0].endswith(".npz"):
        try:
            return arrays_to_arrays(bundle, *given.items)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    if given.items and (bundle.manifest["preprocess"] or {}).get("kind") == "text":
        print("this bundle takes texts: --text", file=sys.stderr)
        return 2
    try:
        show(items, bundle.predict(items), given.output)
    except Exception as error:
        if type(error).__name__ not in ("DataError", "ValueError"):
            raise
        print(error, file=sys.stderr)
        return 1
    return 0


def show(items: list[Any], answers: list[Any], output: str) -> None:
    """Classes are printed, one a line; embeddings are written as an array [items, size]."""
    if isinstance(answers[0], np.ndarray):
        np.savez(output, embeddings=np.stack(answers))
        print(f"{len(items)} embeddings of {len(answers[0])} values: {output}")
        return
    for item, answer in zip(items, answers, strict=True):
        print(item if isinstance(item, str) else " | ".join(item))
        for name, value in answer:
            print(f"  {value:.4f}  {name}" if isinstance(value, float) else f"  {name}  {value}")


def arrays_to_arrays(bundle: Bundle, inputs: str, output: str) -> int:
    with np.load(inputs, allow_pickle=False) as arrays:
        feed = bundle.feed_of(inputs, arrays)
    outputs: dict[str, Any] = bundle.run_in_batches(feed, bundle.manifest["workload"]["batches"][0])
    np.savez(output, **flat(outputs))
    return 0


def flat(outputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs as arrays that a file can hold: `name.0`, `name.1`, … for each call where they are lists."""
    found: dict[str, Any] = {}
    for name, value in outputs.items():
        parts = {f"{name}.{k}": part for k, part in enumerate(value)} if isinstance(value, list) else {name: value}
        found |= {key: part.astype(str) if part.dtype == object else part for key, part in parts.items()}
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
