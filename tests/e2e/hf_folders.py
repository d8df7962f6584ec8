"""Trains tiny Hugging Face classifiers on generated data and saves them as their library does.

Run by path with a Python that has torch and transformers: `hf_folders.py OUT KIND …`. Each kind becomes a folder in OUT with
`model` (weights, configuration, tokenizer or image processor) and `eval` and `calibration` data, which training never saw.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import BertWordPieceTokenizer

SHAPES = ("square", "circle", "cross")
"""In the order of the model's classes, which is not that of the alphabet."""
SIDE, MODEL_SIDE = 48, 32
TRAIN, EVAL, CALIBRATION = 900, 160, 40
MOODS = ("negative", "positive")
GOOD = "good fine great lovely warm clever bright strong funny honest fresh rich".split()  # noqa: SIM905
BAD = "bad poor weak dull cold empty slow flat boring false stale thin".split()  # noqa: SIM905
TAGS = ("O", "B-PER", "I-PER", "B-LOC")
FIRST = "Anna Boris Carla Dmitri Elena Farid Greta Hassan Ingrid Jonas Keiko Louis".split()  # noqa: SIM905
LAST = "Adler Brandt Castillo Durand Eriksen Fischer Gruber Hoffmann Ivanov Jansen".split()  # noqa: SIM905
PLACES = "Athens Berlin Cairo Dublin Edinburgh Florence Geneva Hamburg Istanbul Jakarta Kyoto Lisbon".split()  # noqa: SIM905


