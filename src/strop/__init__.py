"""Strop: given a model and a target device, find, prove and pack the fastest version that keeps its quality.

Each command of `strop` is one function here; importing this package imports none of them until it is used.
"""

from importlib import import_module
from typing import Any

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
    "list_backends": "strop.run.probe",
    "install_backend": "strop.run.install",
    "remove_backend": "strop.run.install",
    "report_run": "strop.run.rewrite",
    "profile_run": "strop.run.rewrite",
    "Store": "strop.store.store",
    "verify_bundle": "strop.bundle.verify",
    "infer_bundle": "strop.bundle.infer",
    "StropError": "strop.core.errors",
}

__all__ = [
    "Store",
    "StropError",
    "__version__",
    "bench",
    "build",
    "device_profile",
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
    "this_device",
    "verify_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'strop' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
