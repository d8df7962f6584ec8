"""How long builds take, by rule: for a recipe that nothing was measured of yet. Rough on purpose; measurements replace it."""

from typing import NamedTuple

from strop.core.recipe import Recipe

BYTES = 100_000_000


class Duration(NamedTuple):
    """Seconds to start and to build a tiny model, and for every 100 MB of the given one."""

    base: float
    per_100_mb: float


BUILDERS = {
    "onnxruntime": Duration(3, 15),
    "openvino": Duration(10, 40),
    "olive": Duration(20, 80),
    "llamacpp": Duration(4, 8),
    "onnxruntime-genai": Duration(6, 40),
    "mlx": Duration(2, 10),
    "transformers": Duration(3, 20),
    "null": Duration(0.5, 0),
}
CLEAN_UP = Duration(0.7, 4)
"""Of a step that only takes out what an export does badly, whoever's it is."""
UNKNOWN = Duration(10, 40)


def build_seconds(recipe: Recipe, model_bytes: int) -> float:
    """Estimate for the builders of a recipe, each once; 0 where there is nothing to build."""
    if recipe.cleaned:
        return CLEAN_UP.base + CLEAN_UP.per_100_mb * model_bytes / BYTES
    builders = {step.builder for step in recipe.steps}
    found = [BUILDERS.get(name, UNKNOWN) for name in builders]
    return sum(d.base + d.per_100_mb * model_bytes / BYTES for d in found)
