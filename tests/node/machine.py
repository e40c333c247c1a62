"""Real nodes: a kubelet, containerd and runc on this machine, beside the control plane of a test cluster.

A node has its own processes, network and mounts: everything of it runs in namespaces that one process holds, as its
process 1. Whatever ends that process ends the node, so that nothing of a node outlives the run that made it, however
the run ended. What is left then are a folder in the cache and empty cgroups; `remove_orphans` takes them away.

The kubelet writes sysctls of the kernel, which has no namespace for them; it gets files of its own in their places.
Needs root and Linux. Only cgroup v1 was tried.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from tests.cluster.harness import Cluster, ClusterError, Manifest, wait_for
from tests.cluster.tools import build
from tests.node import images, outside

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
CGROUPS = Path("/sys/fs/cgroup")
SYSCTLS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)  # fmt: skip
"""What the kubelet sets at its start (`pkg/kubelet/cm/container_manager_linux.go`, setupKernelTunables)."""

HOST, NODE = "10.213.{number}.1", "10.213.{number}.2"
PODS = "10.214.{number}.0/24"
DYING_WITH_US = ("setpriv", "--pdeathsig=KILL")

KUBELET: Manifest = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    # The machine of the tests may be short of everything; the tests say when it counts.
    "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi"},
    "evictionPressureTransitionPeriod": "15s",
    "failCgroupV1": False,
    "failSwapOn": False,
    "imageGCHighThresholdPercent": 100,
    "makeIPTablesUtilChains": False,
    "nodeStatusReportFrequency": "5s",
    "nodeStatusUpdateFrequency": "2s",
    "registerWithTaints": [],
    "resolvConf": "/etc/resolv.conf",
    "syncFrequency": "10s",
}

CONTAINERD = """
version = 3
root = "{folder}/containerd"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "native"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{image}"
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE no sandbox starts otherwise.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{programs}"]
  conf_dir = "{folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
