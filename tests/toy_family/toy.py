"""A third family of models and a backend that reads them: each example is answered as it is and mirrored, the mean counts."""

from dataclasses import replace
from pathlib import Path

from strop.backends.null.spec import BACKEND as NULL
from strop.core.recipe import Offer, Recipe, Step
from strop.run.families.tensor import TensorFamily

HERE = Path(__file__).parent


class Mirrored(TensorFamily):
    """Read and scored like models of arrays, called in a way of its own."""

    name = "mirrored"
    session = HERE / "session.py"
    template = HERE / "infer.py"
    batches = False


def offer(model, target, task):
    faster = Step(
        stage="quantize", builder="toy", name="derive", consumes="toy", produces="toy",
        params={"mode": "honest", "factor": 0.4, "after": 0},
    )  # fmt: skip
    return [
        Offer(name="plain", reason="as given", recipe=Recipe(name="plain", runtime="toy", role="reference")),
        Offer(name="fast", reason="faster", recipe=Recipe(name="fast", runtime="toy", steps=(faster,), safety=1)),
    ]


FAMILY = Mirrored()
BACKEND = replace(NULL, name="toy", family=FAMILY.name, reads=((".toy", "toy"),), runs=("toy",), offer=offer)
