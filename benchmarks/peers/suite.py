"""All ten models, one after the other: `python -m benchmarks.peers.suite --shared FOLDER --made FOLDER [NAME …]`.

Each is raced against its peers and against the best known by hand; `--of` chooses one of them. Both race the same pick. A model
that the results hold already, of this commit on this machine, is not done again, unless `--again` is given. Data that `--made`
holds already are not made again either.
"""

import argparse
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import results
from benchmarks.options import Options
from benchmarks.peers.found import FOUND

BENCHMARKS = ("peers", "by_hand")
MORE = {
    "basic-pitch": ["--map", "serving_default_input_2:0=audio"],
    "text-recognition": ["--metric", "token_accuracy"],
}
"""Further flags for a found model, beside its files."""


class Entrant(NamedTuple):
    """A model of the benchmark. make: module and arguments that make its folder; flags: what `python -m benchmarks` is given."""

    make: list[str]
    flags: list[str]


def entrants(shared: Path, made: Path) -> dict[str, Entrant]:
    """By name. `shared` holds folders of models with labeled data, `made` gets what is made of them or found elsewhere."""
    pairs = shared / "minilm-l6-v2"
    return {
        "squeezenet1.1": Entrant(
            ["benchmarks.peers.pictures", str(shared / "squeezenet1.1"), str(made / "squeezenet1.1")],
            files(made / "squeezenet1.1"),
        ),
        "kws": Entrant([], []),
        "mnist-cnn": Entrant([], [*files(shared / "mnist-cnn"), "--map", "Input3=x", "--labels", "y"]),
        "minilm-l6-v2": Entrant(
            ["benchmarks.peers.pairs", str(pairs / "hf"), str(pairs / "sts-dev.tsv"), str(pairs / "sts-train.tsv"),
             str(made / "minilm-l6-v2")],
            [*files(made / "minilm-l6-v2"), "--metric", "spearman", "--strop-model", str(pairs / "hf"),
             "--strop-config", str(made / "minilm-l6-v2" / "strop.toml")],
        ),
        **{
            name: Entrant(["benchmarks.peers.found", str(made), name], [*files(made / name), *MORE.get(name, [])])
            for name in FOUND
        },
        "digits-gru": Entrant(["benchmarks.peers.digits", str(made / "digits-gru")], files(made / "digits-gru")),
    }  # fmt: skip


def files(folder: Path) -> list[str]:
    return ["--model", str(folder / "model.onnx"), "--data", str(folder / "eval.npz"),
            "--calibration", str(folder / "calibration.npz")]  # fmt: skip


def is_done(name: str, document: dict[str, Any] | None, machine: dict[str, Any]) -> bool:
    """Whether these results hold the model, measured by this very commit on this machine; a changed tree is no commit."""
    model = document["figures"]["models"].get(name) if document is not None else None
    if model is None or machine["versions"]["commit"].endswith("+"):
        return False
    return all(model["machine"][key] == value for key, value in machine.items() if key != "load")


def python(arguments: list[str]) -> int:
    """Exit code of a module of this benchmark, in a process of its own."""
    return subprocess.run([sys.executable, "-m", *arguments], cwd=results.ROOT, check=False).returncode


def one(benchmark: str, name: str, entrant: Entrant, made: Path, more: list[str]) -> int:
    """Makes its data where they are not there yet, and runs it; the exit code."""
    if entrant.make and not (made / name / "model.onnx").exists() and python(entrant.make):
        return 1
    return python(["benchmarks", benchmark, *entrant.flags, *more])


def main() -> int:
    """Exit code: 1 where any of them failed; the others are run all the same."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.suite", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the models to do [all]")
    parser.add_argument("--shared", type=Path, required=True, help="squeezenet1.1, mnist-cnn and minilm-l6-v2, a folder each")
    parser.add_argument("--made", type=Path, required=True, help="gets what is made or found: pictures as arrays, pairs, wheels")
    parser.add_argument("--of", choices=BENCHMARKS, help="only this benchmark [both]")
    parser.add_argument("--again", action="store_true", help="do models again that the results hold already")
    parser.add_argument("--repeats", help="fresh processes of each contestant")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, results into build/benchmarks/smoke")
    given = parser.parse_args()
    all_of_them = entrants(given.shared.absolute(), given.made.absolute())
    unknown = sorted(set(given.names) - set(all_of_them))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(all_of_them)}")
    more = [*(["--repeats", given.repeats] if given.repeats else []), *(["--smoke"] if given.smoke else [])]
    folder, failed = Options.folder_of(given.smoke), []
    for name, benchmark in itertools.product(given.names or all_of_them, [given.of] if given.of else BENCHMARKS):
        if not given.again and is_done(name, results.read(benchmark, folder), results.machine()):
            print(f"== {name}, {benchmark}: done already", flush=True)
            continue
        print(f"== {name}, {benchmark}", flush=True)
        if one(benchmark, name, all_of_them[name], given.made.absolute(), more):
            failed.append(f"{name} ({benchmark})")
    if failed:
        print(f"failed: {', '.join(failed)}; the same command does these again", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
