"""Aggregated APIs: those that the API server passes on to a Service."""

from kubedx.kube.meta import Condition
from kubedx.kube.views import APIService

METRICS_GROUPS = ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
"""The API groups that autoscalers read."""


def unavailable(api: APIService) -> Condition | None:
    """Say whether an aggregated API does not answer.

    The reasons are those of `kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go`:
    ServiceNotFound, ServiceAccessError, ServicePortError, EndpointsNotFound, EndpointsAccessError, MissingEndpoints and
    FailedDiscoveryCheck.

    Args:
        api: The APIService.

    Returns:
        Its condition Available where that is False; None for one that answers, that the API server serves itself, or
        that is being deleted.
    """
    condition = api.condition("Available") if api.spec.service and not api.deleted else None
    return condition if condition and condition.status == "False" else None