def picture(rng, shape):
    """A colored shape on a noisy ground, uint8 [side, side, 3]."""
    y, x = np.mgrid[:SIDE, :SIDE] - rng.integers(SIDE // 2 - 1, SIDE // 2 + 2, (2, 1, 1))
    size = rng.uniform(14, 18)
    wide, narrow = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    inside = {"square": wide < 0.85 * size, "circle": x**2 + y**2 < size**2, "cross": (wide < size) & (narrow < size / 4)}[shape]
    ground, ink = rng.integers(0, 100, 3), rng.integers(150, 256, 3)
    return np.clip(np.where(inside[..., None], ink, ground) + rng.integers(-20, 21, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def pictures(folder, rng):
    """Labeled pictures to train on as a float tensor; the others go to a folder a class."""
    made = [
        (picture(rng, shape), number) for _ in range((TRAIN + EVAL + CALIBRATION) // 3) for number, shape in enumerate(SHAPES)
    ]
    for part, some in (("eval", made[:EVAL]), ("calibration", made[EVAL : EVAL + CALIBRATION])):
        for number, (pixels, label) in enumerate(some):
            path = folder / part / SHAPES[label] / f"{number:03}.ppm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"P6 %d %d 255\n" % (SIDE, SIDE) + pixels.tobytes())
    pixels = torch.from_numpy(np.stack([p for p, _ in made[EVAL + CALIBRATION :]])).permute(0, 3, 1, 2) / 127.5 - 1
    small = torch.nn.functional.interpolate(pixels, (MODEL_SIDE, MODEL_SIDE), mode="bilinear", antialias=True)
    return {"pixel_values": small}, torch.tensor([label for _, label in made[EVAL + CALIBRATION :]])


def image_classifier(folder, config, rng):
    inputs, labels = pictures(folder, rng)
    model = transformers.AutoModelForImageClassification.from_config(config)
    train(model, inputs, labels)
    save(model, folder)
    processor = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": MODEL_SIDE, "width": MODEL_SIDE},
        "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(processor))


def vit(folder, rng):
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=MODEL_SIDE, patch_size=8,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0, **classes(SHAPES),
    )  # fmt: skip
    image_classifier(folder, config, rng)


def resnet(folder, rng):
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **classes(SHAPES)
    )  # fmt: skip
    image_classifier(folder, config, rng)


def sentence(rng):
    """An opinion, which `not` turns round, and its mood."""
    subject, tail = (
        rng.choice(["the film", "this book", "her song", "our meal", "that play"]),
        rng.choice(["", " today", " in the end"]),
    )
    mood, turned = rng.integers(0, 2, 2)
    word, more = rng.choice([BAD, GOOD][mood]), rng.choice(["", "really ", "very ", "so "])
    return f"{subject} was {'not ' if turned else ''}{more}{word}{tail}", int(mood ^ turned)


def text(folder, rng):
    made = unique(sentence, rng)
    for part, some in parts(made):
        lines = [f"{words}\t{MOODS[mood]}" for words, mood in some]
        (folder / f"{part}.tsv").write_text("sentence\tlabel\n" + "\n".join(lines) + "\n")
    tokenizer = word_pieces([words for words, _ in made])
    some = made[EVAL + CALIBRATION :]
    inputs = tokenizer([words for words, _ in some], padding=True, return_tensors="pt")
    model = transformers.BertForSequenceClassification(small_bert(tokenizer, MOODS))
    train(model, dict(inputs), torch.tensor([mood for _, mood in some]))
    save(model, folder, tokenizer)


def tagged(rng):
    """Words and a tag for each."""
    who, where = [rng.choice(FIRST), rng.choice(LAST)], [rng.choice(PLACES)]
    between = str(rng.choice(["lives in", "flew to", "left for", "wrote from", "was born in"])).split()
    ending = str(rng.choice(["", "today", "last year", "again"])).split()
    words = [*who, *between, *where, *ending]
    tags = ["B-PER", "I-PER", *["O"] * len(between), "B-LOC", *["O"] * len(ending)]
    return (tuple(map(str, words)), tuple(tags)) if rng.random() < 0.7 else (tuple(map(str, words[1:])), ("B-PER", *tags[2:]))


def token(folder, rng):
    made = unique(tagged, rng)
    for part, some in parts(made):
        lines = [json.dumps({"tokens": words, "tags": tags}) for words, tags in some]
        (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    tokenizer = word_pieces([" ".join(words) for words, _ in made])
    some = made[EVAL + CALIBRATION :]
    inputs = tokenizer([list(words) for words, _ in some], is_split_into_words=True, padding=True, return_tensors="pt")
    labels = torch.full(inputs["input_ids"].shape, -100)
    for row, (_, tags) in enumerate(some):
        words = inputs.word_ids(row)
        for at, word in enumerate(words):
            if word is not None and words[at - 1] != word:
                labels[row, at] = TAGS.index(tags[word])
    model = transformers.BertForTokenClassification(small_bert(tokenizer, TAGS))
    train(model, dict(inputs), labels)
    save(model, folder, tokenizer)


def unique(make, rng):
    """Examples that differ all from one another."""
    made = {}
    while len(made) < TRAIN + EVAL + CALIBRATION:
        made.setdefault(*make(rng))
    return list(made.items())


def parts(made):
    return ("eval", made[:EVAL]), ("calibration", made[EVAL : EVAL + CALIBRATION])


def word_pieces(corpus):
    """A tokenizer whose vocabulary is too small for whole names."""
    made = BertWordPieceTokenizer()
    made.train_from_iterator(corpus, vocab_size=120, min_frequency=1, show_progress=False)
    return transformers.BertTokenizerFast(tokenizer_object=made._tokenizer, model_max_length=64)


def small_bert(tokenizer, names):
    return transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=64, hidden_dropout_prob=0, attention_probs_dropout_prob=0, **classes(names),
    )  # fmt: skip


def classes(names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


def train(model, inputs, labels, epochs=16, batch=30):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch):
            loss = model(**{name: values[rows] for name, values in inputs.items()}, labels=labels[rows]).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"{type(model).__name__}: loss {loss.item():.4f}")


def save(model, folder, tokenizer=None):
    model.eval().save_pretrained(folder / "model")
    if tokenizer is not None:
        tokenizer.save_pretrained(folder / "model")


KINDS = {"vit": vit, "resnet": resnet, "text": text, "token": token}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for kind in sys.argv[2:] or KINDS:
        torch.manual_seed(0)
        target = Path(sys.argv[1]) / kind
        target.mkdir(parents=True)
        KINDS[kind](target, np.random.default_rng(0))
