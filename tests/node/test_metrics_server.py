"""metrics-server as a real pod that reads a real kubelet: each way in which it can be missing is told."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.harness import CHECKOUT, Cluster, wait_for
from tests.cluster.installation import Promise, at_work, impatient
from tests.cluster.tools import build
from tests.node import images, machine
from tests.node.watching import Fault, Seen, watched

MANIFESTS = Path(__file__).with_name("metrics-server.yaml")
AUTOSCALER = CHECKOUT / "examples" / "faults" / "hpa-without-metrics-api.yaml"
IMAGE = "localhost/metrics-server:0.9.0"
API = "v1beta1.metrics.k8s.io"
DEPLOYMENT = ("--namespace=kube-system", "deployment/metrics-server")
HOLD = timedelta(seconds=4)


@dataclass(frozen=True)
class Way:
    """One way in which there are no metrics.

    Attributes:
        do: How it is made.
        mend: How it is mended.
        root: What is to be found.
    """

    do: Callable[[Cluster], object]
    mend: Callable[[Cluster], object]
    root: Promise


def _crash(cluster: Cluster) -> None:
    """Starts it with a flag that it does not have, and lets no older pod serve meanwhile."""
    add = {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--no-such-flag"}
    at_once = {"op": "replace", "path": "/spec/strategy", "value": {"type": "Recreate"}}
    cluster.kubectl("patch", *DEPLOYMENT, "--type=json", f"--patch={json.dumps([add, at_once])}")


def _distrust(cluster: Cluster) -> None:
    """Has its certificate checked against an authority that did not sign it."""
    authority = base64.b64encode((cluster.logs.parent / "pki" / "ca.crt").read_bytes()).decode()
    _patch_api(cluster, insecureSkipTLSVerify=False, caBundle=authority)


def _patch_api(cluster: Cluster, **spec: object) -> None:
    cluster.kubectl("patch", "apiservice", API, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


WAYS: Mapping[str, Way] = {
    "the API is not registered": Way(
        lambda cluster: cluster.kubectl("delete", "apiservice", API),
        lambda cluster: cluster.apply(MANIFESTS),
        Promise("MetricsServerMissing", f"APIService/{API}", ("HPAFailedGetResourceMetric",)),
    ),
    "it is scaled to nothing": Way(
        lambda cluster: cluster.kubectl("scale", *DEPLOYMENT, "--replicas=0"),
        lambda cluster: cluster.kubectl("scale", *DEPLOYMENT, "--replicas=1"),
        Promise("ServiceNoEndpoints", "Service/kube-system/metrics-server", ("MetricsAPIUnavailable",)),
    ),
    "its certificate is not trusted": Way(
        _distrust,
        lambda cluster: _patch_api(cluster, insecureSkipTLSVerify=True, caBundle=None),
        Promise("MetricsAPIUnavailable", f"APIService/{API}", ("HPAFailedGetResourceMetric",)),
    ),
    "its pod crashes": Way(
        _crash,
        lambda cluster: cluster.kubectl("rollout", "undo", *DEPLOYMENT),
        Promise("PodCrashLoopBackOff", "Deployment/kube-system/metrics-server", ("MetricsAPIUnavailable",)),
    ),
}
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def seen(control_plane: Cluster) -> Iterator[Seen]:
    """Metrics first, then none in each way, and metrics again."""
    with (
        machine.several(control_plane, "metrics-1") as machines,
        at_work(control_plane, {"checks": impatient(HOLD), "retention": "20s"}),
    ):
        archive = machines["metrics-1"].folder / "metrics-server.tar"
        images.single(build.ensure("kubernetes") / "metrics-server", IMAGE, archive)
        machines["metrics-1"].load(archive)
        control_plane.apply(MANIFESTS)
        control_plane.apply(
            AUTOSCALER.read_text(encoding="utf-8").replace("registry.example/checkout:1.4", images.BUSYBOX)
        )
        with watched(control_plane) as watcher:
            for name, way in WAYS.items():
                wait_for(lambda: _scales(control_plane), timeout=120, what="autoscaler that has metrics", every=1)
                do, mend = partial(way.do, control_plane), partial(way.mend, control_plane)
                watcher.live(Fault(name, do, mend, (way.root,), ("metrics",)))
            wait_for(lambda: _scales(control_plane), timeout=120, what="autoscaler that has metrics again", every=1)
        yield watcher.seen
        control_plane.kubectl("delete", "--wait=false", "-f", str(MANIFESTS), "-f", str(AUTOSCALER))


def _scales(cluster: Cluster) -> bool:
    """Whether there are metrics, and the autoscaler has noticed, which looks each quarter of a minute."""
    api = cluster.get("apiservice", API)["status"].get("conditions", [])
    autoscaler = cluster.get("hpa", "checkout", "--namespace=shop")["status"].get("conditions", [])
    return {("Available", "True"), ("ScalingActive", "True")} <= {
        (one["type"], one["status"]) for one in (*api, *autoscaler)
    }


@each_way
def test_the_way_in_which_there_are_no_metrics_is_told(way: str, seen: Seen) -> None:
    assert seen.lacks[way] == []


@each_way
def test_nothing_else_is_said_about_it(way: str, seen: Seen) -> None:
    assert seen.beside[way] == []


@each_way
def test_metrics_that_are_back_end_it(way: str, seen: Seen) -> None:
    assert seen.stays[way] == []
