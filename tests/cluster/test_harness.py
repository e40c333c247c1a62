"""The harness on a real control plane: what tests and the demo build upon."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster import harness
from tests.cluster.tools import build

WORKLOADS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example/web:1}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: once, image: registry.example/once:1}]
"""


def ready(cluster: harness.Cluster, node: str) -> str:
    """The status of a node's Ready condition."""
    conditions = cluster.get("node", node)["status"]["conditions"]
    return next(str(condition["status"]) for condition in conditions if condition["type"] == "Ready")


def test_the_nodes_are_ready_in_two_zones(cluster: harness.Cluster) -> None:
    nodes = cluster.get("nodes", "-l", "topology.kubernetes.io/zone in (zone-a, zone-b)")
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes]
    assert len(nodes) >= 4
    assert set(zones) == {"zone-a", "zone-b"}


def test_the_api_server_is_of_the_version_that_was_asked_for(cluster: harness.Cluster) -> None:
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]
    if cluster.runtime == "binary":
        assert version["gitVersion"] == f"v{build.kubernetes_version()}"


def test_a_version_that_nobody_pinned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEDX_KUBERNETES", "1.2.3")
    with pytest.raises(build.ToolsUnavailable, match=r"KUBEDX_KUBERNETES is '1\.2\.3'; it can be 1\.32\.13, .*1\.36"):
        build.kubernetes_version()


def test_a_killed_component_is_gone_until_it_is_revived(cluster: harness.Cluster) -> None:
    if cluster.runtime != "binary":
        pytest.skip("The processes of this control plane are out of reach.")
    cluster.kill("kube-scheduler")
    assert not [pid for pid in processes_below(cluster.folder) if "kube-scheduler" in name_of(pid)]
    cluster.revive()
    assert [pid for pid in processes_below(cluster.folder) if "kube-scheduler" in name_of(pid)]


def test_a_cluster_with_a_paused_component_can_be_removed() -> None:
    doomed = harness.start(runtime="binary")
    with doomed.paused("etcd"):
        doomed.stop()
    assert processes_below(doomed.folder) == []


def test_played_pods_run_and_jobs_complete(cluster: harness.Cluster, namespace: str) -> None:
    cluster.apply(WORKLOADS, namespace=namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    cluster.kubectl("wait", "--for=condition=Complete", "job/once", "-n", namespace, "--timeout=60s")
    for pod in cluster.get("pods", "-n", namespace, "-l", "app=web"):
        assert pod["status"]["phase"] == "Running"
        assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["PodScheduled"] == "True"
        assert not pod["status"]["podIP"].startswith("10.0.0.")


def test_a_silent_node_is_found_by_the_controller_manager_and_comes_back(cluster: harness.Cluster) -> None:
    (node,) = cluster.add_nodes(1, prefix="silent", zone="zone-silent")
    try:
        cluster.stop_heartbeats(node)
        harness.wait_for(lambda: ready(cluster, node) == "Unknown", timeout=40, what="Unknown node")
        cluster.resume_heartbeats(node)
        harness.wait_for(lambda: ready(cluster, node) == "True", timeout=40, what="Ready node")
    finally:
        cluster.kubectl("delete", "node", node)


def test_the_audit_log_names_who_wrote_what(cluster: harness.Cluster, namespace: str) -> None:
    cluster.kubectl("create", "configmap", "noted", "-n", namespace)

    def seen() -> bool:
        return any(
            event["verb"] == "create" and event.get("objectRef", {}).get("name") == "noted"
            for event in cluster.audit()
            if event.get("objectRef", {}).get("namespace") == namespace
        )

    harness.wait_for(seen, timeout=10, what="audit event")


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(cluster: harness.Cluster, namespace: str) -> None:
    cluster.kubectl("create", "serviceaccount", "reader", "-n", namespace)
    cluster.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", "-n", namespace)
    cluster.kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader", "-n", namespace
    )
    mine = f"--kubeconfig={cluster.kubeconfig_of('reader', namespace=namespace)}"
    assert cluster.kubectl(mine, "get", "pods", "-n", namespace) == ""
    with pytest.raises(harness.ClusterError, match='cannot list resource "services"'):
        cluster.kubectl(mine, "get", "services", "-n", namespace)


def test_a_failed_kubectl_says_what_the_server_said(cluster: harness.Cluster) -> None:
    with pytest.raises(harness.ClusterError, match=r'`kubectl .*get pod nobody` failed: .*pods "nobody" not found'):
        cluster.kubectl("get", "pod", "nobody")


def test_a_second_cluster_of_the_same_name_is_refused(cluster: harness.Cluster) -> None:
    with pytest.raises(harness.ClusterError, match="already"):
        harness.start(name=cluster.name, runtime=cluster.runtime)
    assert harness.find(cluster.name) == cluster


def test_a_cluster_that_cannot_start_leaves_nothing() -> None:
    broken = {"kube-apiserver": {"audit-policy-file": "/no/such/file"}}
    with pytest.raises(harness.ClusterError, match=r"kube-apiserver: .*/no/such/file"):
        harness.start(name="never-starts", runtime="binary", extra_args=broken, wait_seconds=5)
    assert harness.find("never-starts") is None
    assert processes_below(build.cache_root() / "clusters" / "never-starts") == []


def test_what_a_killed_run_left_is_removed_by_the_next(cluster: harness.Cluster) -> None:
    killed = "import os; from tests.cluster import harness; harness.start(name='was-killed'); os.kill(os.getpid(), 9)"
    run = subprocess.run([sys.executable, "-c", killed], cwd=harness.CHECKOUT, check=False)
    assert run.returncode == -9
    folder = build.cache_root() / "clusters" / "was-killed"
    if cluster.runtime == "binary":
        assert len(processes_below(folder)) == 5

    assert "was-killed" in harness.remove_orphans()
    assert processes_below(folder) == []
    assert not folder.exists()
    assert harness.find(cluster.name) == cluster


def name_of(pid: int) -> str:
    """The name of a process, which the kernel cuts."""
    return Path(f"/proc/{pid}/comm").read_text(encoding="ascii")


def processes_below(folder: Path) -> list[int]:
    """The processes whose command line names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if os.fsencode(folder) in command and process.name != str(os.getpid()):
            found.append(int(process.name))
    return found
