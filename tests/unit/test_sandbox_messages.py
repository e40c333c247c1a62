"""What kubelets and container runtimes say about sandboxes, and what becomes of it."""

import pytest

from kubedx.checks._support.sandboxes import SandboxFailure, sandbox_failure

ID = "6f1c9d3a" * 8
RPC = "rpc error: code = Unknown desc = "
SETUP = f'failed to setup network for sandbox "{ID}": '

SAID = [
    ("network", SETUP + 'plugin type="flannel" failed (add): failed to find plugin "flannel" in path [/opt/cni/bin]'),
    (
        "network",
        SETUP + 'plugin type="calico" failed (add): error getting ClusterInformation: connection is '
        "unauthorized: Unauthorized",
    ),
    (
        "network",
        SETUP + 'plugin type="calico" failed (add): stat /var/lib/calico/nodename: no such file or directory: '
        "check that the calico/node container is running and has mounted /var/lib/calico/",
    ),
    (
        "network",
        SETUP + 'plugin type="flannel" failed (add): loadFlannelSubnetEnv failed: open '
        "/run/flannel/subnet.env: no such file or directory",
    ),
    (
        "network",
        SETUP + 'plugin type="host-local" failed (add): failed to allocate for range 0: no IP addresses '
        "available in range set: 10.244.1.1-10.244.1.254",
    ),
    (
        "network",
        SETUP + 'plugin type="cilium-cni" failed (add): unable to connect to Cilium agent: failed to create '
        "cilium agent client after 30.000000 seconds timeout: context deadline exceeded",
    ),
    (
        "network",
        (
            f"failed to create pod network sandbox k8s_a_shop_u_0({ID}): error adding pod shop_a to CNI network "
            '"k8s-pod-network": plugin type="calico" failed (add): Unauthorized'
        ),
    ),
    (
        "network",
        (
            'failed to set up sandbox container "3f" network for pod "a": networkPlugin cni failed to set up pod '
            '"a_shop" network: open /run/flannel/subnet.env: no such file or directory'
        ),
    ),
    (
        "timeout",
        ('failed to create a sandbox for pod "cron-1594372200-lmkcb": operation timeout: context deadline exceeded'),
    ),
    ("timeout", "context deadline exceeded"),
    (
        "security label",
        (
            'failed to start sandbox container for pod "p": Error response from daemon: OCI runtime create '
            'failed: container_linux.go:349: starting container process caused "process_linux.go:449: container '
            "init caused "
            '\\"write /proc/self/attr/keycreate: permission denied\\"": unknown'
        ),
    ),
    (
        "control groups",
        (
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: mkdir "
            "/sys/fs/cgroup/memory/kubepods/burstable/pod1/abc: no space left on device: unknown"
        ),
    ),
    ("control groups", "mkdir /sys/fs/cgroup/memory/kubepods/pod1/abc: cannot allocate memory"),
    ("inotify", "failed to create fsnotify watcher: too many open files"),
    ("inotify", "inotify_add_watch /sys/fs/cgroup/cpu,cpuacct/kubepods: no space left on device"),
    ("snapshot", "failed to create containerd container: parent snapshot sha256:bb does not exist: not found"),
    ("disk full", "mkdir /run/containerd/io.containerd.runtime.v2.task/k8s.io/1: no space left on device"),
    ("disk full", SETUP + "write /var/lib/cni/networks/cbr0/10.244.1.9: no space left on device"),
    (
        "process ids",
        SETUP + 'plugin type="loopback" failed (add): fork/exec /opt/cni/bin/loopback: resource '
        "temporarily unavailable",
    ),
    ("image", 'failed to get sandbox image "registry.k8s.io/pause:3.10": failed to pull image'),
    (
        "runtime",
        (
            'connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: '
            'connect: connection refused"'
        ),
    ),
    ("other", 'no runtime for "kata" is configured'),
    ("other", "something that nobody has seen before"),
]


@pytest.mark.parametrize(("kind", "why"), SAID)
def test_each_reason_has_its_class(kind: str, why: str) -> None:
    found = sandbox_failure(f"Failed to create pod sandbox: {RPC}{why}")

    assert found == SandboxFailure(kind, why.replace(ID, "…"))


def test_a_call_that_took_too_long_has_its_class_from_its_code() -> None:
    said = "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = stopped waiting"

    assert sandbox_failure(said) == SandboxFailure("timeout", "stopped waiting")


def test_what_differs_from_attempt_to_attempt_is_left_out() -> None:
    said = f'{SETUP}plugin type="calico" failed (add): read tcp 10.0.0.5:{{}}->10.96.0.1:443: connection reset by peer'

    assert sandbox_failure(said.format(40001)) == sandbox_failure(said.format(50002))
