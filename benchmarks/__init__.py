"""The measurements behind docs/benchmarks.md: `python -m benchmarks [NAME …]`."""
