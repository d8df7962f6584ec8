"""Drawn lines of text, upright or turned by 180°, as the text-orientation classifier of RapidOCR takes them."""

import math
import pydoc_data.topics
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 48, 192
EVALUATION, CALIBRATION = 600, 150
FONTS = Path("/usr/share/fonts")
"""Of this machine, where there are any; Pillow's own font is always among those used."""


def sets(_wheel: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Evaluation and calibration: `x` float32 [n, 3, 48, 192], `labels` [n], 1 where turned. They share no word."""
    words, fonts = vocabulary(), font_files()
    return pictures(words[::2], fonts, EVALUATION, 0), pictures(words[1::2], fonts, CALIBRATION, 1)


def vocabulary() -> list[str]:
    """English words out of Python's own documentation."""
    return sorted({w for text in pydoc_data.topics.topics.values() for w in re.findall(r"\b[A-Za-z]{4,12}\b", text)})


def font_files() -> list[str]:
    return [str(p) for p in sorted(FONTS.rglob("*.ttf"))]


def pictures(words: list[str], fonts: list[str], count: int, seed: int) -> dict[str, NDArray[Any]]:
    """Every second one is turned."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    labels = np.arange(count) % 2
    drawn = [line(" ".join(chance.sample(words, chance.randint(1, 3))), fonts, chance, noise) for _ in range(count)]
    turned = [p.rotate(180, expand=True) if label else p for p, label in zip(drawn, labels, strict=True)]
    return {"x": np.stack([prepared(p) for p in turned]), "labels": labels.astype(np.int64)}


def line(text: str, fonts: list[str], chance: random.Random, noise: np.random.Generator) -> Image.Image:
    """One line of text with its own font, size, colors, margins and a light noise."""
    size, path = chance.randint(20, 60), chance.choice([None, *fonts])
    font = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
    left, top, right, bottom = (round(v) for v in font.getbbox(text))
    dark, light = (tuple(chance.randint(*span) for _ in range(3)) for span in ((0, 110), (160, 255)))
    ink, paper = (dark, light) if chance.random() < 0.8 else (light, dark)
    margin = chance.randint(2, 8)
    picture = Image.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), paper)
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, ink, font)
    pixels = np.asarray(picture, np.float32)
    noisy = pixels + noise.normal(0, chance.uniform(0, 8), pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def prepared(picture: Image.Image, most: int = WIDTH) -> NDArray[Any]:
    """As RapidOCR does: height 48, at most `most` wide, BGR, (x / 255 - 0.5) / 0.5, filled up with zeros on the right."""
    width = min(most, math.ceil(HEIGHT * picture.width / picture.height))
    pixels = np.asarray(picture.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32)[..., ::-1]
    found = np.zeros((3, HEIGHT, most), np.float32)
    found[:, :, :width] = (pixels.transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return found
