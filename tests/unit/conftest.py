"""Hypothesis without deadlines, which a busy machine would break."""

from hypothesis import HealthCheck, settings

settings.register_profile("unit", deadline=None, database=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
