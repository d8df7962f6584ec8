"""From pictures, texts and user code to accuracy and to a bundle that takes them, on tiny real ONNX models."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from strop.core.errors import DataError
from strop.core.events import nobody
from strop.plan.space import by_role
from strop.run.baseline import establish
from strop.run.open_run import opened
from strop.run.optimize import plan_recipes
from strop.run.request import make_request

COLORS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}
WORDS = ["[PAD]", *"the cat sat on a mat and dog ran far red blue big small old new".split()]  # noqa: SIM905
TABLE = np.random.default_rng(1).standard_normal((len(WORDS), 64)).astype(np.float32)


def save(path, nodes, inputs, outputs, weights):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def pictures(tmp_path):
    """Sixty pictures of three colors, a folder a color, one of them broken by request; a model that tells them apart."""
    rng = np.random.default_rng(0)
    for name, color in COLORS.items():
        (tmp_path / "eval" / name).mkdir(parents=True)
        for number in range(40):
            noisy = np.clip(np.array(color) + rng.integers(-20, 20, (12, 14, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(tmp_path / "eval" / name / f"{number}.png")
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("MatMul", ["f", "w"], ["y"])]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    save(tmp_path / "model.onnx", nodes, [x], [y], {"w": np.eye(3, dtype=np.float32)[::-1].copy()})
    return tmp_path


@pytest.fixture
def texts(tmp_path):
    """A bag of random word vectors as a model of texts, its tokenizer, and pairs scored by the words they share."""
    rng = np.random.default_rng(1)
    names = ["input_ids", "attention_mask"]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"]) for n in names]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["g"]),
        helper.make_node("Cast", ["attention_mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m", "axis"], ["u"]),
        helper.make_node("Mul", ["g", "u"], ["hidden"]),
    ]
    hidden = helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["batch", "length", 64])
    save(tmp_path / "model.onnx", nodes, inputs, [hidden], {"table": TABLE, "axis": np.array([2])})
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    rows = []
    for _ in range(60):
        first, second = rng.choice(WORDS[1:], 5), rng.choice(WORDS[1:], 5)
        shared = rng.integers(0, 6)
        second[:shared] = first[:shared]
        rows.append(f"{' '.join(first)}\t{' '.join(second)}\t{len(set(first) & set(second)) / len(set(first) | set(second)):.3f}")
    (tmp_path / "pairs.tsv").write_text("sentence1\tsentence2\tscore\n" + "\n".join(rows) + "\n")
    return tmp_path


def measured(folder, toml="", **flags):
    """The task that the data worker prepares, and the given model's accuracy on it."""
    (folder / "strop.toml").write_text(toml)
    request = make_request(
        str(folder / "model.onnx"), str(folder / "strop.toml"), store=str(folder / "store"), threads=1, **flags
    )
    with opened(request, nobody, keep=False) as (run, model):
        task = run.family.read_task(run, model)
        found = establish(run, model, task, by_role(plan_recipes(run, model, task).offers, "reference")[0])
        ids = np.load(f"{task.evaluation.folder}/{next(iter(task.evaluation.inputs.values()))}")
        return task, found.result.accuracy, ids, run.kept


def test_pairs_of_texts_are_scored_by_the_cosine_of_their_embeddings(texts):
    task, accuracy, ids, notes = measured(texts, '[data]\nevaluation = "pairs.tsv"\n[task]\nkind = "sentence-similarity"\n')
    assert (task.metric, task.evaluation.group, task.evaluation.count, ids.shape[1]) == ("spearman", 2, 96, 8)
    assert accuracy > 0.8
    assert any("padded to 8 tokens" in note for note in notes)


def test_a_label_for_each_word(texts):
    rng = np.random.default_rng(2)
    right = TABLE.argmax(axis=1)
    rows = [rng.choice(len(WORDS) - 1, 4) + 1 for _ in range(30)]
    lines = [json.dumps({"tokens": [WORDS[i] for i in row], "tags": right[row].tolist()}) for row in rows]
    (texts / "words.jsonl").write_text("\n".join(lines))
    task, accuracy, _, _ = measured(texts, '[data]\nevaluation = "words.jsonl"\n[task]\nkind = "token-classification"\n')
    assert (task.metric, accuracy) == ("token_accuracy", 1.0)


