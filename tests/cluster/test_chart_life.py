"""The life of an installation: values, upgrades, removal and return, each with an operator that uses what helm left."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.footprint import objects, requests
from tests.cluster.harness import Cluster, ClusterError, Manifest, wait_for
from tests.cluster.installation import CHART, NAMESPACE, RELEASE, Operator, helm, impatient, install, operator

IMPATIENT = impatient(timedelta(seconds=2))
KINDS = ("clusterdiagnoses.kubedx.dev", "diagnosispolicies.kubedx.dev")
WIDGETS: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def site(own_cluster: Cluster) -> Cluster:
    """A cluster whose namespace for kubedx takes restricted pods only."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}
    own_cluster.apply(namespace)
    return own_cluster


@contextmanager
def running(cluster: Cluster, release: str = RELEASE) -> Iterator[Operator]:
    """An operator with the arguments, the defaults and the account that an installed release gives its pods."""
    deployment = cluster.get("deployment", release, f"--namespace={NAMESPACE}")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    args = [arg for arg in container["args"][1:] if not arg.startswith(("--listen=", "--defaults="))]
    found = operator(cluster, *args, release=release)
    found.start()
    try:
        yield found
    finally:
        found.stop()
        print(found.log.read_text())  # Shown where a test fails.


def lasting(cluster: Cluster) -> dict[str, tuple[str, str]]:
    return {name: (uid, first_seen) for name, (uid, _, first_seen, _) in objects(cluster).items()}


def test_without_an_image_it_says_how_to_make_one(site: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"(?s)image\.repository is not set.*make image.*kind load") as refusal:
        helm(site, "install", RELEASE, str(CHART), f"--namespace={NAMESPACE}")
    assert "--set image.repository=kubedx,image.tag=dev" in str(refusal.value)


def test_its_pod_runs_in_a_namespace_for_restricted_pods(site: Cluster) -> None:
    install(site, replicas=1)
    site.kubectl("rollout", "status", f"deployment/{RELEASE}", f"--namespace={NAMESPACE}", "--timeout=60s")
    (pod,) = site.get("pods", f"--namespace={NAMESPACE}")
    assert pod["status"]["phase"] == "Running"
    install(site, replicas=0)
    wait_for(lambda: not site.get("pods", f"--namespace={NAMESPACE}"), timeout=60, what="end of the pod")


def test_values_switch_a_check_off_and_an_upgrade_switches_it_on(site: Cluster) -> None:
    off = {**IMPATIENT, "StorageClassMissing": {"enabled": False}}
    install(site, policy={"checks": off})
    name = missing_class(site, "switched-by-values")
    other = "NodeCordoned Node/node-zone-a-0"
    with running(site) as first:
        site.kubectl("cordon", "node-zone-a-0")
        wait_for(lambda: state_of(site, other) == "Open", timeout=20, what=other)
        assert first.metric("kubedx_check_enabled", check="StorageClassMissing") == 0
        assert state_of(site, name) == ""
    install(site, policy={"checks": IMPATIENT})
    with running(site):
        wait_for(lambda: state_of(site, name) == "Open", timeout=20, what=name)
        assert state_of(site, other) == "Open"
        site.kubectl("uncordon", "node-zone-a-0")
        mend(site, "switched-by-values")
        wait_for(lambda: state_of(site, name) == "Resolved", timeout=20, what=f"end of {name}")


def test_a_kind_of_ones_own_is_watched_for_stuck_deletions_even_if_it_comes_later(site: Cluster) -> None:
    install(site, policy={"checks": IMPATIENT}, finalizers={"resources": ["widgets.example.com"]})
    stuck = {"name": "stuck", "namespace": "default", "finalizers": ["example.com/hold"]}
    with running(site) as found:
        assert "--watch-metadata=widgets.example.com" in found.args
        site.apply(WIDGETS)
        site.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/widgets.example.com")
        site.apply({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": stuck})
        site.kubectl("delete", "widget", "stuck", "--namespace=default", "--wait=false")
        name = "ResourceFinalizerStuck Widget.example.com/default/stuck"
        wait_for(lambda: state_of(site, name) == "Open", timeout=45, what=name)
        assert {one.verb for one in requests(site) if one.resource == "widgets"} <= {"list", "watch"}
        patch = '{"metadata":{"finalizers":null}}'
        site.kubectl("patch", "widget", "stuck", "--namespace=default", "--type=merge", f"--patch={patch}")
        wait_for(lambda: state_of(site, name) == "Resolved", timeout=20, what=f"end of {name}")


def test_uninstalled_while_it_runs_it_leaves_nothing_stuck_and_goes_on_after_a_return(site: Cluster) -> None:
    install(site, policy={"checks": IMPATIENT})
    name = missing_class(site, "outlives-the-release")
    with running(site) as found:
        wait_for(lambda: state_of(site, name) == "Open", timeout=20, what=name)
        before = lasting(site)
        helm(site, "uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=60s")
        assert found.running, "without its rights it waits"
        assert found.get("/healthz")[0] == 200
    assert lasting(site) == before
    for kind in KINDS:
        metadata = site.get("crd", kind)["metadata"]
        assert "deletionTimestamp" not in metadata
    for plural in ("clusterdiagnoses", "diagnosispolicies"):
        assert not [one for one in site.get(plural) if one["metadata"].get("finalizers")]
    install(site, policy={"checks": IMPATIENT})
    with running(site):
        mend(site, "outlives-the-release")
        # The first one had no right any more to give its Lease back: it is left to it for a minute.
        wait_for(lambda: state_of(site, name) == "Resolved", timeout=90, what=f"end of {name}")
    assert {one: lasting(site)[one] for one in before} == before


def test_another_release_takes_over_when_told_to_and_goes_on_with_the_same_objects(site: Cluster) -> None:
    install(site, policy={"checks": IMPATIENT})
    name = missing_class(site, "changes-hands")
    with running(site):
        wait_for(lambda: state_of(site, name) == "Open", timeout=20, what=name)
    before = lasting(site)
    helm(site, "uninstall", RELEASE, f"--namespace={NAMESPACE}")
    successor = "kubedx-successor"
    given = ("install", successor, str(CHART), f"--namespace={NAMESPACE}")
    values = {"image": {"repository": "localhost/kubedx"}, "replicas": 0, "policy": {"checks": IMPATIENT}}
    with pytest.raises(ClusterError, match="invalid ownership metadata"):
        helm(site, *given, values=values)
    helm(site, *given, "--take-ownership", values=values)
    with running(site, successor):
        mend(site, "changes-hands")
        wait_for(lambda: state_of(site, name) == "Resolved", timeout=20, what=f"end of {name}")
    assert {one: lasting(site)[one] for one in before} == before
    helm(site, "uninstall", successor, f"--namespace={NAMESPACE}")


def test_deleting_the_kinds_ends_at_once(site: Cluster) -> None:
    assert objects(site)
    site.kubectl("delete", "crd", *KINDS, "--timeout=30s")
    assert site.get("crd") == [site.get("crd", "widgets.example.com")]
