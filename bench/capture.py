"""Writes the templates of the scale server anew, from the objects of a real API server.

    python -m bench.capture

The specs, the defaults, the owners, the injected volumes and the managed fields are what a real control plane made of
the manifests below. There is no kubelet: its part, the statuses, is patched in under its name, in the words that
kubelets use. What differs from object to object becomes a hole, such as `@uid@`, that the server fills.
"""

import datetime as dt
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster import harness

HERE = Path(__file__).resolve().parent / "server" / "templates"
SHAPES = Path(__file__).resolve().parent / "manifests.yaml"
NODE = "node-0"

Json = dict[str, Any]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def main() -> None:
    """Start a control plane, make one object of each shape, and write the templates."""
    cluster = harness.start(node_grace_seconds=86400)
    try:
        _make_node(cluster)
        node = _read(cluster, "/api/v1/nodes")
        cluster.apply(SHAPES)
        _make_pods(cluster)
        _make_events(cluster)
        _heal_autoscaler(cluster)
        time.sleep(3)  # The controllers bring the statuses of workloads, claims and slices up to date.
        found = {kind: _read(cluster, path) for kind, path in PATHS.items()} | {"node": node}
    finally:
        cluster.stop()
    write(found)


# --- making ---


def _patch(cluster: harness.Cluster, what: str, body: Json, manager: str, *flags: str) -> None:
    cluster.kubectl("patch", what, f"--field-manager={manager}", "--type=strategic", f"-p={json.dumps(body)}", *flags)


