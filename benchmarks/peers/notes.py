"""Synthesized single notes, as Spotify's Basic Pitch takes them: which note begins when."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE, SAMPLES, HOP = 22050, 43844, 256
"""What `basic_pitch/constants.py` says: Hz, samples of a window, samples between two frames."""
LOWEST, PITCHES, FRAMES = 21, 88, 172
"""MIDI number of the first pitch; pitches and frames of the first output, the onsets."""
NEAR = 6
"""Frames on either side of the true one that count as right, 70 ms."""
EVALUATION, CALIBRATION = 200, 50


def sets(_wheel: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Evaluation and calibration: `audio` float32 [n, 43844, 1], and `labels` [n, 13], places in the flattened onsets."""
    return notes(EVALUATION, 0), notes(CALIBRATION, 1)


def notes(count: int, seed: int) -> dict[str, NDArray[Any]]:
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    audio, labels = [], []
    for _ in range(count):
        pitch, begin = chance.randint(40, 88), chance.uniform(0.3, 1.4)
        audio.append(plucked(pitch, begin, chance) + noise.normal(0, 0.002, SAMPLES))
        frame = round(begin * RATE / HOP)
        labels.append([f * PITCHES + pitch - LOWEST for f in range(frame - NEAR, frame + NEAR + 1)])
    return {"audio": np.stack(audio).astype(np.float32)[..., None], "labels": np.array(labels, np.int64)}


def plucked(pitch: int, begin: float, chance: random.Random) -> NDArray[Any]:
    """A note of `pitch` (MIDI) from `begin` (s) on: a plucked string's overtones, each higher one gone sooner."""
    time = np.arange(SAMPLES) / RATE - begin
    sounds, time = time >= 0, np.maximum(time, 0)
    frequency = 440 * 2 ** ((pitch - 69 + chance.uniform(-0.15, 0.15)) / 12)
    fall, decay, found = chance.uniform(0.8, 2), chance.uniform(1, 4), np.zeros(SAMPLES)
    for number in range(1, int(0.45 * RATE / frequency) + 1):
        found += np.sin(2 * np.pi * number * frequency * time) * number**-fall * np.exp(-decay * number**0.5 * time)
    found *= sounds * np.minimum(1, time / 0.004)
    loudest: NDArray[Any] = chance.uniform(0.2, 0.8) * found / np.abs(found).max()
    return loudest
