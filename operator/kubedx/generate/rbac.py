"""The rights that the checks need, as RBAC rules."""

from collections.abc import Iterable

import yaml

from kubedx.generate.banner import BANNER
from kubedx.kube.meta import Resource

VERBS = ("list", "watch")
"""What a reflector does; a single object is never asked for."""


def render(resources: Iterable[Resource]) -> str:
    """Write the rules that let every check read its inputs.

    Args:
        resources: The kinds that some check reads, in any order, such as `Registry.resources`.

    Returns:
        YAML: a list of RBAC rules, one for each API group, with the verbs list and watch.

    Raises:
        ValueError: A kind may never be read: Secrets, a wildcard, or a subresource.
    """
    groups: dict[str, set[str]] = {}
    for resource in resources:
        if resource.plural == "secrets" or "*" in (resource.group, resource.plural) or "/" in resource.plural:
            raise ValueError(f"no check may read {resource.plural!r} of the API group {resource.group!r}")
        groups.setdefault(resource.group, set()).add(resource.plural)
    rules = [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": list(VERBS)}
        for group, plurals in sorted(groups.items())
    ]
    return BANNER + yaml.safe_dump(rules, sort_keys=False, width=120)
