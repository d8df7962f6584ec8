"""How the model is called, from what was asked for and what this run may use."""

from strop.core.task import Workload
from strop.core.throughput import counts
from strop.plan.serving import under_load
from strop.run.context import Run


def workload_of(run: Run, batches: tuple[int, ...], language: bool = False) -> Workload:
    """Batches, requests in flight and streams.

    Raises:
        UsageError: more streams than threads or requests, or several requests to a language model.
    """
    request = run.request
    counted = counts(run.gates, request.weights)
    return under_load(
        Workload(batches=batches), request.concurrency, request.streams, run.target.threads, counted, language
    )  # fmt: skip
