"""Why a pod is not ready, in a few words."""

from typing import Any

import pytest

from kubedx.checks._support.pods import trouble
from kubedx.kube.views import Pod
from tests.unit.cluster_edits import decode

RUNS: dict[str, Any] = {"running": {}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 2, "reason": "Error"}}


def pod(*containers: dict[str, Any], **status: Any) -> Pod:
    told = [{"name": f"c{number}", **one} for number, one in enumerate(containers)]
    body = {"metadata": {"name": "a"}, "spec": {"nodeName": "n"}, "status": {"containerStatuses": told, **status}}
    view = decode("Pod", body).whole
    assert isinstance(view, Pod)
    return view


def waits(reason: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (pod(waits("ImagePullBackOff")), "container c0 waits: ImagePullBackOff"),
        (
            pod({"ready": True, "state": RUNS}, {**waits("CrashLoopBackOff"), "lastState": ENDED}),
            "container c1 waits: CrashLoopBackOff, it ended with exit code 2",
        ),
        (pod(waits("ContainerCreating"), waits("ErrImagePull")), "container c1 waits: ErrImagePull"),
        (pod(waits("ContainerCreating")), "container c0 waits: ContainerCreating"),
        (pod(waits("ContainerCreating"), {"state": ENDED}), "container c1 ended with exit code 2"),
        (pod({"ready": True, "state": RUNS}, {"state": RUNS}), "container c1 is not ready"),
        (pod({"ready": True, "state": RUNS}), "it is not ready"),
        (pod(phase="Failed", reason="Evicted"), "it failed: Evicted"),
    ],
)
def test_the_trouble_of_a_pod_is_that_of_its_worst_container(subject: Pod, words: str) -> None:
    assert trouble(subject) == words