def _stamp(seconds: float = 0.0) -> str:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _make_node(cluster: harness.Cluster) -> None:
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/instance-type": "m6i.2xlarge",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": NODE,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "m6i.2xlarge",
        "topology.kubernetes.io/region": "region-1",
        "topology.kubernetes.io/zone": "zone-a",
    }
    annotations = {
        "csi.volume.kubernetes.io/nodeid": json.dumps({"disk.csi.example": "i-0c8f1d2b7a9e45f31"}),
        "node.alpha.kubernetes.io/ttl": "300",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "labels": labels, "annotations": annotations},
            "spec": {
                "podCIDR": "10.64.0.0/24",
                "podCIDRs": ["10.64.0.0/24"],
                "providerID": "example:///zone-a/i-0c8f1",
            },
        }
    )
    capacity = {
        "cpu": "64",
        "ephemeral-storage": "104845292Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": "257766412Ki",
        "pods": "110",
    }
    conditions = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    now = _stamp()
    status = {
        "addresses": [
            {"type": "InternalIP", "address": "10.1.2.3"},
            {"type": "Hostname", "address": NODE},
            {"type": "InternalDNS", "address": f"{NODE}.region-1.compute.internal"},
        ],
        "allocatable": {**capacity, "cpu": "63770m", "memory": "256642060Ki"},
        "capacity": capacity,
        "conditions": [
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, value, reason, message in conditions
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "images": [
            {
                "names": [
                    f"registry.example/team-{number % 7}/service-{number}@sha256:{number + 17:064x}",
                    f"registry.example/team-{number % 7}/service-{number}:1.{number}.0",
                ],
                "sizeBytes": 312_000_000 - 5_731_337 * number,
            }
            for number in range(34)
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "7a1c2b0e-52f4-4f06-9a41-0b8b5d1c6e77",
            "containerRuntimeVersion": "containerd://2.1.4",
            "kernelVersion": "6.8.0-1033-generic",
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.36.3",
            "machineID": "ec2b7d5a0f3e4c0c9d6a1b2c3d4e5f60",
            "operatingSystem": "linux",
            "osImage": "Ubuntu 24.04.3 LTS",
            "systemUUID": "ec2b7d5a-0f3e-4c0c-9d6a-1b2c3d4e5f60",
        },
        "runtimeHandlers": [{"name": "", "features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}}],
        "features": {"supplementalGroupsPolicy": True},
    }
    _patch(cluster, f"node/{NODE}", {"status": status}, "kubelet", "--subresource=status")
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=60s")


def _pods(cluster: harness.Cluster, app: str) -> list[Json]:
    found: list[Json] = cluster.get("pods", "-n", "shop", "-l", f"app={app}")
    return sorted(found, key=lambda pod: (not pod["spec"].get("nodeName"), str(pod["metadata"]["name"])))


def _make_pods(cluster: harness.Cluster) -> None:
    for count in (1, 2, 3):
        _wait_for_pods(cluster, f"app-{count}", bound=5)
    shrunk = {"status": {"allocatable": {"cpu": "1"}}}
    _patch(cluster, f"node/{NODE}", shrunk, "kubelet", "--subresource=status")
    for count in (1, 2, 3):
        app = f"app-{count}"
        cluster.kubectl("scale", f"deployment/{app}", "-n", "shop", "--replicas=6")
    for count in (1, 2, 3):
        app = f"app-{count}"
        _wait_for_pods(cluster, app, bound=5, pending=1)
    for count in (1, 2, 3):
        for pod, state in zip(
            _pods(cluster, f"app-{count}"), ("running", "crash", "pull", "oom", "noisy"), strict=False
        ):
            status = pod_status(pod, state)
            name = f"pod/{pod['metadata']['name']}"
            _patch(cluster, name, {"status": status}, "kubelet", "--subresource=status", "-n", "shop")


def _wait_for_pods(cluster: harness.Cluster, app: str, bound: int, pending: int = 0) -> None:
    def there() -> bool:
        found = _pods(cluster, app)
        told = [pod for pod in found if pod["status"].get("conditions")]
        return len(told) == bound + pending and sum(bool(pod["spec"].get("nodeName")) for pod in found) == bound

    harness.wait_for(there, timeout=60, what=f"pods of {app}")


def pod_status(pod: Json, state: str) -> Json:
    """The status that a kubelet of 1.36 reports.

    Args:
        pod: The pod, bound to a node.
        state: running, crash, pull, oom or noisy.

    Returns:
        The status.
    """
    containers = pod["spec"]["containers"]
    broken = {"crash", "pull", "oom"} & {state}
    statuses = [
        _container_status(pod, number, container, state if number == 0 or state == "noisy" else "running")
        for number, container in enumerate(containers)
    ]
    unready = f"containers with unready status: [{containers[0]['name']}]"
    ready = {"status": "False", "reason": "ContainersNotReady", "message": unready} if broken else {"status": "True"}
    if state == "noisy":
        ready |= {"reason": "ContainersReady", "message": "@noise@"}
    generation = {"observedGeneration": 1}
    conditions = [
        {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": _stamp(3), **generation},
        {"type": "Initialized", "status": "True", "lastTransitionTime": _stamp(1), **generation},
        {"type": "Ready", "lastTransitionTime": _stamp(1009 if broken else 60), **generation, **ready},
        {"type": "ContainersReady", "lastTransitionTime": _stamp(1009 if broken else 60), **generation, **ready},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": _stamp(1), **generation},
    ]
    return {
        "observedGeneration": 1,
        "phase": "Pending" if state == "pull" and len(containers) == 1 else "Running",
        "conditions": conditions,
        "containerStatuses": statuses,
        "hostIP": "10.1.2.3",
        "hostIPs": [{"ip": "10.1.2.3"}],
        "podIP": "10.64.0.17",
        "podIPs": [{"ip": "10.64.0.17"}],
        "qosClass": "Burstable",
        "startTime": _stamp(1),
    }


def _container_status(pod: Json, number: int, container: Json, state: str) -> Json:
    identity = f"containerd://{number + 1:064x}"
    ready = state in {"running", "noisy"}
    mounts = [
        {"name": one["name"], "mountPath": one["mountPath"]}
        | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if one.get("readOnly") else {})
        for one in container["volumeMounts"]
    ]
    found: Json = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "" if state == "pull" else f"{container['image'].partition(':')[0]}@sha256:{number + 100:064x}",
        "ready": ready,
        "started": ready,
        "restartCount": {"running": 0, "noisy": 7100 + number, "pull": 0}.get(state, 17),
        "state": _state(pod, container, state),
        "allocatedResources": container["resources"]["requests"],
        "resources": container["resources"],
        "volumeMounts": mounts,
        "user": {"linux": {"gid": 1000, "supplementalGroups": [1000], "uid": 1000}},
    }
    if state != "pull":
        found["containerID"] = identity
    if ended := _ended(state, identity):
        found["lastState"] = {"terminated": ended}
    return found


def _state(pod: Json, container: Json, state: str) -> Json:
    meta = pod["metadata"]
    whose = f"{container['name']} pod={meta['name']}_{meta['namespace']}({meta['uid']})"
    image = container["image"]
    failed = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
    waiting = {
        "crash": ("CrashLoopBackOff", f"back-off 5m0s restarting failed container={whose}"),
        "oom": ("CrashLoopBackOff", f"back-off 5m0s restarting failed container={whose}"),
        "pull": ("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {failed}'),
    }
    if state in waiting:
        reason, message = waiting[state]
        return {"waiting": {"reason": reason, "message": message}}
    return {"running": {"startedAt": _stamp(58)}}


def _ended(state: str, identity: str) -> Json | None:
    code, reason = {"crash": (1, "Error"), "oom": (137, "OOMKilled"), "noisy": (2, "Error")}.get(state, (0, ""))
    if not code:
        return None
    offset = 20 if state == "noisy" else 1000
    ended: Json = {
        "containerID": identity,
        "exitCode": code,
        "reason": reason,
        "startedAt": _stamp(offset),
        "finishedAt": _stamp(offset + 8),
    }
    return ended | ({"message": "@noise@"} if state == "noisy" else {})


def _make_events(cluster: harness.Cluster) -> None:
    pod = _pods(cluster, "app-2")[1]
    container = pod["spec"]["containers"][0]["name"]
    whose = f"{container} in pod {pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
    path = f"spec.containers{{{container}}}"
    _make_event(cluster, "backoff", pod, path, ("Warning", "BackOff", f"Back-off restarting failed container {whose}"))
    probe = 'Readiness probe failed: Get "http://10.64.0.17:8080/ready": context deadline exceeded'
    _make_event(cluster, "unhealthy", pod, path, ("Warning", "Unhealthy", f"{probe} (Client.Timeout exceeded)"))
    _make_event(cluster, "started", pod, path, ("Normal", "Started", f"Started container {container}"))
    image = pod["spec"]["containers"][0]["image"]
    message = f'Failed to pull image "{image}": rpc error: code = NotFound desc = {image}: not found'
    _make_event(cluster, "failed", pod, path, ("Warning", "Failed", message))


def _make_event(
    cluster: harness.Cluster, name: str, pod: Json, path: str, what: tuple[str, str, str], count: int = 41
) -> None:
    meta = pod["metadata"]
    kind, reason, message = what
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.1860000000{name[:3].encode().hex()}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "fieldPath": path,
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "source": {"component": "kubelet", "host": NODE},
        "reportingComponent": "kubelet",
        "reportingInstance": NODE,
        "firstTimestamp": _stamp(),
        "lastTimestamp": _stamp(1000),
        "count": count,
    }
    cluster.kubectl("create", "--field-manager=kubelet", "-f", "-", stdin=json.dumps(body))


def _heal_autoscaler(cluster: harness.Cluster) -> None:
    """Say of the autoscaler what its controller says where a metrics API answers, which is not so here."""
    reasons = (
        ("AbleToScale", "ReadyForNewScale"),
        ("ScalingActive", "ValidMetricFound"),
        ("ScalingLimited", "DesiredWithinRange"),
    )
    conditions = [
        {
            "type": kind,
            "status": "False" if kind == "ScalingLimited" else "True",
            "reason": reason,
            "message": "recommended size matches current size",
            "lastTransitionTime": _stamp(),
        }
        for kind, reason in reasons
    ]
    status = {"currentReplicas": 5, "desiredReplicas": 5, "conditions": conditions}
    _patch(cluster, "hpa/app-3", {"status": status}, "kube-controller-manager", "--subresource=status", "-n", "shop")


def _read(cluster: harness.Cluster, path: str) -> list[Json]:
    found: list[Json] = json.loads(cluster.kubectl("get", "--raw", path))["items"]
    return found


# --- writing ---

PATHS = {
    "pod": "/api/v1/namespaces/shop/pods",
    "event": "/api/v1/namespaces/shop/events",
    "namespace": "/api/v1/namespaces",
    "claim": "/api/v1/namespaces/shop/persistentvolumeclaims",
    "volume": "/api/v1/persistentvolumes",
    "service": "/api/v1/namespaces/shop/services",
    "quota": "/api/v1/namespaces/shop/resourcequotas",
    "slice": "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
    "deployment": "/apis/apps/v1/namespaces/shop/deployments",
    "replicaset": "/apis/apps/v1/namespaces/shop/replicasets",
    "autoscaler": "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
    "class": "/apis/storage.k8s.io/v1/storageclasses",
    "apiservice": "/apis/apiregistration.k8s.io/v1/apiservices",
}
Holes = dict[str, str]
"""What stands in a captured object, and the hole that takes its place; numbers are in quotes after their hole's #."""

_FIRST_CHANGE = 600.0
"""Seconds after its creation from which a time in a captured object belongs to its latest change."""


def write(found: Mapping[str, list[Json]]) -> None:
    """Write the templates.

    Args:
        found: The captured objects by kind, as the API server lists them.
    """
    for old in HERE.glob("*.json"):
        old.unlink()
    _write(
        "node", found["node"][0], {NODE: "@name@", "10.1.2.3": "@hostip@", "zone-a": "@zone@", "i-0c8f1": "@instance@"}
    )
    _write("namespace", _of(found["namespace"], "shop"), {"shop": "@name@"})
    _write("quota", found["quota"][0], {"shop": "@namespace@"})
    _write("class", found["class"][0], {})
    for number, one in enumerate([*found["apiservice"], _metrics_api(found["apiservice"])]):
        _write(f"apiservice-{number:02}", one, {})
    for count in (1, 2, 3):
        _write_owner(found, count)
    _write_events(found)


def _metrics_api(known: list[Json]) -> Json:
    """The APIService of a metrics-server that works, made of one that the API server serves itself."""
    made: Json = json.loads(json.dumps(_of(known, "v1.apps")).replace("v1.apps", "v1beta1.metrics.k8s.io"))
    made["spec"] |= {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    made["spec"]["service"] = {"namespace": "kube-system", "name": "metrics-server", "port": 443}
    made["status"]["conditions"][0] |= {"reason": "Passed", "message": "all checks passed"}
    return made


def _of(items: list[Json], name: str) -> Json:
    return next(one for one in items if one["metadata"]["name"] == name)


def _write_owner(found: Mapping[str, list[Json]], count: int) -> None:
    app = f"app-{count}"
    deployment, service = _of(found["deployment"], app), _of(found["service"], app)
    replicas = next(one for one in found["replicaset"] if one["metadata"]["labels"]["app"] == app)
    holes = {
        replicas["metadata"]["name"]: "@replicaset@",
        replicas["metadata"]["uid"]: "@replicasetuid@",
        replicas["metadata"]["labels"]["pod-template-hash"]: "@hash@",
        deployment["metadata"]["uid"]: "@deploymentuid@",
        service["metadata"]["uid"]: "@serviceuid@",
        service["spec"]["clusterIP"]: "@clusterip@",
        app: "@app@",
    } | _PLACE
    _write_pods(
        sorted(
            (pod for pod in found["pod"] if pod["metadata"]["labels"]["app"] == app),
            key=lambda pod: (not pod["spec"].get("nodeName"), pod["metadata"]["name"]),
        ),
        count,
        holes,
    )
    _write(f"deployment-{count}", _scaled(deployment), holes)
    _write(f"replicaset-{count}", _scaled(replicas), holes)
    _write(f"service-{count}", service, holes)
    _write_slice(
        f"slice-{count}", next(one for one in found["slice"] if one["metadata"]["labels"]["app"] == app), holes
    )
    if count == len(("one", "two", "three")):
        claim, volume = found["claim"][0]["metadata"], found["volume"][0]["metadata"]
        of_claim = {volume["name"]: "@volume@", claim["uid"]: "@claimuid@", volume["uid"]: "@volumeuid@"} | holes
        _write("claim", found["claim"][0], of_claim)
        _write("volume", found["volume"][0], of_claim)
        _write("autoscaler", found["autoscaler"][0], holes)


_PLACE = {
    "shop": "@namespace@",
    NODE: "@node@",
    "10.1.2.3": "@hostip@",
    "10.64.0.17": "@podip@",
    "zone-a": "@zone@",
    f"{100:064x}": "@image@",
    "0/1 nodes": "0/@nodes@ nodes",
    ": 1 Insufficient": ": @nodes@ Insufficient",
    ": 1 No preemption": ": @nodes@ No preemption",
}


def _write_pods(pods: list[Json], count: int, holes: Holes) -> None:
    for pod, state in zip(pods, ("running", "crash", "pull", "oom", "noisy", "unschedulable"), strict=True):
        own = {pod["metadata"]["name"]: "@name@", pod["metadata"]["uid"]: "@uid@"}
        for volume in pod["spec"]["volumes"]:
            if volume["name"].startswith("kube-api-access-"):
                own[volume["name"]] = "kube-api-access-@token@"
        own |= {f"{number + 1:064x}": f"@container{number}@" for number in range(count)}
        for one in pod["status"].get("containerStatuses") or ():
            if one["restartCount"]:
                one["restartCount"] = "@#restarts@"
        _write(f"pod-{count}-{state}", pod, own | holes)


def _scaled(workload: Json) -> Json:
    """A workload whose numbers and conditions follow from its pods."""
    workload["spec"]["replicas"] = "@#replicas@"
    status = workload["status"]
    for field in ("replicas", "updatedReplicas", "fullyLabeledReplicas"):
        if field in status:
            status[field] = "@#replicas@"
    status |= {"readyReplicas": "@#ready@", "availableReplicas": "@#ready@"}
    if "unavailableReplicas" in status:
        status["unavailableReplicas"] = "@#unready@"
    for one in status.get("conditions") or ():
        if one["type"] == "Available":
            one |= {"status": "@available@", "reason": "@availablereason@", "message": "@availablemessage@"}
        if one["type"] == "Progressing":
            name = re.search(r'"(.*)"', one["message"])
            one |= {
                "reason": "NewReplicaSetAvailable",
                "message": f"ReplicaSet {name and name[0]} has successfully progressed.",
            }
    return workload


def _write_slice(name: str, found: Json, holes: Holes) -> None:
    endpoint = found["endpoints"][0]
    endpoint["conditions"] |= {"ready": "@#podready@", "serving": "@#podready@"}
    endpoint["targetRef"] |= {"name": "@pod@", "uid": "@poduid@"}
    found["endpoints"] = "@#endpoints@"
    _write(name, found, {found["metadata"]["name"]: "@name@"} | holes)
    if not (HERE / "endpoint.json").exists():
        _write("endpoint", endpoint, holes)


def _write_events(found: Mapping[str, list[Json]]) -> None:
    for reason in ("BackOff", "Unhealthy", "Started", "Failed", "FailedScheduling"):
        event = next(one for one in found["event"] if one["reason"] == reason)
        about = event["involvedObject"]
        about["resourceVersion"] = "@podrv@"
        if "count" in event:
            event["count"] = "@#count@"
        app, hash_, _ = about["name"].rsplit("-", 2)
        holes = {
            event["metadata"]["name"]: "@name@",
            about["name"]: "@pod@",
            about["uid"]: "@poduid@",
            f"{app}-{hash_}": "@replicaset@",
            app: "@app@",
        }
        _write(f"event-{reason.lower()}", event, holes | _PLACE)


def _write(name: str, found: Json, holes: Holes) -> None:
    """Write one template.

    Args:
        name: What it is called.
        found: The captured object.
        holes: What is replaced; the longest first, so that a name goes before a part of it.
    """
    meta = found.get("metadata", {})
    if meta:
        holes = {meta["uid"]: "@uid@"} | holes
        meta["resourceVersion"] = "@rv@"
        _replace_times(found, dt.datetime.fromisoformat(meta["creationTimestamp"]))
    text = json.dumps(found, indent=1, ensure_ascii=False)
    for value in sorted(holes, key=len, reverse=True):
        text = text.replace(value, holes[value])
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _replace_times(found: Any, created: dt.datetime) -> None:  # noqa: ANN401 -- JSON of any shape
    pairs = enumerate(found) if isinstance(found, list) else list(found.items())
    for key, value in pairs:
        if isinstance(value, dict | list):
            _replace_times(value, created)
        elif isinstance(value, str) and _TIME.fullmatch(value):
            after = int((dt.datetime.fromisoformat(value) - created).total_seconds())
            found[key] = f"@c{after - 1000}@" if after >= _FIRST_CHANGE else f"@t{after}@"
            if "." in value:
                found[key] = f"@m{after}@"


if __name__ == "__main__":
    main()
