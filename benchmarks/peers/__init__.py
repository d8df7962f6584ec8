"""Strop's pick and what each framework's own tool makes of the same model, side by side: `python -m benchmarks peers`."""