"""


class NodeError(ClusterError):
    """A node could not be made; the message says why."""


def lacks() -> str:
    """What this machine lacks for a node, empty if nothing."""
    if sys.platform != "linux":
        return "A kubelet needs Linux."
    if os.geteuid() != 0:
        return "A kubelet needs root."
    missing = [
        program for program in ("unshare", "nsenter", "setpriv", "ip", "mount", "bash") if not shutil.which(program)
    ]
    return f"Missing: {', '.join(missing)} (Debian's util-linux and iproute2)." if missing else ""


@dataclass
class Machine:
    """A node that runs.

    Attributes:
        cluster: The cluster that it belongs to.
        name: The node's name.
        folder: Its files: configurations, logs, images, volumes.
        number: Which of the addresses it has; no two on this machine have one.
    """

    cluster: Cluster
    name: str
    folder: Path
    number: int
    _lock: IO[str] = field(repr=False)
    _settings: Manifest = field(default_factory=dict, repr=False)
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, repr=False)

    # --- what tests do to it ---

    def ctr(self, *args: str) -> str:
        """Runs containerd's own command line program; returns what it printed."""
        return self._inside(str(build.ensure("node") / "ctr"), "--namespace=k8s.io", *args)

    def load(self, archive: Path) -> None:
        """Gives the node an image, from a file of `tests.node.images`."""
        self.ctr("images", "import", str(archive))

    def restart_kubelet(self, **settings: Any) -> None:
        """Ends the kubelet and starts it again, with these settings beside `KUBELET`."""
        self.stop_kubelet()
        self.start_kubelet(**settings)

    def stop_kubelet(self) -> None:
        """Ends the kubelet; its pods run on."""
        pid = self._pid("kubelet")
        _end(self._started.pop("kubelet"), pid)

    def start_kubelet(self, **settings: Any) -> None:
        """Starts the kubelet, with these settings beside `KUBELET`."""
        self._settings = {
            **KUBELET,
            "cgroupRoot": f"/{self.folder.name}",
            "podLogsDir": f"{self.folder}/pods",
            **settings,
        }
        self._settings["volumePluginDir"] = f"{self.folder}/plugins"
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(self._settings), encoding="utf-8")
        self._start(
            "kubelet",
            str(build.ensure("kubernetes") / "kubelet"),
            f"--config={self.folder}/kubelet.yaml",
            f"--kubeconfig={self.folder}/kubeconfig",
            f"--root-dir={self.folder}/kubelet",
            f"--cert-dir={self.folder}/certificates",
            f"--hostname-override={self.name}",
            f"--node-ip={NODE.format(number=self.number)}",
            "--node-labels=kubedx.test/real=true",
        )

    def freeze_runtime(self) -> None:
        """Lets containerd answer nothing any more."""
        os.kill(self._pid("containerd"), signal.SIGSTOP)

    def thaw_runtime(self) -> None:
        """Lets containerd go on."""
        os.kill(self._pid("containerd"), signal.SIGCONT)

    def remove_network(self) -> None:
        """Takes the configuration of the network plugin away, as if nobody had installed one."""
        (self.folder / "cni" / "10-bridge.conflist").unlink()

    def configure_network(self) -> None:
        """Writes the configuration of the network plugin, which containerd reads by itself."""
        ipam = {"type": "host-local", "ranges": [[{"subnet": PODS.format(number=self.number)}]]}
        ipam |= {"routes": [{"dst": "0.0.0.0/0"}], "dataDir": f"{self.folder}/addresses"}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "ipam": ipam}
        plugins = [bridge, {"type": "loopback"}]
        config = {"cniVersion": "1.0.0", "name": self.folder.name, "plugins": plugins}
        (self.folder / "cni" / "10-bridge.conflist").write_text(json.dumps(config), encoding="utf-8")

    def log(self, program: str) -> str:
        """What `containerd`, `kubelet` or `outside` logged."""
        return (self.folder / f"{program}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """Ends the node and removes everything of it, but for its objects in the cluster."""
        for started in reversed(self._started.values()):
            started.kill()
        for started in self._started.values():
            started.wait()
        _remove(self.folder)
        with contextlib.suppress(NodeError):  # It goes with the node's network, unless connections keep that alive.
            _run("ip", "link", "delete", self._link)
        self._lock.close()

    # --- how it is made ---

    def start(self, **settings: Any) -> None:
        """Starts everything, and waits until the node is Ready.

        Args:
            settings: Settings of the kubelet beside `KUBELET`.

        Raises:
            NodeError: It is not.
        """
        for part in ("cni", "containerd", "pods", "kubelet", "var", "var.work", "sysctls"):
            (self.folder / part).mkdir()
        images.busybox(build.ensure("busybox") / "busybox", self.folder / "busybox.tar")
        self._hold()
        self._connect()
        self.configure_network()
        self._write_kubeconfig()
        self._start_runtime()
        self.start_kubelet(**settings)
        wait_for(self._ready, timeout=90, what=f"ready node {self.name}, see {self.folder}/kubelet.log,", every=0.5)

    def _ready(self) -> bool:
        if self._started["kubelet"].poll() is not None:
            raise NodeError(f"The kubelet of {self.name} ended: {self.log('kubelet')[-3000:]}")
        conditions = self.cluster.get("node", self.name)["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _hold(self) -> None:
        """Starts the process that is the node, and gives it mounts of its own."""
        cpuset = CGROUPS / "cpuset"
        overlay = f"lowerdir=/var,upperdir={self.folder}/var,workdir={self.folder}/var.work"
        for name in SYSCTLS:
            copy = self.folder / "sysctls" / name.replace("/", ".")
            copy.write_bytes(Path("/proc/sys", name).read_bytes())
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="ascii")
        script = [
            "set -e",
            f"for group in {CGROUPS}/*/; do mkdir -p $group/{self.folder.name}; done",
            # The memory and CPUs that a group of this kind may use are not inherited.
            *(f"cat {cpuset}/{name} >{cpuset}/{self.folder.name}/{name}" for name in ("cpuset.cpus", "cpuset.mems")),
            "mount --make-rshared /",
            "mount -t tmpfs tmpfs /run",
            f"mount -t overlay overlay -o {overlay} /var",
            f"mount --bind {self.folder}/resolv.conf $(readlink -f /etc/resolv.conf)",
            *(f"mount --bind {self.folder}/sysctls/{name.replace('/', '.')} /proc/sys/{name}" for name in SYSCTLS),
            "ip link set lo up",
            f"ip address add {outside.API[0]}/32 dev lo",
            "echo held",
            # Process 1 takes the place of the parents of all that end before their children.
            "while sleep 3600; do :; done",
        ]
        (self.folder / "hold.sh").write_text("\n".join(script), encoding="ascii")
        spaces = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private")
        self._run("hold", *DYING_WITH_US, "unshare", *spaces, "bash", f"{self.folder}/hold.sh")
        wait_for(self._says("hold", "held"), timeout=10, what=f"held node, see {self.folder}/hold.log,", every=0.05)

    def _says(self, program: str, word: str) -> Any:
        def said() -> bool:
            if self._started[program].poll() is not None:
                raise NodeError(f"{program} of {self.name} ended: {self.log(program)[-3000:]}")
            return word in self.log(program)

        return said

    def _connect(self) -> None:
        """Connects the node's network with the machine's, so that the API server reaches the kubelet and the pods."""
        host, node, pods = (one.format(number=self.number) for one in (HOST, NODE, PODS))
        mine = self._link
        for command in (
            f"ip link add {mine} type veth peer name eth0 netns {self._pid('hold')}",
            f"ip address add {host}/30 dev {mine}",
            f"ip link set {mine} up",
            f"ip route add {pods} via {node} onlink dev {mine}",
        ):
            _run(*command.split())
        for command in (
            f"ip address add {node}/30 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {host}",
        ):
            self._inside(*command.split())
        config = yaml.safe_load(self.cluster.kubeconfig.read_text(encoding="utf-8"))
        port = config["clusters"][0]["cluster"]["server"].rpartition(":")[2]
        self._run("outside", *DYING_WITH_US, sys.executable, "-m", "tests.node.outside", str(self._pid("hold")), port)
        wait_for(self._says("outside", "listening"), timeout=10, what="way to the API server", every=0.05)

    @property
    def _link(self) -> str:
        return f"kubedx{self.number}"

    def _write_kubeconfig(self) -> None:
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
        config["clusters"][0]["cluster"] |= {"server": f"https://{outside.API[0]}:443", "tls-server-name": "127.0.0.1"}
        (self.folder / "kubeconfig").touch(mode=0o600)
        (self.folder / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")

    def _start_runtime(self) -> None:
        programs, runc = build.ensure("node"), build.ensure("runc") / "runc"
        text = CONTAINERD.format(folder=self.folder, image=images.BUSYBOX, programs=programs, runc=runc)
        (self.folder / "containerd.toml").write_text(text, encoding="utf-8")
        paths = {"PATH": f"{programs}:{runc.parent}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(runc.parent)}
        self._start("containerd", str(programs / "containerd"), f"--config={self.folder}/containerd.toml", env=paths)
        wait_for(self._has_image, timeout=60, what=f"container runtime, see {self.folder}/containerd.log,", every=0.5)

    def _has_image(self) -> bool:
        self.load(self.folder / "busybox.tar")
        return images.BUSYBOX in self.ctr("images", "list", "--quiet")

    # --- processes ---

    def _start(self, program: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        self._run(program, *self._entering(), *command, env=env)
        wait_for(lambda: self._pid(program), timeout=10, what=f"running {program}", every=0.02)

    def _run(self, program: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        with (self.folder / f"{program}.log").open("ab") as log:
            self._started[program] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=CHECKOUT,
                env={**os.environ, **(env or {})},
            )  # fmt: skip

    def _inside(self, *command: str) -> str:
        return _run(*self._entering(), *command)

    def _entering(self) -> list[str]:
        return ["nsenter", f"--target={self._pid('hold')}", "--mount", "--net", "--pid", "--"]

    def _pid(self, program: str) -> int:
        """The process itself, which is the child of the one that entered the namespaces."""
        parent = self._started[program].pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
        return int(children[0]) if children else 0


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NodeError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _end(started: subprocess.Popen[bytes], pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    try:
        started.wait(10)
    except subprocess.TimeoutExpired:
        os.kill(pid, signal.SIGKILL)
        started.wait()


# --- what is left of nodes ---


def join(cluster: Cluster, name: str, **settings: Any) -> Machine:
    """Makes a node and waits until it is Ready.

    Args:
        cluster: The cluster to join.
        name: The node's name.
        settings: Settings of the kubelet beside `KUBELET`.

    Returns:
        The node.

    Raises:
        NodeError: It cannot be made.
        ToolsUnavailable: Its programs cannot be had on this machine.
    """
    if why := lacks():
        raise NodeError(why)
    remove_orphans()
    machine = _claim(cluster, name)
    try:
        machine.start(**settings)
    except BaseException:
        machine.stop()
        raise
    return machine


def remove_orphans() -> list[str]:
    """Removes what is left of nodes whose run ended without doing so; returns their names."""
    return [folder.name for folder in sorted(_nodes().iterdir()) if folder.is_dir() and _remove_if_orphan(folder)]


def traces() -> list[str]:
    """What there is of any node on this machine: folders, cgroups, links. Empty when all are gone."""
    links = [path.name for path in Path("/sys/class/net").glob("kubedx*")]
    groups = [str(path) for path in CGROUPS.glob("*/kubedx-node-*")]
    return [*(folder.name for folder in _nodes().iterdir() if folder.is_dir()), *groups, *links]


def _nodes() -> Path:
    folder = build.cache_root() / "nodes"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _claim(cluster: Cluster, name: str) -> Machine:
    """A folder and a number that no other node has, locked for as long as this process lives."""
    for number in range(1, 200):
        lock = (_nodes() / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        folder = _nodes() / f"kubedx-node-{number}-{secrets.token_hex(2)}"
        folder.mkdir()
        return Machine(cluster, name, folder, number, lock)
    raise NodeError("There are 199 nodes on this machine already.")


def _remove_if_orphan(folder: Path) -> bool:
    number = folder.name.split("-")[2]
    with (_nodes() / f"{number}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        _remove(folder)
        return True


def _remove(folder: Path) -> None:
    """Removes the cgroups and the folder of a node whose processes are gone, or are just going."""
    for controller in CGROUPS.iterdir():
        top = controller / folder.name
        if top.is_dir():
            wait_for(lambda top=top: _rmdir_all(top), timeout=20, what=f"empty {top}", every=0.1)
    shutil.rmtree(folder)


def _rmdir_all(top: Path) -> bool:
    for group, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):  # a process of it is still ending
            Path(group).rmdir()
    return not top.exists()


@contextlib.contextmanager
def several(cluster: Cluster, *names: str) -> Iterator[dict[str, Machine]]:
    """Makes nodes, and takes them away at the end, out of the cluster too."""
    found: dict[str, Machine] = {}
    try:
        for name in names:
            found[name] = join(cluster, name)
        yield found
    finally:
        for machine in found.values():
            machine.stop()
            cluster.kubectl("delete", "node", machine.name, "--ignore-not-found")
