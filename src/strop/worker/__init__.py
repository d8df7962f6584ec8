"""Child processes: everything that touches a framework, user code or an untrusted file runs in one.

`call` is the parent's side. The folder `child` is the other side of the process boundary: run by path, in whatever
interpreter a backend needs, importing nothing of Strop.
"""