def test_without_data_inputs_are_tokens_of_the_vocabulary(texts):
    task, accuracy, ids, notes = measured(texts)
    assert (accuracy, ids.shape) == (None, (64, 64))
    assert set(np.unique(ids)) <= set(range(len(WORDS)))
    assert task.ships.keys() == {"tokenizer.json"}
    assert "Inputs were generated: random tokens of the vocabulary." in notes


SIBLING = "NAMES = ['blue', 'green', 'red']\n"
"""`labels` is also a module of the data worker's."""
OWN = """
from pathlib import Path
import numpy as np
from PIL import Image
import labels as colors

SIZE = int((Path(__file__).parent / "size.txt").read_text())

def load(source):
    for path in sorted(Path(source).rglob("*.png")):
        yield str(path), colors.NAMES.index(path.parent.name)

def prepare(path):
    return np.asarray(Image.open(path).resize((SIZE, SIZE)), np.float32).transpose(2, 0, 1)

def score(outputs, labels, inputs):
    return (outputs["y"].argmax(1) == labels).astype(float)
"""
OWN_TOML = """
[data]
evaluation = "eval"
loader = "own:load"
preprocess = "own:prepare"
files = ["size.txt"]
[task]
scorer = "own:score"
"""


def test_code_of_ones_own_loads_prepares_and_scores(pictures):
    (pictures / "own.py").write_text(OWN)
    (pictures / "labels.py").write_text(SIBLING)
    (pictures / "size.txt").write_text("8")
    task, accuracy, _, _ = measured(pictures, OWN_TOML)
    assert (task.metric, accuracy, task.ships.keys()) == (
        "scorer",
        1.0,
        {f"user_code/{n}" for n in ("own.py", "labels.py", "size.txt")},
    )
    (pictures / "own.py").write_text(OWN.replace("np.float32).transpose", "np.float32).transposed"))
    with pytest.raises(DataError, match=r"own:prepare failed: AttributeError: .* \(own.py, line 14\)"):
        measured(pictures, OWN_TOML)


@pytest.mark.slow
def test_pictures_end_in_a_bundle_that_takes_pictures(pictures, cli):
    (pictures / "eval" / "red" / "0.png").write_bytes(b"broken")
    (pictures / "classes.txt").write_text("\n".join(COLORS) + "\n")
    done = cli("optimize", "model.onnx", "--data", "eval", "--preset", "unit", "--classes", "classes.txt", "--metric", "top1",
               "--recipe", "int8-weights", "--budget", "40s", "--threads", 1, "-q")  # fmt: skip
    assert done.code == 0, done.err
    assert "1 of 120 items are broken and left out: red/0.png: cannot identify image file" in done.out
    bundle = pictures / "strop-out" / "latest" / "bundle"
    assert (bundle / "classes.txt").is_file()
    assert "pillow==" in (bundle / "requirements.txt").read_text()
    picture = str(pictures / "eval" / "green" / "3.png")
    alone = subprocess.run([sys.executable, bundle / "infer.py", picture], capture_output=True, text=True, check=True).stdout
    assert alone.splitlines()[1].split()[1] == "green"
    through = cli("bundle", "infer", bundle, picture)
    assert through.out == alone
    refused = cli("bundle", "infer", bundle, pictures / "eval" / "red" / "0.png")
    assert refused.code == 4
    assert "cannot identify image file" in refused.err


@pytest.mark.parametrize("form", ["pictures", "arrays"])
def test_a_scorer_is_tried_on_two_examples_before_all_data_are_read(pictures, form):
    """It sees what the given model says of them; what it raises names its line."""
    (pictures / "own.py").write_text(
        OWN.replace("import labels as colors\n", "").replace("colors.NAMES", "['blue', 'green', 'red']")
        .replace("    for path in", "    count = 0\n    for path in")
        .replace("        yield", "        count += 1\n        assert count < 10, 'all data are read'\n        yield")
        .replace('return (outputs["y"]', 'assert len(labels) == 2 == len(outputs["y"])\n    return (results["y"]')
    )  # fmt: skip
    (pictures / "size.txt").write_text("8")
    if form == "arrays":
        np.savez(pictures / "eval.npz", x=np.zeros((20, 3, 8, 8), np.float32), labels=np.arange(20) % 3)
    toml = OWN_TOML if form == "pictures" else '[data]\nevaluation = "eval.npz"\n[task]\nscorer = "own:score"\n'
    with pytest.raises(DataError, match=r"own:score failed: NameError: name 'results' is not defined \(own.py, line 2"):
        measured(pictures, toml)
