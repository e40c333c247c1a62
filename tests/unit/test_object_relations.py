"""That findings about claims, quotas, autoscalers, Services and deletions find their causes, and only those."""

from dataclasses import replace

import pytest

from kubedx.engine.verdict import RawFinding
from tests.checks.cases import HERE, REGISTRY, load, run


def findings(path: str, check: str) -> tuple[RawFinding, ...]:
    """What another check says about the objects of a case."""
    return run(replace(load(HERE / path), check=check, settings={})).findings


def explained(path: str, cause: str, symptom: str) -> bool:
    """Whether each finding of the symptom belongs to some finding of the cause; both must be there."""
    join = REGISTRY.by_id[cause].explains[symptom]
    causes, symptoms = findings(path, cause), findings(path, symptom)
    assert causes
    assert symptoms
    return all(
        any({*one.keys[join.name]} & {*found.keys[join.name]} for one in causes)
        and all(found.params.get(name) == value for name, value in join.narrowing.items())
        for found in symptoms
    )


@pytest.mark.parametrize(
    ("cause", "symptom", "path"),
    [
        ("StorageClassMissing", "PVCPending", "PVCPending/fires.class-not-found"),
        ("StorageClassMissing", "PVCPending", "PVCPending/fires.no-class-and-no-default"),
        ("PVCPending", "PodUnschedulable", "PVCPending/fires.class-not-found"),
        ("MetricsServerMissing", "HPAFailedGetResourceMetric", "HPAFailedGetResourceMetric/fires.not-served"),
        ("MetricsAPIUnavailable", "HPAFailedGetResourceMetric", "MetricsAPIUnavailable/fires.service-port"),
        ("MetricsAPIUnavailable", "APIDiscoveryPartial", "MetricsAPIUnavailable/fires.service-port"),
        ("ServiceNoReadyEndpoints", "MetricsAPIUnavailable", "MetricsAPIUnavailable/fires.its-pods-are-not-ready"),
        ("ServiceNoReadyEndpoints", "APIDiscoveryPartial", "MetricsAPIUnavailable/fires.its-pods-are-not-ready"),
        ("PodNotReady", "ServiceNoReadyEndpoints", "ServiceNoReadyEndpoints/fires.headless"),
        ("APIDiscoveryPartial", "NamespaceStuckTerminating", "NamespaceStuckTerminating/fires.discovery"),
        ("ResourceFinalizerStuck", "NamespaceStuckTerminating", "NamespaceStuckTerminating/fires.service-in-it"),
        ("PVCStuckTerminating", "NamespaceStuckTerminating", "NamespaceStuckTerminating/fires.claim-in-it"),
        ("ResourceFinalizerStuck", "PVCStuckTerminating", "ResourceFinalizerStuck/fires.claim-with-another-finalizer"),
        ("QuotaExceeded", "WorkloadPodCreateForbidden", "QuotaExceeded/fires.pods"),
        (
            "AdmissionWebhookUnreachable",
            "WorkloadPodCreateFailed",
            "WorkloadPodCreateFailed/fires.a-webhook-does-not-answer",
        ),
        ("AdmissionWebhookUnreachable", "WorkloadPodCreateFailed", "AdmissionWebhookUnreachable/fires.a-host-outside"),
        ("QuotaExceeded", "DeploymentProgressDeadlineExceeded", "DeploymentProgressDeadlineExceeded/fires.quota"),
        (
            "WorkloadPodCreateForbidden",
            "DeploymentProgressDeadlineExceeded",
            "DeploymentProgressDeadlineExceeded/fires.quota",
        ),
    ],
)
def test_a_cause_finds_its_symptom(cause: str, symptom: str, path: str) -> None:
    assert explained(f"{path}.yaml", cause, symptom)


def test_a_missing_metrics_server_does_not_explain_a_missing_request() -> None:
    path = "HPAFailedGetResourceMetric/fires.missing-request.yaml"

    assert not explained(path, "MetricsServerMissing", "HPAFailedGetResourceMetric")


def test_incomplete_discovery_does_not_explain_a_finalizer_in_a_namespace() -> None:
    path = "NamespaceStuckTerminating/fires.finalizer-in-it-beside-an-api-that-does-not-answer.yaml"

    assert not explained(path, "APIDiscoveryPartial", "NamespaceStuckTerminating")


def test_a_webhook_that_answers_no_is_no_webhook_that_does_not_answer() -> None:
    (denied,) = findings("WorkloadPodCreateFailed/fires.a-webhook-says-no.yaml", "WorkloadPodCreateFailed")

    assert denied.params["cause"] == "other"
    assert not denied.keys.get("service_behind")


def test_a_quota_does_not_explain_what_pod_security_refuses() -> None:
    path = "QuotaExceeded/fires.beside-a-pod-that-pod-security-refuses.yaml"
    quota, security = findings(path, "WorkloadPodCreateForbidden")

    assert (quota.params["cause"], security.params["cause"]) == ("quota", "pod security")


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("not-served", "not served"),
        ("not-served.1.11", "not served"),
        ("unavailable", "unavailable"),
        ("missing-request", "missing request"),
        ("missing-request.1.24", "missing request"),
        ("missing-request-of-the-pod", "missing request"),
        ("no-pods", "no pods"),
        ("no-metrics-of-pods", "pods not ready"),
        ("pods-not-ready", "pods not ready"),
        ("unknown-pods", "pods not ready"),
        ("something-new", "other"),
    ],
)
def test_an_autoscaler_says_what_keeps_it_from_its_metrics(case: str, cause: str) -> None:
    (found,) = findings(f"HPAFailedGetResourceMetric/fires.{case}.yaml", "HPAFailedGetResourceMetric")

    assert found.params["cause"] == cause


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("class-not-found", "class not found"),
        ("no-class-and-no-default", "no class"),
        ("no-volume-fits", "no volume"),
        ("provisioner-fails", "provisioner"),
        ("quota-of-the-provisioner", "quota"),
        ("volume-is-taken", "volume"),
    ],
)
def test_a_claim_says_what_keeps_it_from_its_volume(case: str, cause: str) -> None:
    (found,) = findings(f"PVCPending/fires.{case}.yaml", "PVCPending")

    assert found.params["cause"] == cause


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("pod-security", "pod security"),
        ("quota", "quota"),
        ("service-account-of-a-job", "service account"),
        ("claims-of-a-stateful-set", "quota"),
        ("security-context-deny.1.29", "security context"),
        ("security-context-constraint", "security context"),
        ("limit-range", "limit range"),
        ("priority-class", "priority class"),
        ("runtime-class", "runtime class"),
        ("something-new", "other"),
    ],
)
def test_a_workload_says_which_rule_refuses_its_pods(case: str, cause: str) -> None:
    (found,) = findings(f"WorkloadPodCreateForbidden/fires.{case}.yaml", "WorkloadPodCreateForbidden")

    assert found.params["cause"] == cause
