"""A missing right is said, blinds nothing else and resolves nothing; no right is used beyond the promise."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kubedx.checks import registry
from kubedx.core.finding import Profile
from kubedx.kube.views import BY_KIND
from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.footprint import OURS, forbidden_deeds, requests
from tests.cluster.harness import CHECKOUT, Cluster, Manifest, wait_for
from tests.cluster.installation import NAMESPACE, RELEASE, Operator, diagnoses, install_among_faults, operator

FAULTS = ("pods-unschedulable", "hpa-without-metrics-api")
FOUND = {
    "ResourceUnitSuspicious Deployment/analytics/too-much-cpu",
    "PodUnschedulable Deployment/analytics/wants-a-gpu",
    "MetricsServerMissing APIService/v1beta1.metrics.k8s.io",
}
RECOVERY = 30.0 * 1.2 + 20.0
"""Seconds until a right that is given back shows: a refused kind is tried again each 30 s, give or take a fifth."""


@pytest.fixture(scope="module")
def troubled(own_cluster: Cluster) -> Cluster:
    """A cluster with the chart and faults that stay."""
    install_among_faults(own_cluster, FAULTS, longest=timedelta(seconds=3))
    return own_cluster


@pytest.fixture
def replica(troubled: Cluster) -> Iterator[Operator]:
    """An operator that has found everything with all its rights, and is down now; at the end it has them all again."""
    role = troubled.get("clusterrole", RELEASE)
    found = operator(troubled)
    found.start()
    try:
        wait_for(lambda: still_open(troubled) >= FOUND, timeout=60, what="diagnosis for each fault")
        found.stop()
        yield found
    finally:
        found.stop()
        set_rules(troubled, role["rules"])
        print(found.log.read_text())  # Shown where a test fails.


def still_open(cluster: Cluster) -> set[str]:
    return {name for name, one in diagnoses(cluster).items() if one["state"] == "Open"}


def set_rules(cluster: Cluster, rules: list[Manifest]) -> None:
    cluster.kubectl("patch", "clusterrole", RELEASE, "--type=merge", f"--patch={json.dumps({'rules': rules})}")


def without(rules: list[Manifest], plural: str) -> list[Manifest]:
    kept = [{**rule, "resources": [one for one in rule["resources"] if one != plural]} for rule in rules]
    assert kept != rules, f"there is a right to {plural} that can be taken away"
    return [rule for rule in kept if rule["resources"]]


def policy_status(cluster: Cluster) -> Manifest:
    status: Manifest = cluster.get("diagnosispolicy", "cluster")["status"]
    return status


def condition(status: Manifest, kind: str) -> Manifest:
    return next(one for one in status["conditions"] if one["type"] == kind)


def standing(cluster: Cluster) -> dict[str, tuple[Any, ...]]:
    found = diagnoses(cluster)
    return {name: (found[name]["state"], found[name]["firstSeen"], found[name]["lastTransition"]) for name in FOUND}


@pytest.mark.parametrize("kind", ["Pod", "HorizontalPodAutoscaler"])
def test_a_missing_right_is_named_and_blinds_only_the_checks_that_need_it(
    troubled: Cluster, replica: Operator, kind: str
) -> None:
    plural = BY_KIND[kind].resource.plural
    enabled = [check for check in registry() if check.profile is not Profile.ADVICE]
    needing = {check.id for check in enabled if check.any_kind or BY_KIND[kind] in check.required}
    before = standing(troubled)
    asked, begun = len(requests(troubled)), time.monotonic()
    rules = troubled.get("clusterrole", RELEASE)["rules"]
    set_rules(troubled, without(rules, plural))
    replica.start()

    def told() -> Manifest:
        status = policy_status(troubled)
        assert condition(status, "Complete")["status"] == "False"
        return status

    status = wait_for(told, timeout=20, what="sign that something is missing")
    complete = condition(status, "Complete")
    assert complete["reason"] == "InputsMissing"
    assert f"{kind} (Forbidden)" in complete["message"]
    assert complete["message"].startswith(f"{len(needing)} checks have no answer")
    assert min(needing) in complete["message"]
    assert condition(status, "Ready")["status"] == "True"
    assert {one["check"]: one["missing"] for one in status["checks"]["skipped"]} == {one: [kind] for one in needing}
    assert [one["kind"] for one in status["watches"] if one["state"] == "Forbidden"] == [kind]
    assert replica.metric("kubedx_watch_synced", kind=kind) == 0

    new = missing_class(troubled, f"class-without-{plural}")
    wait_for(lambda: new in still_open(troubled), timeout=20, what=f"{new} although {plural} cannot be read")
    time.sleep(35)
    assert standing(troubled) == before
    refused = [one for one in requests(troubled, after=asked) if one.code == 403]
    assert {one.resource for one in refused} == {plural}
    assert len(refused) <= 1 + (time.monotonic() - begun) / 10

    set_rules(troubled, rules)
    wait_for(
        lambda: condition(policy_status(troubled), "Complete")["status"] == "True",
        timeout=RECOVERY, what="recovery without a restart",
    )  # fmt: skip
    assert policy_status(troubled)["checks"]["skipped"] == []
    time.sleep(5)
    assert standing(troubled) == before
    mend(troubled, f"class-without-{plural}")


def test_a_finding_out_of_sight_is_not_resolved_though_its_subject_is_gone(
    troubled: Cluster, replica: Operator
) -> None:
    name = "PodUnschedulable Deployment/analytics/wants-a-gpu"
    rules = troubled.get("clusterrole", RELEASE)["rules"]
    set_rules(troubled, without(rules, "pods"))
    replica.start()
    troubled.kubectl("delete", "deployment", "wants-a-gpu", "--namespace=analytics")
    time.sleep(15)
    assert name in still_open(troubled)
    set_rules(troubled, rules)
    wait_for(
        lambda: state_of(troubled, name) == "Resolved",
        timeout=RECOVERY,
        what="end of what is seen to be gone",
    )
    troubled.inject(CHECKOUT / "examples" / "faults" / "pods-unschedulable.yaml")


def test_it_reads_only_what_its_checks_need_and_writes_only_its_own_kinds(troubled: Cluster, replica: Operator) -> None:
    replica.start()
    new = missing_class(troubled, "class-for-writing")
    wait_for(lambda: new in still_open(troubled), timeout=20, what=new)
    assert forbidden_deeds(troubled) == []
    found = requests(troubled)
    written = {(one.group, one.resource) for one in found if one.writes}
    assert written >= {("kubedx.dev", "clusterdiagnoses"), ("kubedx.dev", "clusterdiagnoses/status")}
    assert written <= OURS
    needed = {(view.resource.group, view.resource.plural) for check in registry() for view in registry().kinds(check)}
    read = {(one.group, one.resource) for one in found if one.verb in {"list", "watch"}}
    assert read == needed | {("kubedx.dev", "clusterdiagnoses"), ("kubedx.dev", "diagnosispolicies")}
    got = {(one.group, one.resource) for one in found if one.verb == "get"}
    assert got <= OURS
    mend(troubled, "class-for-writing")


def test_its_account_has_no_wildcard_no_secrets_and_no_way_to_kubelets(troubled: Cluster) -> None:
    rights = rights_of_the_account(troubled, NAMESPACE) + rights_of_the_account(troubled, "default")
    own = [one for one in rights if one.get("apiGroups") not in (["authentication.k8s.io"], ["authorization.k8s.io"])]
    assert own
    for rule in own:
        named = {*rule["verbs"], *rule.get("apiGroups", []), *rule["resources"]}
        assert "*" not in named, rule
        assert not named & {"secrets", "configmaps", "nodes/proxy", "pods/exec", "pods/log", "services/proxy"}, rule
        assert not named & {"impersonate", "escalate", "bind", "deletecollection"}, rule
        if {"kubedx.dev", "coordination.k8s.io"}.isdisjoint(rule["apiGroups"]):
            assert set(rule["verbs"]) == {"list", "watch"}, rule


ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


def rights_of_the_account(cluster: Cluster, namespace: str) -> list[Manifest]:
    """What `kubectl auth can-i --list` asks for, as data."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = cluster.kubectl(
        "create", "-f", "-", "-o", "json", "--validate=false", f"--as={ACCOUNT}", "--as-group=system:serviceaccounts",
        "--as-group=system:authenticated", stdin=json.dumps(review),
    )  # fmt: skip
    status = json.loads(answer)["status"]
    assert not status["incomplete"]
    rules: list[Manifest] = status["resourceRules"]
    return rules
