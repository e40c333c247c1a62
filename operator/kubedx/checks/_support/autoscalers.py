"""What autoscalers read, and what they say when they cannot."""

import re
from functools import lru_cache

from kubedx.core.inputs import Reader, derived
from kubedx.kube.views import HorizontalPodAutoscaler

RESOURCE_METRICS = ("Resource", "ContainerResource")
"""The types of metrics that come from `metrics.k8s.io`."""

_GROUPS = {
    **dict.fromkeys(RESOURCE_METRICS, "metrics.k8s.io"),
    "Pods": "custom.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "External": "external.metrics.k8s.io",
}

_CAUSES = (
    ("not served", re.compile(r"could not find the requested resource")),
    (
        "unavailable",
        re.compile(r"currently unable to handle the request"),
    ),
    ("missing request", re.compile(r"missing (pod-level )?request for ")),
    ("no pods", re.compile(r"no pods returned by selector")),
    (
        "pods not ready",
        re.compile(
            "no metrics returned from resource metrics API|did not receive metrics for (any ready|targeted) pods"
            "|no metrics returned matched known pods"
        ),
    ),
)


@derived(HorizontalPodAutoscaler)
def metrics_groups_in_use(read: Reader) -> frozenset[str]:
    """Name the API groups that some autoscaler reads metrics from."""
    autoscalers = read.lookup(HorizontalPodAutoscaler)
    found = autoscalers.all() if autoscalers else ()
    return frozenset(_GROUPS[metric.type] for one in found for metric in one.spec.metrics if metric.type in _GROUPS)


@lru_cache(maxsize=1024)
def why_no_metrics(message: str) -> str:
    """Name the class of what kept an autoscaler from reading a metric.

    The texts are those of `pkg/controller/podautoscaler` (`replica_calculator.go`, `metrics/client.go`), 1.18 to 1.36.

    Args:
        message: What the autoscaler says.

    Returns:
        ``not served``, ``unavailable``, ``missing request``, ``no pods``, ``pods not ready`` or ``other``.
    """
    return next((cause for cause, pattern in _CAUSES if pattern.search(message)), "other")
