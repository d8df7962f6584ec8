"""MLX's child side: probe, build, open. Imports nothing of strop.

Nothing of the folder is executed: no remote code, no pickled weights. Nothing is fetched.
"""

import os
import sys
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CI="1", TOKENIZERS_PARALLELISM="false")


def warm_import(_artifact: str) -> Any:
    """What every model shares: the empty process that memory is counted from."""
    from . import runner

    return runner.__name__


def open(path: str, settings: dict[str, Any]) -> Any:
    """The runner's session: what is measured is what is shipped."""
    from . import runner

    return runner.open(path, settings)


def probe() -> dict[str, Any]:
    """What works here, and why not; a product is computed, since a package may lack the library of its device."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"works": False, "why_not": "", "versions": {}, "devices": [], "python": sys.version.split()[0]}
    try:
        found["versions"] = {name: version(name) for name in ("mlx", "mlx-lm", "transformers")}
        import mlx.core as mx

        mx.eval(mx.ones((2, 2)) @ mx.ones((2, 2)))
        on_gpu = mx.default_device().type == mx.DeviceType.gpu
    except (PackageNotFoundError, ImportError, RuntimeError) as error:
        return {**found, "why_not": f"{type(error).__name__}: {error}"}
    device = "Metal" if on_gpu and mx.metal.is_available() else "GPU" if on_gpu else "CPU"
    return {**found, "works": True, "devices": [device]}


def warm_build(_step: dict[str, Any]) -> Any:
    """What its steps import, for all of them."""
    from . import steps

    return steps.__name__


def build(step: dict[str, Any], artifact: str, out_dir: str, data: dict[str, Any] | None = None) -> Any:
    """One step: reads `artifact`, writes into `out_dir`, returns the name of the file to go on with."""
    from . import steps

    return getattr(steps, step["name"])(os.path.dirname(artifact), out_dir, **step["params"])
