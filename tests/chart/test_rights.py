"""What the operator may do: list and watch, and write its own two kinds and its Lease. Nothing else."""

import re

import pytest

from kubedx.checks import registry
from kubedx.generate import rbac
from kubedx.kube.meta import Resource
from tests.chart.helm import Helm, Object, of_kind, only
from tests.chart.test_rendering import EVERYTHING, MATRIX

OWN = "kubedx.dev"
each_choice = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())


def _rules(found: list[Object]) -> list[Object]:
    return [rule for kind in ("ClusterRole", "Role") for role in of_kind(found, kind) for rule in role["rules"]]


def _rights(role: Object) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@each_choice
def test_there_is_no_wildcard_no_secret_and_no_way_to_a_node(helm: Helm, values: Object) -> None:
    for rule in _rules(helm.render(values)):
        named = {*rule["apiGroups"], *rule["resources"], *rule["verbs"], *rule.get("nonResourceURLs", ())}
        assert not any("*" in name for name in named)
        assert not named & {"secrets", "nodes/proxy", "nodes/log", "pods/exec", "pods/log", "serviceaccounts/token"}
        assert not named & {"impersonate", "escalate", "bind", "deletecollection"}
        assert "nonResourceURLs" not in rule


@each_choice
def test_other_peoples_kinds_are_listed_and_watched_and_no_more(helm: Helm, values: Object) -> None:
    for role in of_kind(helm.render(values), "ClusterRole"):
        for group, _, verb in _rights(role):
            assert group == OWN or verb in ("list", "watch")


def test_the_operator_writes_its_own_kinds_and_no_other(helm: Helm) -> None:
    writes = {
        right for right in _rights(only(helm.render({}), "ClusterRole")) if right[2] not in ("list", "watch", "get")
    }

    assert writes == {
        (OWN, "clusterdiagnoses", "create"),
        (OWN, "clusterdiagnoses", "delete"),
        (OWN, "clusterdiagnoses/status", "patch"),
        (OWN, "diagnosispolicies", "create"),
        (OWN, "diagnosispolicies/status", "patch"),
    }


def test_outside_its_own_kinds_it_has_the_lease_of_its_namespace(helm: Helm) -> None:
    role = only(helm.render({}), "Role")

    assert role["metadata"]["namespace"] == "observing"
    assert {(group, resource) for group, resource, _ in _rights(role)} == {("coordination.k8s.io", "leases")}


def test_every_kind_that_a_check_reads_is_in_the_role_and_nothing_else(helm: Helm) -> None:
    read = {(one.group, one.plural) for one in registry().resources}
    rights = _rights(only(helm.render({}), "ClusterRole"))

    assert {(group, resource) for group, resource, _ in rights if group != OWN} == read
    assert {(*kind, verb) for kind in read for verb in ("list", "watch")} <= rights


@pytest.mark.parametrize(("group", "plural"), [("", "secrets"), ("", "nodes/proxy"), ("", "*"), ("*", "pods")])
def test_no_check_can_bring_a_right_that_the_operator_must_not_have(group: str, plural: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(plural))):
        rbac.render([Resource(group, "v1", plural, "Anything")])


def test_further_kinds_for_the_check_of_finalizers_are_added(helm: Helm) -> None:
    added = _rights(only(helm.render({"finalizers": EVERYTHING["finalizers"]}), "ClusterRole")) - _rights(
        only(helm.render({}), "ClusterRole")
    )

    assert added == {
        (group, resource, verb)
        for group, resource in (("cert-manager.io", "certificates"), ("", "configmaps"))
        for verb in ("list", "watch")
    }


@each_choice
def test_both_bindings_give_the_rights_to_the_account_of_the_pods(helm: Helm, values: Object) -> None:
    found = helm.render(values)
    account = only(found, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]

    for binding in (*of_kind(found, "ClusterRoleBinding"), *of_kind(found, "RoleBinding")):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "observing"}]
        assert any(
            (role["kind"], role["metadata"]["name"]) == (binding["roleRef"]["kind"], binding["roleRef"]["name"])
            for role in (*of_kind(found, "ClusterRole"), *of_kind(found, "Role"))
        )


@each_choice
def test_only_the_operators_pods_get_the_accounts_token(helm: Helm, values: Object) -> None:
    found = helm.render(values)

    for account in of_kind(found, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert only(found, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


@each_choice
def test_no_role_of_kubernetes_gets_to_see_diagnoses(helm: Helm, values: Object) -> None:
    for role in of_kind(helm.render(values), "ClusterRole"):
        assert not any("aggregate-to" in label for label in role["metadata"]["labels"])
        assert "aggregationRule" not in role


def test_the_viewer_reads_and_no_more(helm: Helm) -> None:
    found = {role["metadata"]["name"]: role for role in of_kind(helm.render({"rbac": {"viewer": True}}), "ClusterRole")}

    assert set(found) == {"kubedx", "kubedx-viewer"}
    assert _rights(found["kubedx-viewer"]) == {
        (OWN, resource, verb)
        for resource in ("clusterdiagnoses", "diagnosispolicies")
        for verb in ("get", "list", "watch")
    }
