"""What kubelets write into the pods that they evict."""

import pytest

from kubedx.checks._support.evictions import Eviction, Reason, eviction, reason

FIGURES = (
    "Threshold quantity: 100Mi, available: 88Mi. Container app was using 900Mi, request is 100Mi, has larger "
    "consumption of memory."
)
SAID = [
    (
        "The node was low on resource: ephemeral-storage. Container a was using 1Ki, which exceeds its request of 0. ",
        Reason("node low", "ephemeral-storage", "Container a was using 1Ki, which exceeds its request of 0."),
    ),
    (
        f"The node was low on resource: memory. {FIGURES} ",
        Reason("node low", "memory", FIGURES),
    ),
    ("The node was low on resource: pids. ", Reason("node low", "pids", "")),
    ('Usage of EmptyDir volume "cache" exceeds the limit "1m". ', Reason("emptyDir", "cache", "1m")),
    ('Usage of EmptyDir volume "cache" exceeds the limit "1.5Gi". ', Reason("emptyDir", "cache", "1.5Gi")),
    ("Usage of EmptyDir volume cache exceeds the limit 1Gi. ", Reason("emptyDir", "cache", "1Gi")),
    (
        'Container app exceeded its local ephemeral storage limit "1Gi". ',
        Reason("container", "app", "1Gi"),
    ),
    (
        "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
        Reason("pod", "Pod", "2Gi"),
    ),
    ("Pod was rejected: The node had condition: [DiskPressure]. ", Reason("rejected", "DiskPressure", "")),
    ("Pod The node had condition: [MemoryPressure]. ", Reason("rejected", "MemoryPressure", "")),
    (
        "The node had condition: [MemoryPressure DiskPressure]. ",
        Reason("rejected", "MemoryPressure DiskPressure", ""),
    ),
    ("something new", Reason("other", "something new", "")),
    ("", Reason("other", "the kubelet gives no reason", "")),
]


@pytest.mark.parametrize(("message", "expected"), SAID)
def test_each_message_is_read(message: str, expected: Reason) -> None:
    assert reason(message) == expected


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
