"""Real Kubernetes clusters without machines behind them: for tests, the demo and the benchmarks.

The control plane is real (etcd, API server, controller-manager, scheduler, started by kwokctl in seconds), the nodes
are played by KWOK: a pod bound to one of them becomes Running, and nothing runs. `KUBEDX_RUNTIME=kind` puts the same
into a container where a Docker engine answers.

A cluster lives in a folder of its own in the cache, and belongs to the process that started it: that process holds a
lock on the folder, which the kernel drops however the process ends. `remove_orphans` takes every unlocked cluster
away, so a run that was killed is tidied up by the next one. A kept cluster (the demo) belongs to its checkout.
"""

import base64
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import yaml

from tests.cluster.tools import build

CHECKOUT = Path(__file__).resolve().parents[2]
STAGES = Path(__file__).with_name("stages.yaml")
SERVICE_ADDRESS = "10.0.0.1"
"""Where pods look for the API server: the first address of kwokctl's Services."""
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
# Below the range that the kernel gives to outgoing connections, which could otherwise take a port in between.
PORTS = range(20000, 32000)

T = TypeVar("T")
Manifest = dict[str, Any]


class ClusterError(Exception):
    """Something about a test cluster did not work; the message says what, and what the program behind it said."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        name: Unique on this machine.
        runtime: `binary` or `kind`.
        folder: Everything that belongs to it: kubeconfig, logs, audit log, the state of kwokctl.
    """

    name: str
    runtime: str
    folder: Path
    _lock: IO[str] | None = field(default=None, repr=False, compare=False)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of a cluster administrator."""
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        """The folder with the logs of the control plane and `audit.log`."""
        return self.folder / "kwok" / "clusters" / self.name / "logs"

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Runs kubectl as administrator.

        Args:
            args: The arguments after `kubectl`.
            stdin: What it reads.
            timeout: Seconds after which it is given up.

        Returns:
            Its standard output.

        Raises:
            ClusterError: It failed; the message holds its error output.
        """
        return _run(self.kubectl_command(*args), stdin=stdin, timeout=timeout).stdout

    def kubectl_command(self, *args: str) -> list[str]:
        """The command by which `kubectl` is run, for one that does not end by itself."""
        return [str(_program("kubectl")), f"--kubeconfig={self.kubeconfig}", *args]

    def get(self, *args: str) -> Any:
        """What `kubectl get ... -o json` answers: the items of a list, or the one object."""
        answer = json.loads(self.kubectl("get", *args, "-o", "json"))
        return answer["items"] if answer["kind"].endswith("List") and "items" in answer else answer

    def apply(self, manifests: str | Path | Manifest | list[Manifest], *, namespace: str | None = None) -> str:
        """Applies a file, YAML text, or objects.

        Args:
            manifests: What to apply.
            namespace: For the objects that name none.

        Returns:
            What kubectl said.
        """
        if isinstance(manifests, Path):
            text = manifests.read_text(encoding="utf-8")
        elif isinstance(manifests, str):
            text = manifests
        else:
            text = yaml.safe_dump_all(manifests if isinstance(manifests, list) else [manifests])
        where = ["--namespace", namespace] if namespace else []
        return self.kubectl("apply", *where, "-f", "-", stdin=text)

    def inject(self, fault: Path) -> None:
        """Makes a fault, or mends it, from a file of `examples/faults`.

        Applies the file, then runs its comment lines that begin with `# then: kubectl` in the checkout, in their
        order. A file with nothing but such lines is fine.

        Args:
            fault: The file.
        """
        text = fault.read_text(encoding="utf-8")
        if any(document for document in yaml.safe_load_all(text)):
            self.apply(text)
        for line in text.splitlines():
            if line.startswith("# then: kubectl "):
                self.kubectl(*shlex.split(line.removeprefix("# then: kubectl ")))

    def add_nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        zone: str = "zone-a",
        labels: Mapping[str, str] | None = None,
        cpu: str = "8",
        memory: str = "32Gi",
        pods: int = 110,
    ) -> list[str]:
        """Adds nodes that KWOK plays, and waits until they are Ready.

        Args:
            count: How many; they are called `<prefix>-<zone>-<number>`.
            prefix: How their names begin.
            zone: The value of `topology.kubernetes.io/zone`.
            labels: Further labels.
            cpu: Capacity in cores.
            memory: Capacity in bytes, as a quantity.
            pods: How many pods fit on one.

        Returns:
            Their names.
        """
        names = [f"{prefix}-{zone}-{number}" for number in range(count)]
        resources = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "100Gi"}
        self.apply([_fake_node(name, zone, resources, labels or {}) for name in names])
        for start in range(0, count, 500):  # a command line has its limits
            chunk = [f"node/{name}" for name in names[start : start + 500]]
            self.kubectl("wait", "--for=condition=Ready", "--timeout=120s", *chunk, timeout=130)
        return names

    def stop_heartbeats(self, node: str) -> None:
        """Makes a played node look lost: nobody renews its Lease or its status any more.

        KWOK gives a node up whose Lease somebody else holds. The controller-manager then finds it silent after the
        node monitor grace period, as it would any other.

        Args:
            node: Its name.
        """
        held = {"holderIdentity": "lost", "leaseDurationSeconds": 86400, "renewTime": _micro_time(time.time())}
        self._patch_lease(node, held)

    def resume_heartbeats(self, node: str) -> None:
        """Lets KWOK take a node back that `stop_heartbeats` took away.

        Args:
            node: Its name.
        """
        self._patch_lease(node, {"leaseDurationSeconds": 1, "renewTime": _micro_time(time.time() - 3600)})

    def _patch_lease(self, node: str, spec: Manifest) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl("patch", "lease", node, "--namespace=kube-node-lease", "--type=merge", f"--patch={patch}")

    def kubeconfig_of(self, service_account: str, *, namespace: str) -> Path:
        """A kubeconfig that is allowed what a ServiceAccount is, so that missing rights show.

        Args:
            service_account: Its name.
            namespace: Its namespace.

        Returns:
            The file; its token is valid for a day.
        """
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
        user = config["users"][0]
        token = self.kubectl("create", "token", service_account, f"--namespace={namespace}", "--duration=24h")
        user["user"] = {"token": token.strip()}
        path = self.folder / f"kubeconfig-{namespace}-{service_account}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def audit(self) -> Iterator[Manifest]:
        """Every request the API server has answered so far, oldest first, as `audit.k8s.io/v1` events."""
        with (self.logs / "audit.log").open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # the last one may still be on its way
                    yield json.loads(line)

    def kill(self, component: str) -> None:
        """Ends a component of the control plane as a crash would; `revive` starts it again.

        Args:
            component: Its name, such as `kube-apiserver`.
        """
        process = Path("/proc", str(self._signal(component, signal.SIGKILL)))
        wait_for(lambda: not process.exists(), timeout=10, what=f"end of {component}", every=0.02)

    @contextlib.contextmanager
    def paused(self, component: str) -> Iterator[None]:
        """Lets a component do nothing for a while, as a machine without CPU or disk would.

        Args:
            component: Its name, such as `etcd`.
        """
        pid = self._signal(component, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # the cluster may be gone by now
                os.kill(pid, signal.SIGCONT)

    def halt(self) -> None:
        """Ends all components, with a warning; `revive` starts them again."""
        _kwokctl(self.folder, "stop", "cluster", f"--name={self.name}")

    def revive(self) -> None:
        """Starts the components that do not run and waits until the API server is ready."""
        _kwokctl(self.folder, "start", "cluster", f"--name={self.name}")

    def _signal(self, component: str, number: signal.Signals) -> int:
        if self.runtime != "binary":
            raise ClusterError(f"The processes of a cluster of the runtime `{self.runtime}` are out of reach.")
        pid = int((self.logs.parent / "pids" / f"{component}.pid").read_text(encoding="ascii"))
        os.kill(pid, number)
        return pid

    def etcd(self, call: str, **body: object) -> Manifest:
        """Asks etcd itself, past the API server, as `etcdctl` does (etcd's JSON gateway).

        Args:
            call: What is called, such as `kv/range`.
            body: What is sent; keys and values as text.

        Returns:
            The answer.
        """
        coded = {
            name: base64.b64encode(one.encode()).decode() if isinstance(one, str) else one for name, one in body.items()
        }
        url = f"http://127.0.0.1:{self._etcd_port}/v3/{call}"
        with urllib.request.urlopen(url, data=json.dumps(coded).encode(), timeout=10) as answer:
            found: Manifest = json.load(answer)
            return found

    def compact(self) -> int:
        """Makes etcd forget its whole history, so that nobody can go on watching from an older version.

        Returns:
            The resourceVersion that is the oldest now.
        """
        for _ in range(2):  # Whoever has seen the newest version of any object is still one version behind.
            self.etcd("kv/put", key="/kubedx-test/compacted", value="")
        newest = int(self.etcd("kv/range", key="/kubedx-test/compacted")["header"]["revision"])
        self.etcd("kv/compaction", revision=newest, physical=True)
        return newest

    @property
    def _etcd_port(self) -> int:
        written = next(yaml.safe_load_all((self.logs.parent / "kwok.yaml").read_text(encoding="utf-8")))
        (etcd,) = [component for component in written["components"] if component["name"] == "etcd"]
        return next(int(port["port"]) for port in etcd["ports"] if port["name"] == "http")

    def stop(self) -> None:
        """Ends the cluster and removes everything of it."""
        _delete(self.folder)
        if self._lock:
            self._lock.close()


def start(
    *,
    name: str | None = None,
    runtime: str | None = None,
    keep: bool = False,
    node_grace_seconds: int = 40,
    extra_args: Mapping[str, Mapping[str, str]] | None = None,
    wait_seconds: int = 180,
) -> Cluster:
    """Starts a cluster without nodes; takes some seconds once the tools are built.

    Args:
        name: Unique on this machine; made up if not given.
        runtime: `binary` or `kind`; `$KUBEDX_RUNTIME` if not given, else `binary`.
        keep: Whether it outlives this process, until somebody stops it or its checkout is gone.
        node_grace_seconds: How long a silent node counts as Ready: the controller-manager's
            `--node-monitor-grace-period`, to which the heartbeats of the played nodes are fitted.
        extra_args: Further flags, per component (`kube-apiserver`, `kube-controller-manager`, `kube-scheduler`,
            `kwok-controller`, `etcd`), without their leading dashes.
        wait_seconds: How long it may take to become ready.

    Returns:
        The cluster.

    Raises:
        ClusterError: It did not start, or there is one of that name.
        ToolsUnavailable: Its programs cannot be had on this machine.
    """
    runtime = runtime or os.environ.get("KUBEDX_RUNTIME") or "binary"
    programs = _programs(runtime)
    remove_orphans()
    name = name or f"kubedx-{secrets.token_hex(4)}"
    folder = _clusters() / name
    lock = _claim(folder)
    try:
        # The runtime is written down first: whoever finds a half-started cluster can then end it.
        _write_record(folder, runtime=runtime, kept=False)
        config = yaml.safe_dump(_config(name, folder, runtime, node_grace_seconds, extra_args or {}))
        (folder / "config.yaml").write_text(f"{config}---\n{STAGES.read_text(encoding='utf-8')}", encoding="utf-8")
        (folder / "audit.yaml").write_text(yaml.safe_dump(AUDIT_POLICY), encoding="utf-8")
        _create(folder, wait_seconds, _create_flags(name, folder, runtime, programs))
    except BaseException:
        with contextlib.suppress(ClusterError):
            _delete(folder)
        lock.close()
        raise
    if keep:
        _write_record(folder, runtime=runtime, kept=True)
        lock.close()
        return Cluster(name, runtime, folder)
    return Cluster(name, runtime, folder, lock)


def list_clusters() -> list[Cluster]:
    """The clusters of this machine's cache, whoever started them, by name."""
    return [
        Cluster(folder.name, record["runtime"], folder)
        for folder in sorted(_clusters().iterdir())
        if (record := _read_record(folder))
    ]


def find(name: str) -> Cluster | None:
    """The cluster of that name, if there is one."""
    return next((cluster for cluster in list_clusters() if cluster.name == name), None)


def checkout_name() -> str:
    """The name of the one kept cluster of this checkout: the same for every command run in it."""
    return f"kubedx-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]}"


def remove_orphans() -> list[str]:
    """Ends the clusters that nobody owns any more.

    Nobody owns a cluster whose process is gone, a kept one whose checkout is gone, and one from before the machine
    was started: the process numbers in its state may mean anything now, so none of them is touched.

    Returns:
        The names of the clusters that were removed.
    """
    with _no_others():
        return [folder.name for folder in sorted(_clusters().iterdir()) if _remove_if_orphan(folder)]


def _remove_if_orphan(folder: Path) -> bool:
    lock = _try_lock(folder)
    if lock is None:
        return False
    with lock:
        record = _read_record(folder)
        this_boot = record.get("boot") == _boot()
        if record.get("kept") and this_boot and Path(record["checkout"]).is_dir():
            return False
        if not this_boot:
            shutil.rmtree(folder / "kwok" / "clusters" / folder.name / "pids", ignore_errors=True)
        _delete(folder)
        return True


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback interface on which nobody listens now.

    Args:
        count: How many; all different.

    Returns:
        The ports, in random order, so that runs side by side rarely choose the same.
    """
    chosen: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise ClusterError(f"There are no {count} free ports between {PORTS[0]} and {PORTS[-1]} on this machine.")


def wait_for(condition: Callable[[], T], *, timeout: float, what: str, every: float = 0.25) -> T:
    """Waits until something is true.

    Args:
        condition: Asked again and again; an `AssertionError` or `ClusterError` counts as not yet.
        timeout: Seconds.
        what: What is waited for, as the end of "There was no ...".
        every: Seconds between two questions.

    Returns:
        The first answer that is true.

    Raises:
        TimeoutError: It did not become true; the message holds the last answer.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except (AssertionError, ClusterError) as problem:
            last = problem
        if time.monotonic() > deadline:
            raise TimeoutError(f"There was no {what} within {timeout:g} s; last seen: {last!r}")
        time.sleep(every)


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # The control plane's own traffic would hide what a test looks for.
        {"level": "None", "users": ["system:apiserver", "system:kube-scheduler", "system:kube-controller-manager"]},
        {"level": "Metadata"},
    ],
}


