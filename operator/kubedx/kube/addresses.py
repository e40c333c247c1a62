"""The names of Services in the environment of containers. Nothing else of an environment is kept: it holds secrets."""

import re
from collections.abc import Iterator

_FULL = re.compile(
    r"(?<![\w.%-])(?:[a-z0-9][a-z0-9-]{0,62}\.)?"  # A pod of a StatefulSet.
    r"(?P<name>[a-z][a-z0-9-]{0,62})\.(?P<namespace>[a-z0-9][a-z0-9-]{0,62})\.svc(?![\w-])"
)
_SHORT = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.:-]{1,30})://(?:[^/@\s]{0,256}@)?)?"
    r"(?P<name>[a-z][a-z0-9-]{0,62})(?P<port>:[0-9]{2,5})?(?:[/?].{0,256})?"
)
_HOLD_A_HOST = ("HOST", "HOSTNAME", "ADDR", "ADDRESS", "SERVER", "ENDPOINT", "host", "addr", "server")
_LONGEST, _MOST = 1024, 64
"""Characters of a value, and entries of an environment, that are looked at."""


def service_names(env: list[object]) -> tuple[str, ...]:
    """Find the Services that an environment names.

    Args:
        env: The entries of a container's `env`.

    Returns:
        Each once: ``name.namespace``, or ``name`` for one in the pod's own namespace. Such a name may also be that of
        something else than a Service.
    """
    found: list[str] = []
    for entry in env[:_MOST]:
        if isinstance(entry, dict):
            name, value = entry.get("name"), entry.get("value")
            if isinstance(name, str) and isinstance(value, str) and len(value) <= _LONGEST:
                if ":" in value or ".svc" in value:
                    found.extend(_in_address(value))
                elif name.endswith(_HOLD_A_HOST) and (match := _SHORT.fullmatch(value)) and match["name"] == value:
                    found.append(value)
    return tuple(dict.fromkeys(found))


def _in_address(value: str) -> Iterator[str]:
    if ".svc" in value:
        yield from (f"{one['name']}.{one['namespace']}" for one in _FULL.finditer(value))
        return
    for part in value.split(","):
        match = _SHORT.fullmatch(part.strip())
        if match and match["name"] != "localhost" and (match["scheme"] or match["port"]):
            yield match["name"]
