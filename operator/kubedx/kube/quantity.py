"""Amounts of resources as Kubernetes writes them: ``16Gi``, ``250m``, ``1e3``."""

import re
from functools import lru_cache

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?")
_BINARY = {unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}

GIB = 1024**3
"""Bytes of a gibibyte."""

MIB = 1024**2
"""Bytes of a mebibyte."""


@lru_cache(maxsize=4096)
def amount(quantity: str | float | None) -> float | None:
    """Read a quantity (`apimachinery/pkg/api/resource/quantity.go`).

    Args:
        quantity: Such as ``16Gi``, ``250m`` or ``4``.

    Returns:
        How much it is, in bytes, cores or pieces; None where it is missing or no quantity.
    """
    if quantity is None or isinstance(quantity, int | float):
        return quantity
    match = _QUANTITY.fullmatch(quantity.strip())
    if match is None:
        return None
    number, binary, decimal, exponent = match.groups()
    if exponent:
        return float(f"{number}e{exponent}")
    return float(number) * (_BINARY[binary] if binary else _DECIMAL[decimal] if decimal else 1)


def shown_bytes(number: float) -> str:
    """Give a number of bytes in the largest binary unit that fits, such as ``4.8 GiB``."""
    for unit, size in (("TiB", 1024**4), ("GiB", GIB), ("MiB", MIB), ("KiB", 1024)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f} bytes"
