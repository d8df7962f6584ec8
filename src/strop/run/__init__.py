"""The pipeline: what `optimize`, `bench` and `build` do, step by step, with the store underneath."""
