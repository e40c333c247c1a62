"""Aggregated APIs: those that the API server passes on to a Service."""

from kubedx.kube.meta import Condition
from kubedx.kube.views import APIService, ServiceReference

METRICS_GROUPS = ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
"""The API groups that autoscalers read."""


def unavailable(api: APIService) -> tuple[Condition, ServiceReference] | None:
    """Say whether an aggregated API does not answer.

    The reasons are those of `kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go`:
    ServiceNotFound, ServiceAccessError, ServicePortError, EndpointsNotFound, EndpointsAccessError, MissingEndpoints and
    FailedDiscoveryCheck.

    Args:
        api: The APIService.

    Returns:
        Its condition Available where that is False, and the Service behind it; None for one that answers, that the API
        server serves itself, or that is being deleted.
    """
    condition, service = api.condition("Available"), api.spec.service
    if condition is None or condition.status != "False" or service is None or api.deleted:
        return None
    return condition, service
