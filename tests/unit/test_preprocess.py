"""Preprocessing: the rules that fill in its description, and what the work makes of pictures and texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from strop.core.errors import ConfigError, DataError
from strop.core.measurement import Check
from strop.core.model import TensorSpec
from strop.core.preprocess import from_hf, from_hf_for, images, texts
from strop.run.answers import cut_for
from strop.store.store import save
from strop_child import preprocess as work

from . import makers

PICTURES = Path(__file__).parents[1] / "data" / "pictures"
LAMP = PICTURES / "lamp_0003.jpg"
NCHW = TensorSpec(name="data", dtype="float32", shape=("batch", 3, 227, 227))
NHWC = TensorSpec(name="x", dtype="uint8", shape=("batch", "h", "w", 3))
BERT = tuple(
    TensorSpec(name=n, dtype="int64", shape=("batch", "length")) for n in ("input_ids", "attention_mask", "token_type_ids")
)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "far"]]


def encode(described, *items):
    return work.load(described.model_dump(mode="json"), "").encode(items)


def test_caffe_preprocessing_is_what_one_would_write_by_hand():
    picture = Image.open(LAMP).convert("RGB")
    scale = 256 / min(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)
    left, top = (picture.width - 227) // 2, (picture.height - 227) // 2
    values = np.asarray(picture.crop((left, top, left + 227, top + 227)), np.float32)[..., ::-1] - np.float32([104, 117, 123])
    made = encode(images(NCHW, "imagenet-caffe"), str(LAMP))
    np.testing.assert_array_equal(made["data"][0], values.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("spec", "preset", "keys", "shape", "low", "high"),
    [
        (NCHW, "imagenet", {}, (1, 3, 227, 227), -2.2, 2.7),
        (NCHW, "tf", {}, (1, 3, 227, 227), -1, 1),
        (NCHW, "unit", {}, (1, 3, 227, 227), 0, 1),
        (NHWC, "raw", {"resize": (40, 60)}, (1, 40, 60, 3), 0, 255),
        (NHWC, "raw", {"resize": 50, "crop": 48}, (1, 48, 48, 3), 0, 255),
        (TensorSpec(name="g", dtype="float32", shape=(1, 1, 28, 28)), "unit", {}, (1, 1, 28, 28), 0, 1),
    ],
)
def test_presets_give_their_shapes_and_ranges(spec, preset, keys, shape, low, high):
    (array,) = encode(images(spec, preset, **keys), str(LAMP)).values()
    assert (array.shape, array.dtype) == (shape, np.dtype(spec.dtype))
    assert low <= array.min() < array.max() <= high


@pytest.mark.parametrize(
    ("preset", "keys", "what"),
    [
        ("imagnet", {}, "no preset 'imagnet'"),
        ("imagenet", {"resize": 200}, "below the crop"),
        ("imagenet", {"mean": (1.0, 2.0)}, "2 values for 3 channel"),
        ("imagenet", {"std": (1.0, 0.0, 1.0)}, "holds 0"),
    ],
)
def test_what_contradicts_itself_is_refused(preset, keys, what):
    with pytest.raises(ConfigError, match=what):
        images(NCHW, preset, **keys)


def test_a_broken_picture_and_one_that_is_too_small_are_item_errors(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(LAMP.read_bytes()[:500])
    Image.new("RGB", (10, 10)).save(tmp_path / "small.png")
    for name, described in (("broken.jpg", images(NCHW, "unit")), ("small.png", images(NHWC, "raw", crop=20))):
        with pytest.raises(work.ItemError):
            encode(described, str(tmp_path / name))


def test_generated_pictures_are_smooth_and_in_range():
    made = work.load(images(NCHW, "unit").model_dump(mode="json"), "").generate(3, np.random.default_rng(0), [3, 227, 227])[
        "data"
    ]
    assert made.shape == (3, 3, 227, 227)
    assert 0 <= made.min() < made.max() <= 1
    assert np.abs(np.diff(made, axis=-1)).mean() < 0.05 * np.ptp(made)


@pytest.fixture
def tokens(tmp_path):
    """A word tokenizer with [CLS] and [SEP] in its own folder; gives the tool for a description."""
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return lambda described: work.load(described.model_dump(mode="json"), str(tmp_path))


def test_texts_are_filled_up_to_a_multiple_of_eight(tokens):
    made = tokens(texts(BERT)).encode(["the cat sat", ("a dog", "ran far")])
    assert {k: v.shape for k, v in made.items()} == {s.name: (2, 8) for s in BERT}
    assert made["input_ids"][0].tolist() == [2, 4, 5, 6, 3, 0, 0, 0]
    assert made["attention_mask"][0].tolist() == [1] * 5 + [0] * 3
    assert made["token_type_ids"][1].tolist() == [0, 0, 0, 0, 1, 1, 1, 0]


def test_a_fixed_length_and_max_length_cut(tokens):
    fixed = [TensorSpec(name="ids", dtype="int32", shape=(1, 4))]
    made = tokens(texts(fixed)).encode(["the cat sat on a mat"])
    assert (made["ids"].tolist(), made["ids"].dtype) == ([[2, 4, 5, 3]], np.int32)
    assert tokens(texts(BERT, max_length=3)).encode(["the cat sat"])["attention_mask"].sum() == 3


def test_generated_tokens_are_of_the_vocabulary(tokens):
    made = tokens(texts(BERT)).generate(20, np.random.default_rng(0), [16])
    ids = made["input_ids"]
    assert (ids[:, 0] == 2).all()
    assert (ids[:, -1] == 3).all()
    assert ids[:, 1:-1].min() >= 4
    assert ids.max() < len(WORDS)
    assert (made["attention_mask"] == 1).all()
    assert not made["token_type_ids"].any()


def test_an_input_that_no_tokenizer_gives_is_refused():
    with pytest.raises(DataError, match="'pixel_values'"):
        texts([*BERT, TensorSpec(name="pixel_values", dtype="float32", shape=(1, 3, 8, 8))])
    odd = TensorSpec(name="segments", dtype="int64", shape=("batch", "length"))
    assert texts([*BERT[:2], odd], {"segments": "token_type_ids"}).inputs["segments"] == "types"


def test_a_hugging_face_folder_is_understood():
    vit = {"do_resize": True, "size": {"height": 224, "width": 224}, "resample": 3, "image_mean": [0.5], "image_std": [0.5]}
    made = from_hf_for({"preprocessor_config.json": vit}, [TensorSpec(name="p", dtype="float32", shape=("b", 3, "h", "w"))])
    assert (made.resize, made.crop, made.interpolation, made.mean) == ((224, 224), None, "bicubic", (0.5,))
    convnet = {"do_center_crop": True, "size": {"shortest_edge": 256}, "crop_size": 224}
    told = from_hf({"preprocessor_config.json": convnet}).images
    assert (told["resize"], told["crop"], told["rounding"]) == (256, 224, "down")
    sentence = {
        "tokenizer.json": {}, "tokenizer_config.json": {"model_max_length": 512},
        "sentence_bert_config.json": {"max_seq_length": 256},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    }  # fmt: skip
    assert (from_hf_for(sentence, BERT).max_length, from_hf(sentence).pooling) == (256, "mean")
    assert from_hf_for({}, BERT) is None


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(0, 99))
def test_mean_pooling_does_not_see_what_is_filled_up(length, size, more, seed):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((3, length + more, size)).astype(np.float32)
    mask = np.zeros((3, length + more), np.int64)
    mask[:, :length] = 1
    np.testing.assert_allclose(work.embeddings(hidden, mask, "mean"), hidden[:, :length].mean(1), atol=1e-5)
    np.testing.assert_array_equal(work.embeddings(hidden, mask, "cls"), hidden[:, 0])


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6))
def test_probabilities_sum_to_one_and_stay_as_they_are(scores):
    shares = work.probabilities(np.array(scores))
    assert shares.sum() == pytest.approx(1, abs=work.ABOUT_ONE)
    np.testing.assert_allclose(work.probabilities(shares), shares)


def bundle(folder, description, **task):
    manifest = {"preprocess": description.model_dump(mode="json"), "task": task, "workload": {"batches": [1]}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return work.Bundled(str(folder))


@pytest.mark.parametrize(
    ("metric", "names", "cut"),
    [
        ("top1", "", 0.5),
        ("difference", "cat\ndog\n", 0.5),
        ("scorer", "", None),
        ("mae", "", None),
        ("scorer", "a\nb\nc\n", None),
    ],
)
def test_one_number_stands_for_two_classes_where_the_metric_or_two_names_say_so(tmp_path, metric, names, cut):
    np.save(tmp_path / "y.npy", np.array([[0.03], [0.97]], np.float32))
    save(tmp_path / "check.json", Check(shards={"y": "y.npy"}, examples=2, seconds=0))
    (tmp_path / "classes.txt").write_text(names)
    ships = {"classes.txt": str(tmp_path / "classes.txt")} if names else {}
    asked = makers.task().model_copy(update={"metric": metric, "ships": ships})
    assert cut_for(tmp_path, asked) == cut


def test_a_bundle_says_what_its_outputs_mean(tokens, tmp_path):
    tokens(texts(BERT))
    tool = bundle(tmp_path, texts(BERT), kind="token-classification", pooling="none", output="y")
    (tmp_path / "classes.txt").write_text("O\nANIMAL\n")
    tool = work.Bundled(str(tmp_path))
    items = tool.items("the cat")
    feed = tool.encode(items)
    scores = np.zeros((1, 8, 2))
    scores[0, 2, 1] = 1
    assert tool.answers({"y": scores}, feed, items) == [[("the", "O"), ("cat", "ANIMAL")]]
    tool = bundle(tmp_path, texts(BERT), kind="classification", pooling="none", output="y")
    assert [name for name, _ in tool.answers({"y": np.array([[0.1, 3.0]])}, feed, items)[0]] == ["ANIMAL", "O"]
    for cut, value in ((0.5, 0.75), (0.0, np.log(3))):
        tool = bundle(tmp_path, texts(BERT), kind="classification", pooling="none", output="y", cut=cut)
        (found,) = tool.answers({"y": np.array([[value]])}, feed, items)
        assert found == [("ANIMAL", pytest.approx(0.75)), ("O", pytest.approx(0.25))]
    assert tool.answers({"y": np.array([1])}, feed, items) == [[("ANIMAL", 1.0)]]
    tool = bundle(tmp_path, texts(BERT), kind="classification", pooling="none", output="y")
    for value in (0.03, 0.97, -4.5):  # nothing says that they stand for classes
        assert tool.answers({"y": np.array([[value]])}, feed, items) == [[("y", value)]]
    tool = bundle(tmp_path, texts(BERT), kind="sentence-similarity", pooling="mean", output="y")
    (vector,) = tool.answers({"y": np.ones((1, 8, 4))}, feed, items)
    np.testing.assert_allclose(vector, 0.5)
