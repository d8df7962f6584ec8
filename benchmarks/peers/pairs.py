"""A sentence embedding model and its pairs for everybody: `python -m benchmarks.peers.pairs HF EVAL.tsv CALIBRATION.tsv OUT`.

OUT gets what peers take: model.onnx, exported by Optimum, and eval.npz and calibration.npz of token ids, [2 × pairs, length];
and what Strop takes: the same pairs as tables, and a strop.toml that fills texts up to the same length.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from benchmarks.peers.interpreters import python

STEP = 8
COLUMNS = ("sentence1", "sentence2", "score")
CONFIG = """[task]
kind = "sentence-similarity"
metric = "spearman"

[data]
evaluation = "eval.tsv"
calibration = "calibration.tsv"

[data.columns]
text = "sentence1"
text_pair = "sentence2"
label = "score"

[preprocess]
max_length = {length}
pad_to = {length}
"""
Rows = list[dict[str, str]]


def make(source: Path, evaluation: Rows, calibration: Rows, out: Path) -> None:
    """All of OUT.

    Raises:
        SystemExit: the model cannot be exported.
    """
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    longest = max(len(e.ids) for e in encoded(tokenizer, evaluation))
    length = -(-longest // STEP) * STEP
    tokenizer.enable_truncation(length)
    for name, rows in (("eval", evaluation), ("calibration", calibration)):
        np.savez_compressed(out / f"{name}.npz", **arrays(tokenizer, rows, length))
        with (out / f"{name}.tsv").open("w", encoding="utf-8", newline="") as file:
            file.writelines("\t".join(line) + "\n" for line in (COLUMNS, *([row[c] for c in COLUMNS] for row in rows)))
    (out / "strop.toml").write_text(CONFIG.format(length=length), encoding="utf-8")
    (out / "model.onnx").write_bytes(exported(source))
    print(f"{out.name}: {len(evaluation)} pairs to evaluate, {len(calibration)} to calibrate, {length} tokens, in {out}")


def encoded(tokenizer: Any, rows: Rows) -> list[Encoding]:
    """Both texts of each pair, one after the other."""
    found: list[Encoding] = tokenizer.encode_batch([row[c] for row in rows for c in COLUMNS[:2]])
    return found


def arrays(tokenizer: Any, rows: Rows, length: int) -> dict[str, Any]:
    """Ids, masks and types, int64 [2 × pairs, length], filled up with zeros; labels [pairs]."""
    parts = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    texts = encoded(tokenizer, rows)
    found = {name: np.zeros((len(texts), length), np.int64) for name in parts}
    for name, part in parts.items():
        for row, text in zip(found[name], texts, strict=True):
            row[: len(text.ids)] = getattr(text, part)
    return {**found, "labels": np.array([float(row["score"]) for row in rows])}


def exported(source: Path) -> bytes:
    """The ONNX file that Optimum makes, in the environment that `strop backends install export` made."""
    with tempfile.TemporaryDirectory(prefix="strop-pairs-") as scratch:
        command = [python("export"), "-m", "optimum.exporters.onnx", "--model", str(source.absolute()), "--task",
                   "feature-extraction", "--no-post-process", scratch]  # fmt: skip
        quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "CI": "1"}
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False, env=quiet)
        made = Path(scratch, "model.onnx")
        if not made.exists():
            sys.exit(f"{source}: Optimum made no model.onnx: {done.stderr.strip()[-300:]}")
        return made.read_bytes()


def read(path: Path, most: int | None) -> Rows:
    """The first `most` rows of a table separated by tabs, without quotes; all where it is None."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:most]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.pairs", description=__doc__)
    parser.add_argument("model", type=Path, help="a Hugging Face folder")
    parser.add_argument("evaluation", type=Path, help="table with the columns sentence1, sentence2 and score")
    parser.add_argument("calibration", type=Path, help="another, of other pairs")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, help="pairs that are evaluated [all]")
    parser.add_argument("--calibration-pairs", type=int, default=50, help="pairs to calibrate with [50]")
    given = parser.parse_args()
    make(given.model, read(given.evaluation, given.pairs), read(given.calibration, given.calibration_pairs), given.out)


if __name__ == "__main__":
    main()
