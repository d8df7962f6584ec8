"""Strop: given a model and a target device, find, prove and pack the fastest version that keeps its quality.

Each command of `strop` is one function here; importing this package imports none of them until it is used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "optimize": "strop.run.optimize",
    "optimize_for": "strop.run.several",
    "list_recipes": "strop.run.optimize",
    "inspect": "strop.run.inspect",
    "bench": "strop.run.bench",
    "build": "strop.run.build",
    "init": "strop.run.init",
    "this_device": "strop.run.devices",
    "list_devices": "strop.run.devices",
    "find_device": "strop.run.devices",
    "device_profile": "strop.run.devices",
    "doctor": "strop.run.doctor",
    "list_backends": "strop.run.probe",
    "install_backend": "strop.run.install",
    "remove_backend": "strop.run.install",
    "report_run": "strop.run.rewrite",
    "profile_run": "strop.run.rewrite",
    "Store": "strop.store.store",
    "verify_bundle": "strop.bundle.verify",
    "infer_bundle": "strop.bundle.infer",
    "StropError": "strop.core.errors",
    "show_progress": "strop.cli.progress",
}

__all__ = [
    "Store",
    "StropError",
    "__version__",
    "bench",
    "build",
    "device_profile",
    "doctor",
    "find_device",
    "infer_bundle",
    "init",
    "inspect",
    "install_backend",
    "list_backends",
    "list_devices",
    "list_recipes",
    "optimize",
    "optimize_for",
    "profile_run",
    "remove_backend",
    "report_run",
    "show_progress",
    "this_device",
    "verify_bundle",
]


if TYPE_CHECKING:  # what editors and type checkers see
    from strop.bundle.infer import infer_bundle as infer_bundle
    from strop.bundle.verify import verify_bundle as verify_bundle
    from strop.cli.progress import show_progress as show_progress
    from strop.core.errors import StropError as StropError
    from strop.run.bench import bench as bench
    from strop.run.build import build as build
    from strop.run.devices import device_profile as device_profile
    from strop.run.devices import find_device as find_device
    from strop.run.devices import list_devices as list_devices
    from strop.run.devices import this_device as this_device
    from strop.run.doctor import doctor as doctor
    from strop.run.init import init as init
    from strop.run.inspect import inspect as inspect
    from strop.run.install import install_backend as install_backend
    from strop.run.install import remove_backend as remove_backend
    from strop.run.optimize import list_recipes as list_recipes
    from strop.run.optimize import optimize as optimize
    from strop.run.probe import list_backends as list_backends
    from strop.run.rewrite import profile_run as profile_run
    from strop.run.rewrite import report_run as report_run
    from strop.run.several import optimize_for as optimize_for
    from strop.store.store import Store as Store


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'strop' has no attribute {name!r}")
    require_platform()
    return getattr(import_module(_PUBLIC[name]), name)


def require_platform() -> None:
    """Raises StropError where Strop cannot run: it needs what POSIX systems have, such as locks of files and forks."""
    if sys.platform == "win32":
        from strop.core.errors import StropError

        raise StropError("Strop does not run on Windows itself", "use it in WSL, `wsl --install`; bundles run on Windows")


def __dir__() -> list[str]:
    """What `dir(strop)`, completion and `help(strop)` show."""
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]
