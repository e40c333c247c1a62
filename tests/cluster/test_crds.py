"""What the real API server makes of our two kinds."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kubedx.api.diagnosis import DiagnosisStatus, bounded, read
from kubedx.api.policy import PolicyStatus
from kubedx.generate import crd
from tests.cluster.harness import Cluster, ClusterError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Raw = dict[str, Any]


@pytest.fixture(scope="module")
def kinds(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with our definitions; those that were there before are left as they were."""
    before = cluster.kubectl("get", "crds", "-o", "name")
    ours = [f"{kind.resource.plural}.kubedx.dev" for kind in crd.KINDS]
    missing = [name for name in ours if name not in before]
    if missing:
        cluster.apply("---\n".join(crd.render().values()))
    cluster.kubectl("wait", "crd", *ours, "--for=condition=Established", "--timeout=30s")
    yield cluster
    if missing:
        cluster.kubectl("delete", "crd", *missing)


def diagnosis(name: str, spec: Raw) -> Raw:
    return {"apiVersion": "kubedx.dev/v1alpha1", "kind": "ClusterDiagnosis", "metadata": {"name": name}, "spec": spec}


def policy(spec: Raw, name: str = "cluster") -> Raw:
    return {"apiVersion": "kubedx.dev/v1alpha1", "kind": "DiagnosisPolicy", "metadata": {"name": name}, "spec": spec}


def create(cluster: Cluster, manifest: Raw) -> str:
    """Creates an object for as long as it takes the API server to judge it."""
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


def refusal(cluster: Cluster, manifest: Raw) -> str:
    """Why an object is refused, without the value: some API servers show the type of it instead."""
    with pytest.raises(ClusterError) as caught:
        create(cluster, manifest)
    return re.sub(r'Invalid value: "[^"]*": ', "Invalid value: ", str(caught.value))


def status(**changed: object) -> DiagnosisStatus:
    fields: Raw = {
        "check": "NodeDiskPressure",
        "severity": "critical",
        "state": "Open",
        "confidence": "Confirmed",
        "subject": {"kind": "Node", "name": "real-1"},
        "subject_text": "Node/real-1",
        "title": "Node has disk pressure",
        "message": "Node real-1 reports KubeletHasDiskPressure",
        "first_seen": NOON,
        "last_transition": NOON,
        "explains_count": 14,
    }
    return DiagnosisStatus(**fields | changed)


def patch_status(cluster: Cluster, kind: str, name: str, body: Raw) -> None:
    patch = json.dumps({"status": body})
    cluster.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture
def written(kinds: Cluster) -> Iterator[str]:
    """A diagnosis as the operator writes it."""
    name = "node-disk-pressure-real-1-93aa17d0"
    kinds.apply(diagnosis(name, {}))
    patch_status(kinds, "cdx", name, status().patch())
    yield name
    kinds.kubectl("delete", "cdx", name)


