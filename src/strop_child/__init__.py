"""The other side of the process boundary: what runs in a child, in whatever interpreter a backend needs.

It needs the standard library and numpy, and imports nothing of Strop. `main.py` is run by path and makes this package known under
its own name, so that no module of a backend or of a user can hide one of its own. `serve.py` has the protocol. A backend's child
side may import it too: `from strop_child.shards import opened`.
"""
