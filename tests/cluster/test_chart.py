"""The chart on a real API server: installed, read with its own rights, uninstalled, installed again."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART, Helm
from tests.chart.manifests import MANIFESTS
from tests.cluster import harness
from tests.cluster.tools.build import ToolsUnavailable, ensure

ACCOUNT = "system:serviceaccount:kubedx:kubedx"
IMAGE = ("--set", "image.repository=kubedx,image.tag=dev")
KINDS = ("clusterdiagnoses.kubedx.dev", "diagnosispolicies.kubedx.dev")

DIAGNOSIS = {
    "apiVersion": "kubedx.dev/v1alpha1",
    "kind": "ClusterDiagnosis",
    "metadata": {"name": "kept"},
    "spec": {"suppress": {"reason": "known"}},
}


@dataclass(frozen=True)
class Site:
    """A cluster for helm alone, so that no other test misses the kinds that come and go here."""

    cluster: harness.Cluster
    _helm: Helm

    def helm(self, *arguments: str) -> str:
        """Runs helm against the cluster; gives its error output where it fails, else nothing."""
        run = self._helm.run(*arguments, f"--kubeconfig={self.cluster.kubeconfig}")
        return run.stderr if run.returncode else ""

    def install(self, release: str, namespace: str, *more: str) -> str:
        """Installs the chart, with an image named."""
        return self.helm("install", release, str(CHART), f"--namespace={namespace}", *IMAGE, *more)

    def may(self, verb: str, resource: str, *more: str) -> bool:
        """Whether the operator's account has a right."""
        try:
            return self.cluster.kubectl("auth", "can-i", verb, resource, f"--as={ACCOUNT}", *more).strip() == "yes"
        except harness.ClusterError:
            return False


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        helm = Helm(ensure("helm") / "helm", tmp_path_factory.mktemp("helm-home"))
        cluster = harness.start()
    except ToolsUnavailable as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the cluster tests: {problem}")
        pytest.skip(str(problem))
    try:
        cluster.add_nodes(1)
        yield Site(cluster, helm)
    finally:
        cluster.stop()


