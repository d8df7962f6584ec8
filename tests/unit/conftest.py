"""Hypothesis without deadlines, which a busy machine would break; the child's files importable as in a child."""

import sys

from hypothesis import HealthCheck, settings

import strop.backends.onnxruntime
import strop.backends.onnxruntime_genai
from strop.worker.call import CHILD

sys.path += [str(CHILD.parent), str(CHILD.parent / "inspector")]
sys.path += [*strop.backends.onnxruntime.__path__, *strop.backends.onnxruntime_genai.__path__]

settings.register_profile("unit", deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
