"""Starts a child: run by path, in an interpreter where Strop need not be installed. `serve.py` has the protocol.

It makes the folder that it stands in known as the package `strop_child`, and puts nothing on the path. Processes that
`multiprocessing` spawns import this file too, and find the same packages.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def make_known() -> None:
    """The package `strop_child`, whichever other one this interpreter may have; its modules by no other name."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != HERE]  # a script's own folder comes first there
    import importlib.util

    spec = importlib.util.spec_from_file_location("strop_child", os.path.join(HERE, "__init__.py"))
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["strop_child"] = package
    spec.loader.exec_module(package)


if __name__ in ("__main__", "__mp_main__"):
    make_known()
    from strop_child import serve, works

    if __name__ == "__main__":
        serve.main()
    elif works.VARIABLE in os.environ:
        works.make_known(os.environ[works.VARIABLE])