@pytest.fixture
def site(empty: Site) -> Iterator[Site]:
    """The cluster with a namespace that takes restricted pods only; everything is taken out again afterwards."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "kubedx", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    empty.cluster.apply(namespace)
    yield empty
    empty.helm("uninstall", "kubedx", "--namespace=kubedx", "--ignore-not-found")
    empty.helm("uninstall", "watcher", "--namespace=observing", "--ignore-not-found")
    empty.cluster.kubectl("delete", "crd", *KINDS, "--ignore-not-found")


def test_it_installs_with_one_command_and_its_pod_passes_the_restricted_standard(site: Site) -> None:
    assert site.install("kubedx", "kubedx") == ""

    (pod,) = harness.wait_for(
        lambda: site.cluster.get("pods", "--namespace=kubedx"), timeout=30, what="a pod of the operator"
    )
    assert pod["spec"]["serviceAccountName"] == "kubedx"
    assert [source for volume in pod["spec"]["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    assert site.cluster.get("clusterdiagnosis") == []


def test_the_operators_account_reads_what_checks_need_and_writes_its_own_kinds(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == ""

    for verb, resource in (
        ("list", "pods"),
        ("watch", "nodes"),
        ("create", "clusterdiagnoses.kubedx.dev"),
        ("delete", "clusterdiagnoses.kubedx.dev"),
        ("create", "diagnosispolicies.kubedx.dev"),
    ):
        assert site.may(verb, resource), (verb, resource)
    assert site.may("patch", "clusterdiagnoses.kubedx.dev", "--subresource=status")
    assert site.may("patch", "diagnosispolicies.kubedx.dev/cluster", "--subresource=status")
    assert site.may("create", "leases.coordination.k8s.io", "--namespace=kubedx")
    for verb in ("get", "update"):
        assert site.may(verb, "leases.coordination.k8s.io/kubedx", "--namespace=kubedx"), verb


def test_the_operators_account_may_do_nothing_else(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == ""

    for verb, resource in (
        ("list", "secrets"),
        ("get", "secrets"),
        ("get", "configmaps"),
        ("patch", "pods"),
        ("delete", "pods"),
        ("create", "events"),
        ("patch", "clusterdiagnoses.kubedx.dev"),
        ("patch", "diagnosispolicies.kubedx.dev"),
        ("delete", "diagnosispolicies.kubedx.dev"),
        ("list", "leases.coordination.k8s.io"),
        ("impersonate", "users"),
        ("*", "*"),
    ):
        assert not site.may(verb, resource), (verb, resource)
    assert not site.may("get", "nodes", "--subresource=proxy")
    assert not site.may("create", "pods", "--subresource=exec")
    assert not site.may("update", "leases.coordination.k8s.io/kubedx", "--namespace=default")
    assert not site.may("update", "leases.coordination.k8s.io/another", "--namespace=kubedx")


def test_the_role_view_sees_no_diagnoses(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0,rbac.viewer=true") == ""
    site.cluster.apply(DIAGNOSIS)
    site.cluster.kubectl("create", "clusterrolebinding", "ann", "--clusterrole=view", "--user=ann")
    site.cluster.kubectl("create", "clusterrolebinding", "bob", "--clusterrole=kubedx-viewer", "--user=bob")

    try:
        with pytest.raises(harness.ClusterError, match="Forbidden"):
            site.cluster.kubectl("get", "clusterdiagnosis", "--as=ann")
        assert "/kept" in site.cluster.kubectl("get", "clusterdiagnosis,diagnosispolicy", "--output=name", "--as=bob")
        with pytest.raises(harness.ClusterError, match="Forbidden"):
            site.cluster.kubectl("delete", "clusterdiagnosis", "kept", "--as=bob")
    finally:
        site.cluster.kubectl("delete", "clusterrolebinding", "ann", "bob")


def test_uninstalling_keeps_the_kinds_and_their_objects(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == ""
    site.cluster.apply(DIAGNOSIS)

    assert site.helm("uninstall", "kubedx", "--namespace=kubedx") == ""

    assert [one["metadata"]["name"] for one in site.cluster.get("clusterdiagnosis")] == ["kept"]
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == "", "the same release takes its kinds up again"


def test_another_release_takes_the_kept_kinds_over_only_when_told_to(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == ""
    site.cluster.apply(DIAGNOSIS)
    assert site.helm("uninstall", "kubedx", "--namespace=kubedx") == ""
    elsewhere = ("watcher", "observing", "--create-namespace", "--set=replicas=0")

    assert "invalid ownership metadata" in site.install(*elsewhere)
    assert site.install(*elsewhere, "--take-ownership") == ""

    assert [one["metadata"]["name"] for one in site.cluster.get("clusterdiagnosis")] == ["kept"]
    for kind in KINDS:
        metadata = site.cluster.get("crd", kind)["metadata"]
        assert metadata["annotations"]["meta.helm.sh/release-name"] == "watcher"
        assert metadata["annotations"]["helm.sh/resource-policy"] == "keep"


def test_an_upgrade_changes_the_defaults_and_nothing_of_the_policy(site: Site) -> None:
    assert site.install("kubedx", "kubedx", "--set=replicas=0") == ""
    policy = {
        "apiVersion": "kubedx.dev/v1alpha1",
        "kind": "DiagnosisPolicy",
        "metadata": {"name": "cluster"},
        "spec": {"retention": "3h"},
    }
    site.cluster.apply(policy)

    upgrade = ("upgrade", "kubedx", str(CHART), "--namespace=kubedx", "--reset-then-reuse-values")
    assert site.helm(*upgrade, "--set=policy.retention=2h") == ""

    defaults = site.cluster.get("configmap", "kubedx", "--namespace=kubedx")["data"]["policy.yaml"]
    assert yaml.safe_load(defaults) == {"retention": "2h"}
    assert site.cluster.get("diagnosispolicy", "cluster")["spec"] == {"retention": "3h"}


def test_the_manifests_apply_without_helm(site: Site) -> None:
    said = site.cluster.kubectl("apply", "--server-side", "--dry-run=server", "--filename", str(MANIFESTS))

    assert "deployment.apps/kubedx serverside-applied" in said


def test_a_refused_installation_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "values.yaml"
    wrong.write_text("policy: {checks: {NodeOnFire: {enabled: true}}}")

    assert "NodeOnFire" in site.install("kubedx", "kubedx", f"--values={wrong}")

    with pytest.raises(harness.ClusterError, match="not found"):
        site.cluster.kubectl("get", "crd", *KINDS)
