"""Which backends are installed: found by entry point, never imported by name."""

from importlib.metadata import entry_points

from strop.core.backend import Backend
from strop.core.errors import BackendError

GROUP = "strop.backends"
RUNNER = "give `runner`, a file with open(path, settings); a backend without one can only build: leave `runs` empty"


def backends() -> dict[str, Backend]:
    """All installed backends by name, the built-in ones found just as a stranger's would be.

    Raises:
        BackendError: an entry point cannot be loaded or is no `Backend`.
    """
    found: dict[str, Backend] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            backend = entry.load()
        except Exception as error:
            raise BackendError(f"backend {entry.name!r} cannot be loaded: {error}", f"check {entry.value}") from error
        if not isinstance(backend, Backend):
            raise BackendError(f"backend {entry.name!r}: {entry.value} is no strop.core.backend.Backend")
        require_runner(backend)
        found[backend.name] = backend
    return found


def require_runner(backend: Backend) -> None:
    """Raises BackendError for one that runs models, but has no file that a bundle could take along to run them."""
    if backend.runs and (backend.runner is None or not backend.runner.is_file()):
        raise BackendError(f"backend {backend.name!r} runs {', '.join(backend.runs)}, but has no runner", RUNNER)
