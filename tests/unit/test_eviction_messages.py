"""What the kubelet says about pods that it evicts."""

import pytest

from kubedx.checks._support.evictions import Eviction, eviction


@pytest.mark.parametrize(("message", "expected"), [
    (
        ("The node was low on resource: ephemeral-storage. Threshold quantity: 10615268761, available: 9883276Ki. "
        "Container web was using 2Gi, request is 0, has larger consumption of ephemeral-storage. "),
        ("ephemeral-storage", 10615268761, (("web", 2 * 1024**3),)),
    ),
    (
        ("The node was low on resource: memory. Container a was using 1Gi, which exceeds its request of 0. "
        "Container b was using 12Mi, which exceeds its request of 0. "),
        ("memory", None, (("a", 1024**3), ("b", 12 * 1024**2))),
    ),
    ("The node was low on resource: pids. Threshold quantity: 1k, available: 900. ", ("pids", 1000, ())),
    ("The node was low on resource: [DiskPressure]. ", None),
    ("The node was low on resource: nodefs.", ("nodefs", None, ())),
    ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", None),
    ("", None),
])  # fmt: skip
def test_the_message_of_an_eviction_tells_what_was_used(
    message: str, expected: tuple[str, float | None, tuple[tuple[str, float], ...]] | None
) -> None:
    found = eviction(message)

    assert (found and (found.resource, found.threshold, found.used)) == expected


def test_the_figures_are_kept_in_the_words_of_the_kubelet() -> None:
    said = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. "

    assert eviction(said) == Eviction("memory", "Threshold quantity: 100Mi, available: 9Mi.", 100 * 1024**2, ())