@pytest.fixture
def the_policy(kinds: Cluster) -> Iterator[None]:
    kinds.apply(policy({}))
    yield
    kinds.kubectl("delete", "dxp", "cluster")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"suppress": {}}, "spec.suppress.reason: Required value: say why this diagnosis is silenced"),
        ({"suppress": {"until": "2026-01-01T00:00:00Z"}}, "spec.suppress.reason: Required value: say why"),
        ({"suppress": {"reason": ""}}, "spec.suppress.reason: Required value: say why this diagnosis is silenced"),
        ({"suppress": {"reason": " \t"}}, "spec.suppress.reason: Required value: say why this diagnosis is silenced"),
        ({"suppress": {"reason": "x" * 513}}, "spec.suppress.reason: Too long: may not be more than 512"),
        ({"suppress": {"reason": 5}}, "spec.suppress.reason in body must be of type string"),
        ({"suppress": {"reason": "a", "until": "soon"}}, "spec.suppress.until in body must be of type date-time"),
        ({"suppress": {"reason": "a", "until": "2026-01-31"}}, "spec.suppress.until in body must be of type date-time"),
        ({"suppress": "yes"}, "spec.suppress in body must be of type object"),
        ({"supress": {"reason": "a"}}, 'unknown field "spec.supress"'),
    ],
)
def test_a_wrong_suppression_of_a_diagnosis_is_refused_with_its_field(kinds: Cluster, spec: Raw, message: str) -> None:
    assert message in refusal(kinds, diagnosis("wrong", spec))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"checks": {"PodX": {"severity": "high"}}}, 'spec.checks.PodX.severity: Unsupported value: "high": supported'),
        ({"checks": {"PodX": {"enabled": "yes"}}}, "spec.checks.PodX.enabled in body must be of type boolean"),
        ({"checks": {"PodX": {"settings": {"a": [1]}}}}, "settings.a in body must be of type integer,string"),
        ({"checks": {"PodX": {"settings": {"a": True}}}}, "settings.a in body must be of type integer,string"),
        ({"checks": {"PodX": {"settings": {"a": 1.5}}}}, "settings.a in body must be of type integer,string"),
        ({"checks": {"PodX": {"settings": {"a": "x" * 257}}}}, "settings.a: Too long: may not be more than 256"),
        ({"checks": {"P" * 64: {}}}, "spec.checks: Invalid value: a name has at most 63 characters"),
        ({"checks": {f"P{number}": {} for number in range(501)}}, "spec.checks: Too many: 501: must have at most 500"),
        ({"checks": ["PodX"]}, "spec.checks in body must be of type object"),
        (
            {"profiles": ["Advise"]},
            'spec.profiles[0]: Unsupported value: "Advise": supported values: "Problem", "Risk"',
        ),
        ({"profiles": ["Risk", "Risk"]}, 'spec.profiles[1]: Duplicate value: "Risk"'),
        ({"namespaces": {"include": ["Kube System"]}}, "a namespace has lower case letters, digits and"),
        ({"namespaces": {"exclude": ["a"] * 101}}, "spec.namespaces.exclude: Too many: 101: must have at most 100"),
        ({"suppressions": [{"check": "PodX"}]}, "spec.suppressions[0].reason: Required value: say why these"),
        ({"suppressions": [{"check": "PodX", "reason": " "}]}, "spec.suppressions[0].reason: Required value: say why"),
        ({"suppressions": [{"reason": "quiet"}]}, "spec.suppressions[0]: Invalid value: give a check, kind, namespace"),
        ({"suppressions": [{"reason": "a", "check": "Pod X"}]}, "a check or kind is written in letters and digits"),
        (
            {"suppressions": [{"reason": "a", "name": ""}]},
            "spec.suppressions[0].name in body should be at least 1 chars",
        ),
        ({"suppressions": [{"reason": "a", "name": "b"}] * 101}, "spec.suppressions: Too many: 101: must have at most"),
        (
            {"retention": "soon"},
            "spec.retention: Invalid value: must be a duration such as 90s, 5m, 1h30m or 2d",
        ),
        ({"retention": "60"}, "must be a duration such as 90s, 5m, 1h30m or 2d"),
        ({"retention": "-1h"}, "must be a duration such as 90s, 5m, 1h30m or 2d"),
        ({"retention": 60}, "spec.retention in body must be of type string"),
        ({"limits": {"objects": 501}}, "spec.limits.objects in body should be less than or equal to 500"),
        ({"limits": {"objects": 0}}, "spec.limits.objects in body should be greater than or equal to 1"),
        ({"limits": {"writesPerSecond": 11}}, "spec.limits.writesPerSecond in body should be less than or equal to 10"),
        ({"retension": "1h"}, 'unknown field "spec.retension"'),
    ],
)
def test_a_wrong_policy_is_refused_with_its_field(kinds: Cluster, spec: Raw, message: str) -> None:
    assert message in refusal(kinds, policy(spec))


def test_a_second_policy_is_refused(kinds: Cluster) -> None:
    message = "metadata.name: Invalid value: there is one DiagnosisPolicy in a cluster, and its name is 'cluster'"
    assert message in refusal(kinds, policy({}, name="mine"))


def test_a_full_and_valid_policy_is_accepted(kinds: Cluster) -> None:
    spec = {
        "profiles": ["Problem", "Risk", "Advice"],
        "checks": {
            "NotYetKnown": {"enabled": False, "severity": "info", "settings": {"times": 5, "raiseAfter": "1h30m"}}
        },
        "namespaces": {"include": ["team-*"], "exclude": ["team-x?"]},
        "suppressions": [
            {"check": "Pod*", "kind": "Pod", "namespace": "a", "name": "b-*", "labels": {"a": "b"}, "reason": "known"},
            {"namespace": "test-*", "reason": "a test", "until": "2026-01-31T18:00:00+01:00"},
        ],
        "retention": "2d",
        "limits": {"objects": 100, "writesPerSecond": 5},
    }
    assert "created (server dry run)" in create(kinds, policy(spec))


