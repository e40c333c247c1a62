"""Whose finalizers are: those of Rancher, which stay behind when it is removed."""

import re
from functools import lru_cache

_RANCHERS = re.compile(r"(?:^|[\s,(])((?:[a-z0-9-]+\.){0,8}cattle\.io/[A-Za-z0-9._-]+)")
_OTHERS = re.compile(
    # Fleet runs without Rancher too; k3s and RKE2 are built on Rancher's library.
    r"(?:fleet|helm|k3s|rke2)\.cattle\.io/|wrangler\.cattle\.io/(?:on-helm-chart|managed-etcd|node$)"
)


@lru_cache(maxsize=1024)
def of_rancher(text: str) -> tuple[str, ...]:
    """Find finalizers of Rancher.

    Args:
        text: One finalizer, or a message that names some, such as a namespace's ``Some content in the namespace has
            finalizers remaining: controller.cattle.io/namespace-auth in 3 resource instances``.

    Returns:
        The finalizers, each once, in the order in which they are named.
    """
    return tuple(dict.fromkeys(found for found in _RANCHERS.findall(text) if not _OTHERS.match(found)))
