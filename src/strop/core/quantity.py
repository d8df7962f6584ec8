"""Figures with a unit, as people write them: `8 GB`, `2.4 GHz`, `15 W`. Pure."""

import re

SI = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _scaled(base: str, prefixes: dict[str, int] | None = None) -> dict[str, float]:
    return {prefix + base: factor for prefix, factor in (prefixes or SI).items()}


BYTES = _scaled("B", SI | BINARY)
DIMENSIONS: dict[str, dict[str, float]] = {
    "bytes": BYTES,
    "bytes a second": {f"{unit}/s": factor for unit, factor in BYTES.items()},
    "bits a second": _scaled("bit/s"),
    "hertz": _scaled("Hz"),
    "watts": {"mW": 1e-3, "W": 1.0, "kW": 1e3},
    "degrees Celsius": {"°C": 1.0, "C": 1.0},
    "operations a second": _scaled("OPS"),
    "floating-point operations a second": _scaled("FLOPS"),
    "": {"": 1.0},
}
EXAMPLES = {
    "bytes": "8 GB", "bytes a second": "34 GB/s", "bits a second": "1 Gbit/s", "hertz": "2.4 GHz", "watts": "15 W",
    "degrees Celsius": "85 °C", "operations a second": "26 TOPS", "floating-point operations a second": "10 TFLOPS",
    "": "4",
}  # fmt: skip


MOST = 1e18
"""Beyond any device: a hundred times the largest computer's operations a second."""


def parse_quantity(text: object, dimension: str) -> float:
    """A figure in the base unit of its dimension.

    Args:
        text: `"8 GB"`; a plain number where the dimension has no unit.
        dimension: a key of `DIMENSIONS`.

    Raises:
        ValueError: not of that form, an unknown unit, or not above 0; the text says what was expected.

    Example:
        >>> parse_quantity("8 GB", "bytes")
        8000000000.0
    """
    units, example = DIMENSIONS[dimension], EXAMPLES[dimension]
    wanted = f"{dimension or 'a number'}, such as {example!r}" if dimension else f"a number above 0, such as {example}"
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"expected {wanted}")
    match = re.fullmatch(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)?\s*", str(text))
    if match is None:
        raise ValueError(f"expected {wanted}")
    number, unit = float(match.group(1)), match.group(2) or ""
    if unit not in units:
        shown = ", ".join(u for u in units if u)
        known = f" (units: {shown})" if shown else ""
        raise ValueError(f"{f'unknown unit {unit!r}' if unit else 'no unit'}, expected {wanted}{known}")
    if number <= 0:
        raise ValueError(f"not above 0, expected {wanted}")
    if number * units[unit] > MOST:
        raise ValueError(f"beyond anything there is, expected {wanted}")
    return number * units[unit]


def show_bytes(count: float) -> str:
    """Three digits and a decimal unit, as disks and downloads count: `45.4 MB`."""
    return _scaled_text(count, " ", "B")


def show_parameters(count: float) -> str:
    """As people speak of models: `70.6 B`."""
    return show_count(count).replace("G", "B").replace("k", "K")


def show_count(count: float) -> str:
    """Three digits and a scale: `22.7 M`."""
    return _scaled_text(count, " ", "").rstrip()


def _scaled_text(count: float, space: str, unit: str) -> str:
    """Rounded before the scale is chosen, so that 999.9 becomes 1 of the next."""
    scales = ["", "k", "M", "G", "T", "P", "E"]
    for scale in scales:
        if float(f"{count:.3g}") < 1000 or scale == scales[-1]:
            break
        count /= 1000
    shown = f"{count:.3g}" if count < 999.5 else f"{count:.0f}"
    return f"{shown}{space}{scale}{unit}"
