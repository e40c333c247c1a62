"""kubedx in a test cluster: the chart installed by helm, the operator as a process with the chart's own rights.

No kubelet of these clusters runs pods, so the chart's Deployment has no replicas and the operator runs beside the
cluster. It logs in with a token of the ServiceAccount that the chart made, so that a missing right shows.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kubedx.checks import registry
from kubedx.core.inputs import Settings
from kubedx.kube import duration
from tests.cluster.harness import CHECKOUT, Cluster, ClusterError, Manifest, free_ports, wait_for
from tests.cluster.tools import build

CHART = CHECKOUT / "charts" / "kubedx"
NAMESPACE = "kubedx-system"
RELEASE = "kubedx"
KUBEDX = Path(sys.executable).with_name("kubedx")
GRACES = ("graceMinutes", "startingMinutes")


def impatient(longest: timedelta) -> Manifest:
    """The policy's checks with no hold time longer than this and no grace for what is new, so that nobody waits long.

    Args:
        longest: The longest time for which something is held back.

    Returns:
        The `checks` of a policy.
    """
    text = duration.show(longest)
    found: Manifest = {}
    for check in registry():
        holds = {"raiseAfter": check.raise_after, "clearAfter": check.clear_after}
        settings: Manifest = {name: text for name, hold in holds.items() if hold > longest}
        settings |= {name: 0 for name in GRACES if _may_be_zero(check.settings_type, name)}
        if settings:
            found[check.id] = {"settings": settings}
    return found


def _may_be_zero(settings: type[Settings], name: str) -> bool:
    kind = msgspec.inspect.type_info(settings)
    assert isinstance(kind, msgspec.inspect.StructType)
    bounds = {field.encode_name: getattr(field.type, "type", field.type) for field in kind.fields}
    return name in bounds and getattr(bounds[name], "ge", None) == 0


def helm(cluster: Cluster, *args: str, values: Mapping[str, Any] | None = None) -> str:
    """Runs helm against a cluster.

    Args:
        cluster: The cluster.
        args: The arguments after `helm`.
        values: The chart's values, for commands that take some.

    Returns:
        What it printed.

    Raises:
        ClusterError: It failed; the message holds its error output.
    """
    home = cluster.folder / "helm"
    homes = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    command = [str(build.ensure("helm") / "helm"), *args, f"--kubeconfig={cluster.kubeconfig}"]
    if values is not None:
        command.append("--values=-")
    done = subprocess.run(
        command, input=json.dumps(values or {}), env={**os.environ, **homes}, capture_output=True, text=True,
        timeout=180, check=False, cwd=CHECKOUT,
    )  # fmt: skip
    if done.returncode:
        raise ClusterError(f"helm {' '.join(args)} failed: {done.stderr.strip()}")
    return done.stdout


def install(cluster: Cluster, *, release: str = RELEASE, **values: Any) -> None:
    """Installs the chart, or upgrades it, without pods.

    Args:
        cluster: The cluster.
        release: The name of the release.
        values: The chart's values beside the image and the replicas.
    """
    given = {"image": {"repository": "localhost/kubedx"}, "replicas": 0, **values}
    flags = ("--install", "--create-namespace", f"--namespace={NAMESPACE}")
    helm(cluster, "upgrade", release, str(CHART), *flags, values=given)
    for plural in ("clusterdiagnoses", "diagnosispolicies"):
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.kubedx.dev")


def install_among_faults(cluster: Cluster, faults: Iterable[str], *, longest: timedelta) -> None:
    """Installs the chart where something is broken already.

    Args:
        cluster: The cluster.
        faults: Names of files in `examples/faults`.
        longest: The longest time for which the policy holds something back.
    """
    install(cluster, policy={"checks": impatient(longest)})
    for fault in faults:
        cluster.inject(CHECKOUT / "examples" / "faults" / f"{fault}.yaml")


@dataclass
class Operator:
    """The operator as a process.

    Attributes:
        cluster: The cluster it looks at.
        kubeconfig: As whom it logs in.
        port: Where it serves HTTP.
        log: What it logged.
        defaults: The chart's defaults of the policy, which it follows.
        args: Further arguments of `kubedx run`.
    """

    cluster: Cluster
    kubeconfig: Path
    port: int
    log: Path
    defaults: Path
    args: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _log_file: IO[bytes] | None = field(default=None, repr=False)

    def start(self, *, ready: bool = True, timeout: float = 60, detached: bool = False) -> None:
        """Starts the process.

        Args:
            ready: Whether to wait until it has read everything once.
            timeout: Seconds for that.
            detached: Whether it outlives the terminal that this one was started from.
        """
        self._log_file = self.log.open("ab")
        command = [str(KUBEDX), "run", f"--kubeconfig={self.kubeconfig}", f"--listen=127.0.0.1:{self.port}"]
        command += [f"--defaults={self.defaults}", *self.args]
        env = {**os.environ, "KUBEDX_NAMESPACE": NAMESPACE, "KUBEDX_IDENTITY": f"operator-{self.port}"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log_file,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=detached,
        )
        if ready:
            self.wait_until_ready(timeout)

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Waits until it has read everything once.

        Args:
            timeout: Seconds.

        Raises:
            TimeoutError: It has not.
        """
        wait_for(lambda: self.get("/readyz")[0] == 200, timeout=timeout, what=f"ready operator, see {self.log},")

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll() if self._process is not None else None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ends it.

        Args:
            number: The signal to end it with.

        Returns:
            The seconds it took.
        """
        begun = time.monotonic()
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log_file is not None:
            self._log_file.close()
        return time.monotonic() - begun

    def get(self, path: str) -> tuple[int, str]:
        """Asks it for a page; the status 0 stands for no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def series(self, name: str, /, **labels: str) -> list[Sample]:
        """A metric's series that carry these labels."""
        return [
            sample
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of a metric's series that carry these labels."""
        return sum(sample.value for sample in self.series(name, **labels))


def operator(cluster: Cluster, *args: str, release: str = RELEASE) -> Operator:
    """An operator for an installed chart, not started yet.

    Args:
        cluster: The cluster with the chart.
        args: Further arguments of `kubedx run`.
        release: The chart's release, whose ServiceAccount it uses.

    Returns:
        The operator. It follows the chart's defaults of the policy.
    """
    port = free_ports(1)[0]
    # With a token of its own, by which the audit log tells it from others.
    kubeconfig = cluster.kubeconfig_of(release, namespace=NAMESPACE).rename(cluster.folder / f"kubeconfig-{port}")
    config = cluster.get("configmap", release, f"--namespace={NAMESPACE}")
    defaults = cluster.folder / f"policy-{port}.yaml"
    defaults.write_text(config["data"]["policy.yaml"], encoding="utf-8")
    return Operator(cluster, kubeconfig, port, cluster.folder / f"operator-{port}.log", defaults, args)


@contextlib.contextmanager
def at_work(cluster: Cluster, policy: Manifest) -> Iterator[Operator]:
    """Installs the chart and runs an operator, ready at the beginning and gone at the end.

    Args:
        cluster: The cluster.
        policy: The chart's defaults of the policy.

    Yields:
        The operator.
    """
    install(cluster, policy=policy)
    found = operator(cluster)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        print(found.log.read_text(encoding="utf-8"))  # Shown where a test fails.


def diagnoses(cluster: Cluster) -> dict[str, Manifest]:
    """The status of every ClusterDiagnosis, by ``Check Kind/namespace/name``."""
    statuses = [one.get("status", {}) for one in cluster.get("clusterdiagnoses")]
    return {f"{one['check']} {one['subjectText']}": one for one in statuses if one}


@dataclass(frozen=True)
class Promise:
    """What an example of a fault says that kubedx finds.

    Attributes:
        check: The check's id.
        subject: The subject, as the objects show it.
        explains: The checks that it explains; there may be more.
    """

    check: str
    subject: str
    explains: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How `diagnoses` calls it."""
        return f"{self.check} {self.subject}"

    def lacks(self, found: Mapping[str, Manifest]) -> str:
        """What is missing in the diagnoses found; nothing if it is kept."""
        status = found.get(self.key)
        if status is None or status["state"] != "Open":
            return f"no open {self.key}"
        explained = {one["check"] for one in status.get("explains", [])}
        missing = [check for check in self.explains if check not in explained]
        return f"{self.key} does not explain {', '.join(missing)}" if missing else ""


PROMISE = re.compile(r"# kubedx: (?P<check>\w+) (?P<subject>\S+)(?: explains (?P<explains>\w+(?:, \w+)*))?")


def promises(fault: Path) -> list[Promise]:
    """Reads what a file of `examples/faults` says that kubedx finds.

    Args:
        fault: The file.

    Returns:
        A promise for each of its lines that begin with `# kubedx:`.

    Raises:
        ClusterError: There is no such line, or one is written in another way.
    """
    lines = [line for line in fault.read_text(encoding="utf-8").splitlines() if line.startswith("# kubedx:")]
    found = [PROMISE.fullmatch(line) for line in lines]
    if not all(found) or not found:
        raise ClusterError(f"{fault} needs a line such as `# kubedx: NodeNotReady Node/a explains PodNotReady`.")
    return [
        Promise(one["check"], one["subject"], tuple(re.findall(r"\w+", one["explains"] or ""))) for one in found if one
    ]