def _config(
    name: str, folder: Path, runtime: str, node_grace_seconds: int, extra_args: Mapping[str, Mapping[str, str]]
) -> Manifest:
    """The KwokctlConfiguration; flags go through `componentsPatches`, as kwokctl 0.8 drops them elsewhere."""
    args: dict[str, dict[str, str]] = {
        "kwok-controller": {
            "manage-all-nodes": "false",
            "manage-nodes-with-annotation-selector": "=".join(next(iter(FAKE_NODE.items()))),
            "node-lease-duration-seconds": str(node_grace_seconds),  # renewed four times in that time
            "cidr": "10.128.0.0/9",  # its own choice overlaps the Services
        },
        "kube-controller-manager": {"node-monitor-grace-period": f"{node_grace_seconds}s"},
        "kube-apiserver": {},
    }
    options: Manifest = {}
    if runtime == "binary":
        ports = ("kubeApiserver", "etcd", "etcdPeer", "kubeControllerManager", "kubeScheduler", "kwokController")
        options = {f"{port}Port": number for port, number in zip(ports, free_ports(len(ports)), strict=True)}
        options["bindAddress"] = "127.0.0.1"
        options["kubeApiserverCertSANs"] = [SERVICE_ADDRESS]
        args["kube-apiserver"] = {
            # What kubeadm sets, and kwokctl does not: aggregated APIs, authenticated by the proxy's certificate.
            "enable-aggregator-routing": "true",
            "requestheader-client-ca-file": str(folder / "kwok" / "clusters" / name / "pki" / "ca.crt"),
            "requestheader-allowed-names": "kwok-admin",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        }
    for component, flags in extra_args.items():
        args.setdefault(component, {}).update(flags)
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": [
            {"name": component, "extraArgs": [{"key": key, "value": value} for key, value in flags.items()]}
            for component, flags in args.items()
            if flags
        ],
    }


