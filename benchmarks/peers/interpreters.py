"""The Python of a framework's own environment, as `strop backends install` made it."""

from strop.plan.discover import backends
from strop.worker.interpreter import work_of


def python(name: str) -> str:
    return work_of(backends()[name]).python
