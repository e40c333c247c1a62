"""What the kubelet and the attach controller say about volumes, and what is made of it."""

# ruff: noqa: E501, ISC004 -- messages are shown as they come

import pytest

from kubedx.checks._support.mounts import mount_failure

MESSAGES = [
    ('MountVolume.SetUp failed for volume "config-volume" : failed to sync secret cache: timed out waiting for the condition',
     "config-volume", "config cache", "failed to sync secret cache: timed out waiting for the condition"),
    ('MountVolume.SetUp failed for volume "c" : object "shop"/"web" not registered',
     "c", "config cache", 'object "shop"/"web" not registered'),
    ('MountVolume.SetUp failed for volume "c" : configmap "web" not found', "c", "config missing", 'configmap "web" not found'),
    ('MountVolume.SetUp failed for volume "c" : references non-existent secret key: tls.key',
     "c", "config missing", "references non-existent secret key: tls.key"),
    ('MountVolume.SetUp failed for volume "h" : hostPath type check failed: /srv is not a directory',
     "h", "host path", "hostPath type check failed: /srv is not a directory"),
    ('MountVolume.MountDevice failed for volume "v" : kubernetes.io/csi: driver name x.csi not found in the list of registered '
     "CSI drivers", "v", "driver", "kubernetes.io/csi: driver name x.csi not found in the list of registered CSI drivers"),
    ('MountVolume.NodeAffinity check failed for volume "pv-1" : no matching NodeSelectorTerms',
     "pv-1", "node affinity", "no matching NodeSelectorTerms"),
    ('MountVolume.NewMounter initialization failed for volume "v" : permission denied', "v", "permission", "permission denied"),
    ('MountVolume.MountOptionSupport check failed for volume "v" : Mount options are not supported for this volume type',
     "v", "other", "Mount options are not supported for this volume type"),
    ('AttachVolume.Attach failed for volume "v" : rpc error: code = Internal desc = x',
     "v", "other", "rpc error: code = Internal desc = x"),
    ('Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a-0',
     "pvc-1", "multi-attach", "Volume is already used by pod(s) a-0"),
    ('Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can\'t be attached to another',
     "pvc-1", "multi-attach", "Volume is already exclusively attached to one node and can't be attached to another"),
    ('MountVolume.SetUp failed for volume "v" : mount failed: exit status 32\\nMounting command: mount\\nMounting arguments: -t '
     "nfs s:/e /p\\nOutput: mount.nfs: access denied by server while mounting s:/e",
     "v", "server", "mount failed: exit status 32: mount.nfs: access denied by server while mounting s:/e"),
    ("Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data x], failed to process volumes=[]: "
     "timed out waiting for the condition", "data", "waits", "it was not there in time"),
    ('timeout expired waiting for volumes to attach or mount for pod "a"/"b". list of unmounted volumes=[data]. list of '
     "unattached volumes=[data]", "data", "waits", "it was not there in time"),
    ("something that nobody knows", "", "other", "something that nobody knows"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "volume", "kind", "why"), MESSAGES)
def test_volume_kind_and_error_are_told_apart(message: str, volume: str, kind: str, why: str) -> None:
    failure = mount_failure(message)

    assert (failure.volume, failure.kind, failure.why) == (volume, kind, why)