def _create_flags(name: str, folder: Path, runtime: str, programs: Mapping[str, Path]) -> list[str]:
    flags = [
        f"--name={name}",
        f"--runtime={runtime}",
        f"--config={folder / 'config.yaml'}",
        f"--kubeconfig={folder / 'kubeconfig'}",
        f"--kube-audit-policy={folder / 'audit.yaml'}",
        "--heartbeat-factor=1",
    ]
    if runtime == "kind":
        return [*flags, f"--kind-binary={programs['kind']}"]
    return [
        *flags,
        f"--kwok-controller-binary={programs['kwok']}",
        *(f"--{program}-binary={programs[program]}" for program in COMPONENTS),
    ]


COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def _programs(runtime: str) -> dict[str, Path]:
    """The programs that a runtime needs, built if need be."""
    if runtime == "binary":
        return {program: _program(program) for program in (*COMPONENTS, "kwok")}
    if runtime != "kind":
        raise ClusterError(f"KUBEDX_RUNTIME is {runtime!r}; it can be `binary` or `kind`.")
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode != 0:
        raise ClusterError("The runtime `kind` needs a Docker engine, and `docker info` gets no answer from one.")
    return {"kind": build.ensure("kind") / "kind"}


@functools.cache  # finding the folder asks Go for its version, which takes longer than most of what is run
def _program(program: str) -> Path:
    return build.ensure(build.set_of(program)) / program


