"""The deployable result: packed whole or not at all, verified, and run by its own `infer.py`."""