def test_a_diagnosis_is_shown_as_a_table_that_reads_like_a_sentence(kinds: Cluster, written: str) -> None:
    heading, row = kinds.kubectl("get", "clusterdiagnosis", written).splitlines()

    assert heading.split() == ["NAME", "SEVERITY", "PROBLEM", "SUBJECT", "EXPLAINS", "STATE", "AGE"]
    assert row.split()[:6] == [written, "critical", "NodeDiskPressure", "Node/real-1", "14", "Open"]
    assert re.fullmatch(r"\d+[smhdy].*", row.split()[6])
    assert "KubeletHasDiskPressure" in kinds.kubectl("get", "cdx", written, "-o", "wide")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("status.severity=critical", True),
        ("status.severity=info", False),
        ("status.state=Open,status.check=NodeDiskPressure", True),
        ("status.state!=Open", False),
    ],
)
def test_diagnoses_are_selected_by_their_status(kinds: Cluster, written: str, selector: str, found: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    names = [one["metadata"]["name"] for one in kinds.get("cdx", "--field-selector", selector)]
    assert (written in names) is found


def test_spec_and_status_are_written_apart(kinds: Cluster, written: str) -> None:
    def patch(*extra: str, **body: object) -> None:
        kinds.kubectl("patch", "cdx", written, "--type=merge", "-p", json.dumps(body), *extra)

    patch(spec={"suppress": {"reason": "planned work"}}, status={"severity": "info"})
    patch("--subresource=status", spec={"suppress": {"reason": "changed"}}, status={"state": "Resolved"})

    found = read(kinds.get("cdx", written))
    assert found.status == status(state="Resolved")
    assert found.suppress is not None
    assert found.suppress.reason == "planned work"


def test_a_merge_patch_of_the_status_leaves_exactly_that_status(kinds: Cluster, written: str) -> None:
    first = status(
        state="Resolved",
        resolution="Cleared",
        subject={"kind": "Node", "name": "real-1", "uid": "u-1"},
        suppressed={"reason": "known", "until": NOON},
        evidence=[{"source": "Node/real-1 status", "value": "True", "when": NOON}],
    )
    second = status(evidence=[{"source": "Node/real-1 status", "value": "False"}])
    for one in (first, second):
        patch_status(kinds, "cdx", written, one.patch())
        assert kinds.get("cdx", written)["status"] == one.wire()


@pytest.mark.parametrize("text", ["x", "\N{GRINNING FACE}"])
def test_the_largest_diagnosis_is_accepted_and_below_16_kib(kinds: Cluster, written: str, text: str) -> None:
    spec = {"spec": {"suppress": {"reason": "x" * 512}}, "metadata": {"labels": {"kubedx.dev/check": "C" * 63}}}
    kinds.kubectl("patch", "cdx", written, "--type=merge", "-p", json.dumps(spec))
    large = bounded(
        status(
            message=text * 4000,
            path=text * 4000,
            evidence=[{"source": text * 4000, "value": text * 4000, "when": NOON}] * 100,
            explains=[{"check": "C" * 63, "count": 9, "samples": [text * 4000] * 9, "first_seen": NOON}] * 100,
            steps=[{"action": text * 4000, "command": text * 1000, "danger": True}] * 100,
            history=[{"state": "Unknown", "at": NOON, "reason": text * 4000}] * 100,
            suppressed={"reason": text * 4000, "until": NOON, "expired": True},
        )
    )
    patch_status(kinds, "cdx", written, large.patch())

    whole = kinds.kubectl("get", "cdx", written, "-o", "json", "--show-managed-fields")
    assert len(json.dumps(json.loads(whole), ensure_ascii=False).encode()) <= 16 * 1024
    assert kinds.get("cdx", written)["status"]["truncated"] is True


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.singular)
def test_kubectl_explains_every_field_of_the_status(kinds: Cluster, kind: Any) -> None:
    told = " ".join(kinds.kubectl("explain", f"{kind.singular}.status").split())
    for field in kind.status.model_fields.values():
        assert field.alias in told
        assert field.description in told


@pytest.mark.usefixtures("the_policy")
def test_the_policy_tells_health_from_nobody_looking(kinds: Cluster) -> None:
    condition = {"reason": "InputsMissing", "last_transition_time": NOON, "observed_generation": 1}
    written = PolicyStatus(
        observed_generation=1,
        conditions=[
            {"type": "Ready", "status": "True", "message": "1 check of 36 is skipped"} | condition,
            {"type": "Complete", "status": "False", "message": "Pod is Forbidden"} | condition,
        ],
        summary={"critical": 2, "warning": 3},
        checks={"evaluated": 35, "skipped": [{"check": "PodX", "missing": ["Pod"]}]},
        watches=[{"kind": "Pod", "state": "Forbidden"}],
        problems=[{"field": "spec.checks.PodY", "message": "there is no such check"}],
        last_seen=datetime.now(UTC),
    )
    patch_status(kinds, "dxp", "cluster", written.patch())

    assert PolicyStatus.model_validate(kinds.get("diagnosispolicy", "cluster")["status"]) == written
    heading, row = kinds.kubectl("get", "diagnosispolicy", "cluster").splitlines()
    assert heading.split() == ["NAME", "READY", "COMPLETE", "CRITICAL", "WARNING", "LASTSEEN"]
    assert row.split()[:5] == ["cluster", "True", "False", "2", "3"]
    assert "Pod is Forbidden" in kinds.kubectl("get", "dxp", "cluster", "-o", "wide")


@pytest.mark.usefixtures("the_policy")
def test_two_conditions_of_one_type_are_refused(kinds: Cluster) -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Works", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    with pytest.raises(ClusterError, match="Duplicate value"):
        patch_status(kinds, "dxp", "cluster", {"conditions": [ready, ready]})
