"""The best known by hand beside Strop's pick: `python -m benchmarks by_hand`.

What somebody who knows a framework makes in some twenty lines of its API: clean-up, fixed shapes, bf16, INT8. The scripts that
make the candidates share nothing with Strop.
"""
