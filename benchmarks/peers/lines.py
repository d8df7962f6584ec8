"""Drawn lines of text, as the text recognizer of RapidOCR takes them: a class for each step, by the given model itself."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.peers.metrics import IGNORED
from benchmarks.peers.orientation import font_files, line, prepared, vocabulary

MODEL = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"
WIDTH = 320
EVALUATION, CALIBRATION = 120, 40
BLANK = 0
"""The class of a step without a character."""


def sets(wheel: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Evaluation and calibration: `x` float32 [n, 3, 48, 320], `labels` [n, 40]: the given model's class of each step; a step
    without a character does not count. They share no word."""
    words, fonts = vocabulary(), font_files()
    session = ort.InferenceSession(str(wheel / MODEL), providers=["CPUExecutionProvider"])
    return lines(session, words[::2], fonts, EVALUATION, 0), lines(session, words[1::2], fonts, CALIBRATION, 1)


def lines(session: Any, words: list[str], fonts: list[str], count: int, seed: int) -> dict[str, NDArray[Any]]:
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    drawn = [line(" ".join(chance.sample(words, chance.randint(1, 3))), fonts, chance, noise) for _ in range(count)]
    given = np.stack([prepared(p, WIDTH) for p in drawn])
    classes = np.concatenate([session.run(None, {"x": example[None]})[0].argmax(axis=-1) for example in given])
    return {"x": given, "labels": np.where(classes == BLANK, IGNORED, classes).astype(np.int64)}
