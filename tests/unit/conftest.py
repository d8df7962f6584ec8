"""Hypothesis without deadlines, which a busy machine would break; the child's files importable as in a child."""

import sys

from hypothesis import HealthCheck, settings

from strop.worker.call import CHILD

sys.path.append(str(CHILD.parent))

settings.register_profile("unit", deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
