"""Random outputs and labels of each kind, the same for Strop's scorers and for the reference implementations.

`RandomState` draws the same numbers in every version of numpy.
"""

import numpy as np

SEEDS = (0, 1, 2)
CLASSES = 3
LEVELS = (0.1, 0.5, 0.9)


def regression(seed):
    rng = np.random.RandomState(seed)
    labels = rng.randn(60, 4) * [1, 10, 0.1, 1] + [0, 5, 0, 100]
    return labels + rng.randn(60, 4) * [0.3, 2, 0.2, 0.5], labels


def quantiles(seed):
    rng = np.random.RandomState(seed)
    labels = rng.randn(50, 5)
    return labels[..., None] + np.sort(rng.randn(50, 5, 3), axis=-1), labels


def binary(seed):
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 2, 80)
    return (0.3 * labels + 0.7 * rng.rand(80))[:, None], labels


def multilabel(seed):
    rng = np.random.RandomState(seed)
    labels = (rng.rand(70, 6) < [0.5, 0.1, 0.3, 0.0, 0.7, 0.2]).astype(int)
    return np.clip(labels * 0.5 + rng.rand(70, 6) * 0.6, 0, 1), labels


def masks(seed):
    """Scores [examples, classes, 8, 8]; some places are ignored, and class 4 is nowhere in the labels."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, 4, (12, 8, 8))
    outputs = rng.rand(12, 5, 8, 8) + np.moveaxis(np.eye(5)[labels], -1, 1) * 0.5
    labels[rng.rand(12, 8, 8) < 0.1] = 255
    return outputs, labels


def sequences(seed):
    """Rows of classes 1 to 7, and the same with errors; class 1 parts words."""
    rng = np.random.RandomState(seed)
    truth = [rng.choice([1, 2, 3, 4, 5, 6, 7], rng.randint(3, 15)).tolist() for _ in range(40)]
    for row in truth:
        row[0], row[-1] = 2, 3
    guess = []
    for row in truth:
        changed = [one if rng.rand() > 0.08 else rng.randint(1, 8) for one in row if rng.rand() > 0.05]
        guess.append([2, *changed] if rng.rand() < 0.1 else changed)
    return guess, truth


def padded(rows):
    longest = max(map(len, rows))
    return np.array([[*row, *[-1] * (longest - len(row))] for row in rows])


def as_ctc(rows, seed):
    """Scores [examples, steps, 8] that decode to these rows: repeated classes, blanks (0) between."""
    rng = np.random.RandomState(seed)
    paths = []
    for row in rows:
        path = []
        for one in row:
            blank = [0] if (path and path[-1] == one) or rng.rand() < 0.3 else []
            path += blank + [one] * rng.randint(1, 3)
        paths.append(path)
    longest = max(map(len, paths))
    scores = rng.rand(len(rows), longest, 8) * 0.5
    for at, path in enumerate(paths):
        scores[at, np.arange(longest), [*path, *[0] * (longest - len(path))]] += 1
    return scores.astype(np.float32)


def boxes(seed):
    """Detections [images, most, 6] and labels [images, most, 5]: some exact, shifted, missed, made up, found twice, of the
    wrong class; scores with ties; images without boxes, and without detections."""
    rng = np.random.RandomState(seed)
    found, labels = [], []
    for image in range(30):
        truth = [[float(rng.randint(0, CLASSES)), *_box(rng)] for _ in range(0 if image == 3 else rng.randint(1, 7))]
        mine = []
        for one, *box in truth if image != 5 else []:
            for _ in range(1 + (rng.rand() < 0.2)):
                if rng.rand() < 0.85:
                    size = min(box[2] - box[0], box[3] - box[1])
                    moved = np.array(box) + rng.randn(4) * size * rng.choice([0.0, 0.03, 0.1])
                    wrong = rng.rand() < 0.1
                    mine.append([*moved, round(rng.rand(), 1), (one + wrong) % CLASSES])
        mine += [
            [*_box(rng), round(rng.rand(), 2), float(rng.randint(0, CLASSES))]
            for _ in range(0 if image == 5 else rng.randint(0, 4))
        ]
        labels.append(np.array(truth).reshape(-1, 5))
        found.append(np.array(mine).reshape(-1, 6))
    return _filled(found, 6, 4), _filled(labels, 5, 0)


def _box(rng):
    x, y, w, h = rng.rand(4) * [80, 80, 30, 30] + [0, 0, 8, 8]
    return [x, y, x + w, y + h]


def _filled(rows, width, flag):
    made = np.zeros((len(rows), max(map(len, rows)), width))
    made[..., flag] = -1
    for at, row in enumerate(rows):
        made[at, : len(row)] = row
    return made
