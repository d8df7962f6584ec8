"""`Task`: what the model is for: data, metric, workload."""

from typing import Literal

from strop.core.noun import Noun
from strop.core.preprocess import Preprocess
from strop.core.shapes import Lengths, OtherShapes, ShapeSet

MetricName = Literal[
    "top1", "topk", "f1", "roc_auc", "mae", "spearman", "pearson", "token_accuracy", "token_f1", "cosine", "scorer",
    "agreement", "difference", "unmeasured", "perplexity", "rmse", "r2", "pinball", "binary", "multilabel_f1", "miou",
    "place_agreement", "mask_iou", "text_agreement", "box_agreement", "ctc_exact", "cer", "wer", "map50", "map50_95",
]  # fmt: skip
TaskKind = Literal["classification", "sentence-similarity", "feature-extraction", "token-classification", "language"]
Pooling = Literal["mean", "cls", "none"]


class Dataset(Noun):
    """Memory-mapped shards made once by the data worker.

    `inputs` maps a model input to its `.npy` file (shape [count, …]), `labels` is a file or None.
    `generated` is True where the values were made up. `group` examples, one after another, bear one label. `casts` says which
    arrays were of which type, and which the model takes.
    """

    digest: str
    folder: str
    count: int
    inputs: dict[str, str]
    labels: str | None = None
    generated: bool = False
    group: int = 1
    casts: tuple[tuple[str, str, str], ...] = ()

    @property
    def cast_words(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"{name}: {old} cast to {new}" for name, old, new in self.casts))


class Workload(Noun):
    """How the model is called: `batches[0]` decides, further sizes are measured for the chosen candidate.

    concurrency: requests in flight while throughput is measured; 1: it follows from the latency. streams: how many requests a
    recipe that is made for throughput serves at once. by_throughput: whether that has a gate or a weight, so that such recipes
    come first.
    """

    batches: tuple[int, ...] = (1,)
    concurrency: int = 1
    streams: int = 1
    by_throughput: bool = False

    @property
    def batch(self) -> int:
        return self.batches[0]


class Chat(Noun):
    """A chat template (Jinja) that rendered a conversation in the sandbox, and the texts of the model's first and last token."""

    template: str
    begin: str = ""
    end: str = ""


class Language(Noun):
    """How a language model is called: tokens of the prompt and of the answer in a timed request, and the context it is given.

    `window` tokens are scored at once, the first of them being `begin` where the model has such a token; `chunk` is how many
    are fed at a time where the cache is not f32, so that what its precision loses is seen. `ends` are tokens that end an answer.
    `chat` is how it reads a conversation, where it was made for that. The evaluation data hold `pool` windows; more than the
    first are scored only where a gate stays undecided. `questions` is how many of those were given.
    """

    prompt: int = 128
    output: int = 32
    context: int = 512
    window: int = 512
    chunk: int = 64
    begin: int | None = None
    ends: tuple[int, ...] = ()
    pool: int = 0
    questions: int = 0
    chat: Chat | None = None


TENSOR = "tensor"
"""The family of models of arrays."""


class Task(Noun):
    """Data, metric and workload. `family` is that of the model: who knows how it is called and scored.

    `output` names the model output that is scored. `k` is for top-k, `metric_options` for
    other metrics (`core/scorers/told.py`). `pooling` makes one vector of a text's hidden states.
    `preprocess` made the data from what the user gave, by files named in `ships` (name → path) and `packages` (name →
    version); a bundle ships all three. `scorer` is the user's own function, `module:function`.
    """

    evaluation: Dataset
    calibration: Dataset | None
    metric: MetricName
    output: str
    k: int = 5
    metric_options: dict[str, str] = {}
    kind: TaskKind = "classification"
    pooling: Pooling = "mean"
    preprocess: Preprocess | None = None
    ships: dict[str, str] = {}
    packages: dict[str, str] = {}
    scorer: str | None = None
    workload: Workload = Workload()
    notes: tuple[str, ...] = ()
    arrays: dict[str, str] = {}
    """Input → name of the array that it came from, where that is another."""
    cut: float | None = None
    """Where class 1 begins for a classifier that gives one number per example, known once the baseline has answered."""
    family: str = TENSOR
    language: Language | None = None
    options: dict[str, str] = {}
    """What the user tells a single backend, as `backend.key`."""
    shapes: tuple[ShapeSet, ...] = ()
    """Where the model's shapes are fixed (`plan/shapes.py`): those of each batch size of the workload. Sessions are compiled for
    them."""
    lengths: Lengths | None = None
    """Where only the length of texts varies: a few lengths that are worth compiling, by those of the evaluation data."""
    by_call: tuple[str, ...] = ()
    """Outputs of numbers without a row for each example, such as a list of detections, known once the baseline has answered."""
    other_shapes: OtherShapes = "fallback"