def _kwokctl(folder: Path, *args: str, timeout: float = 120) -> str:
    environment = {**os.environ, "KWOK_WORKDIR": str(folder / "kwok")}
    run = _run([str(_program("kwokctl")), *args], environment=environment, timeout=timeout)
    return run.stdout + run.stderr


def _create(folder: Path, wait_seconds: int, flags: list[str]) -> None:
    try:
        said = _kwokctl(folder, "create", "cluster", f"--wait={wait_seconds}s", *flags, timeout=wait_seconds + 10)
    except ClusterError as problem:  # it may wait for ever for a component that ended at once
        raise ClusterError(f"{problem}\n{_log_tails(folder)}") from problem
    if "Failed to wait for cluster" in said:  # its exit code is 0 all the same
        raise ClusterError(f"The cluster was not ready within {wait_seconds} s.\n{_log_tails(folder)}")


def _log_tails(folder: Path) -> str:
    """The last line of each component's log: before long, one of them says why a cluster did not start."""
    tails = []
    for log in sorted((folder / "kwok" / "clusters" / folder.name / "logs").glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines and log.name != "audit.log":
            tails.append(f"{log.stem}: {lines[-1][:500]}")
    return "\n".join(tails)


def _run(
    command: list[str], *, stdin: str | None = None, environment: Mapping[str, str] | None = None, timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        run = subprocess.run(
            command,
            cwd=CHECKOUT,
            input=stdin,
            env=environment,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise ClusterError(f"`{_shown(command)}` did not end within {timeout:g} s.") from problem
    if run.returncode != 0:
        raise ClusterError(f"`{_shown(command)}` failed: {(run.stderr or run.stdout).strip()[-4000:]}")
    return run


def _shown(command: list[str]) -> str:
    return shlex.join([Path(command[0]).name, *command[1:]])


def _clusters() -> Path:
    folder = build.cache_root() / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _no_others() -> Iterator[None]:
    """Keeps a folder that was made but is not locked yet from being taken for an orphan."""
    with (_clusters().parent / "clusters.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _claim(folder: Path) -> IO[str]:
    with _no_others():
        try:
            folder.mkdir()
        except FileExistsError as problem:
            raise ClusterError(f"There is a cluster named {folder.name} already: {folder}") from problem
        lock = _try_lock(folder)
    assert lock is not None
    return lock


def _try_lock(folder: Path) -> IO[str] | None:
    lock = (folder / "owner.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _write_record(folder: Path, *, runtime: str, kept: bool) -> None:
    record = {"runtime": runtime, "kept": kept, "checkout": str(CHECKOUT), "pid": os.getpid(), "boot": _boot()}
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


def _read_record(folder: Path) -> Manifest:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        record: Manifest = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        return record
    return {}


def _boot() -> str:
    """Tells one run of the machine from the next."""
    with contextlib.suppress(FileNotFoundError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return subprocess.run(["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=False).stdout.strip()


def _delete(folder: Path) -> None:
    if (folder / "kwok" / "clusters" / folder.name).is_dir():
        _kwokctl(folder, "delete", "cluster", f"--name={folder.name}", f"--kubeconfig={folder / 'kubeconfig'}")
    shutil.rmtree(folder, ignore_errors=True)


def _fake_node(name: str, zone: str, resources: Mapping[str, str], labels: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": FAKE_NODE,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": "region-1",
                "topology.kubernetes.io/zone": zone,
                **labels,
            },
        },
        "status": {"allocatable": dict(resources), "capacity": dict(resources)},
    }


def _micro_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(seconds))
