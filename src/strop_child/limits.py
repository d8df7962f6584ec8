"""Memory limit of this process. Stdlib only."""

import sys


def apply(memory_limit: int | None) -> None:
    """Bound private writable memory by RLIMIT_DATA, in bytes; never RLIMIT_AS, since runtimes reserve address space.

    Where there is no such limit the parent's watch over resident memory is what remains.
    """
    if memory_limit is None or not sys.platform.startswith("linux"):
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_limit if hard == resource.RLIM_INFINITY else min(memory_limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
