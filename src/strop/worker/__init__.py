"""Child processes: everything that touches a framework, user code or an untrusted file runs in one.

`call` is the parent's side. The package `strop_child` is the other side of the process boundary: started by path, in whatever
interpreter a backend needs, importing nothing of Strop.
"""
