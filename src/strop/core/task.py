"""`Task`: what the model is for: data, metric, workload."""

from typing import Literal

from strop.core.noun import Noun

MetricName = Literal["top1", "topk", "f1", "roc_auc", "mae", "spearman", "agreement", "unmeasured"]


class Dataset(Noun):
    """Memory-mapped shards made once by the data worker.

    `inputs` maps a model input to its `.npy` file (shape [count, …]), `labels` is a file or None.
    `generated` is True where the values were made from the model's signature.
    """

    digest: str
    folder: str
    count: int
    inputs: dict[str, str]
    labels: str | None = None
    generated: bool = False


class Workload(Noun):
    """How the model is called: `batches[0]` decides, further sizes are measured for the chosen candidate."""

    batches: tuple[int, ...] = (1,)

    @property
    def batch(self) -> int:
        return self.batches[0]


class Task(Noun):
    """Data, metric and workload.

    `output` names the model output that is scored. `k` is for top-k.
    """

    evaluation: Dataset
    calibration: Dataset | None
    metric: MetricName
    output: str
    k: int = 5
    workload: Workload = Workload()
    notes: tuple[str, ...] = ()
    options: dict[str, str] = {}
    """What the user tells a single backend, as `backend.key`."""
