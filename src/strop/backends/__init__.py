"""The built-in backends, a folder a framework. Nothing imports them: entry points find them, as they would a stranger's.

`spec.py` is the parent's side (stdlib and the nouns), `work.py` the child's, where the folder is a package of its own, and
`runner.py` what both the child and a bundle run a model with.
"""
