"""Writes scorers.json: what reference implementations say of the data in `tests/unit/scored.py`.

Run with numpy, scikit-learn, jiwer and pycocotools installed: `python tests/data/make_scorers.py`. The file was written with
scikit-learn 1.9.1, jiwer 4.0.0 and pycocotools 2.0.11.
"""

import contextlib
import io
import json
import sys
import warnings
from pathlib import Path

import jiwer
import numpy as np
import sklearn.metrics as sk
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

sys.path.insert(0, str(Path(__file__).parent.parent))

from unit import scored


def text(row):
    """A letter for each class; class 1 is the space."""
    return "".join(" " if one == 1 else chr(96 + one) for one in row)


def words(row):
    return " ".join(text(row).split())


def coco(detections, labels):
    """mAP at 0.5 and at 0.5 to 0.95, by pycocotools."""
    images, annotations, results = [], [], []
    for image, (found, truth) in enumerate(zip(detections, labels, strict=True)):
        images.append({"id": image + 1})
        for one, *box in truth[truth[:, 0] >= 0].tolist():
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image + 1, "category_id": int(one) + 1, "bbox": [x, y, w, h],
                "area": w * h, "iscrowd": 0,
            })  # fmt: skip
        for *box, score, one in found[found[:, 4] >= 0].tolist():
            x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
            results.append({"image_id": image + 1, "category_id": int(one) + 1, "bbox": [x, y, w, h], "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": n + 1} for n in range(scored.CLASSES)],
        }
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {"map50": run.stats[1], "map50_95": run.stats[0]}


def references(seed):
    outputs, labels = scored.regression(seed)
    found = {"rmse": sk.root_mean_squared_error(labels, outputs), "r2": sk.r2_score(labels, outputs)}
    outputs, labels = scored.quantiles(seed)
    found["pinball"] = np.mean(
        [sk.mean_pinball_loss(labels, outputs[..., at], alpha=level) for at, level in enumerate(scored.LEVELS)]
    )
    outputs, labels = scored.binary(seed)
    found["binary"] = sk.accuracy_score(labels, outputs[:, 0] > 0.4)
    outputs, labels = scored.multilabel(seed)
    for average in ("macro", "micro"):
        found[f"multilabel_f1 {average}"] = sk.f1_score(labels, outputs > 0.5, average=average, zero_division=0)
    outputs, labels = scored.masks(seed)
    kept = labels != 255
    found["miou"] = sk.jaccard_score(labels[kept], outputs.argmax(axis=1)[kept], average="macro")
    guess, truth = scored.sequences(seed)
    found["ctc_exact"] = sk.accuracy_score([text(row) for row in truth], [text(row) for row in guess])
    found["cer"] = jiwer.cer(*([text(row).replace(" ", "_") for row in rows] for rows in (truth, guess)))
    found["wer"] = jiwer.wer([words(row) for row in truth], [words(row) for row in guess])
    return {name: float(value) for name, value in (found | coco(*scored.boxes(seed))).items()}


warnings.simplefilter("ignore")
values = {str(seed): references(seed) for seed in scored.SEEDS}
Path(__file__).with_name("scorers.json").write_text(json.dumps(values, indent=1) + "\n")
