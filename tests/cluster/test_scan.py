"""`kubedx scan` sees in a dump, and in the cluster, what the operator sees: the same checks, subjects and symptoms."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from kubedx.checks import registry
from kubedx.core.finding import Profile
from tests.cluster.harness import CHECKOUT, Cluster, Manifest, free_ports, wait_for
from tests.cluster.installation import KUBEDX, NAMESPACE, at_work, diagnoses, impatient, promises

FAULTS = sorted((CHECKOUT / "examples" / "faults").glob("*.yaml"), key=lambda fault: fault.stem != "node-lost")
HOLD = timedelta(seconds=3)

Told = dict[str, frozenset[str]]
"""The checks that each diagnosis explains, by its check and subject."""


@dataclass(frozen=True)
class Scan:
    """What one run of `kubedx scan` gave."""

    code: int
    report: Manifest
    errors: str

    @property
    def told(self) -> Told:
        return {
            f"{one['check']} {subject_text(one['subject'])}": frozenset(part["check"] for part in one["explains"])
            for one in self.report["diagnoses"]
        }

    @property
    def skipped(self) -> set[str]:
        """The checks that could not look at something; what only time can tell is nothing that a scan could look at."""
        return {one["check"] for one in self.report["checks"]["skipped"] if one["missing"] != ["history"]}


@dataclass(frozen=True)
class Site:
    """A cluster with faults, and what the operator says about it.

    Attributes:
        cluster: The cluster.
        policy: The policy that the operator follows.
        healthy: A scan of the cluster before anything was broken.
    """

    cluster: Cluster
    policy: Path
    healthy: Scan

    @property
    def told(self) -> Told:
        return {
            key: frozenset(one["check"] for one in status.get("explains", []))
            for key, status in diagnoses(self.cluster).items()
            if status["state"] == "Open"
        }

    def scan(self, *args: str | Path) -> Scan:
        """Scans with the operator's policy, as of now."""
        return scan(*args, f"--policy={self.policy}", f"--now={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def scan(*args: str | Path) -> Scan:
    run = subprocess.run([KUBEDX, "scan", "--output=json", *args], capture_output=True, text=True, check=False)
    return Scan(run.returncode, json.loads(run.stdout or "{}"), run.stderr)


def subject_text(subject: Manifest) -> str:
    return "/".join(filter(None, (subject["kind"], subject["namespace"], subject["name"])))


def plurals() -> list[str]:
    """The kinds that the checks look at, as kubectl calls them."""
    resources = {view.resource for check in registry() for view in registry().kinds(check)}
    return sorted(f"{one.plural}.{one.group}".rstrip(".") for one in resources)


ONE_OF_EACH = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: example.com/disk
---
apiVersion: batch/v1
kind: Job
metadata: {name: done, namespace: default}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: registry.example/main:1}]
---
apiVersion: v1
kind: ReplicationController
metadata: {name: retired, namespace: default}
spec:
  replicas: 0
  selector: {app: retired}
  template:
    metadata: {labels: {app: retired}}
    spec:
      containers: [{name: main, image: registry.example/main:1}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, namespace: default}
spec:
  defaultBackend: {service: {name: kubernetes, port: {number: 443}}}
---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: disk.example.com}
spec: {attachRequired: false}
"""
"""What the faults do not bring: kubectl does not write of which kinds it found no object, so no scan can know."""


@pytest.fixture(scope="module")
def site(own_cluster: Cluster) -> Iterator[Site]:
    own_cluster.apply(ONE_OF_EACH)
    with at_work(own_cluster, {"checks": impatient(HOLD)}) as running:
        found = Site(own_cluster, running.defaults, scan("--live", f"--kubeconfig={own_cluster.kubeconfig}"))
        for fault in FAULTS:
            own_cluster.inject(fault)
        expected = [promise for fault in FAULTS for promise in promises(fault)]

        def everything() -> bool:
            now = diagnoses(own_cluster)
            assert not [lack for one in expected if (lack := one.lacks(now))]
            return True

        wait_for(everything, timeout=75, what="diagnosis of each fault")
        time.sleep(HOLD.total_seconds() + 3)  # so that nothing is on its way any more
        yield found


@pytest.fixture(scope="module")
def dumps(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dumps of one moment, as people make them, by how they were made."""
    folder = tmp_path_factory.mktemp("dumps")
    for form in ("yaml", "json"):
        text = site.cluster.kubectl("get", ",".join(plurals()), "--all-namespaces", f"--output={form}")
        (folder / f"get.{form}").write_text(text, encoding="utf-8")
    dump = folder / "cluster-info"
    site.cluster.kubectl("cluster-info", "dump", "--all-namespaces", f"--output-directory={dump}", timeout=180)
    return {"get as yaml": folder / "get.yaml", "get as json": folder / "get.json", "cluster-info dump": dump}


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_dump_by_kubectl_get_tells_what_the_operator_tells(form: str, site: Site, dumps: dict[str, Path]) -> None:
    found = site.scan(dumps[f"get as {form}"])

    assert found.code == 1
    assert found.skipped == set()
    assert found.told == site.told


def test_what_kubectl_cluster_info_dump_writes_tells_the_same_as_far_as_it_goes(
    site: Site, dumps: dict[str, Path]
) -> None:
    found = site.scan(dumps["cluster-info dump"])

    assert found.code == 1
    unseen = {key: said for key, said in site.told.items() if key.split()[0] in found.skipped}
    assert found.told.keys() >= site.told.keys() - unseen.keys()
    # What a cause explains that cannot be seen is told by itself.
    assert {key.split()[0] for key in found.told.keys() - site.told.keys()} <= set().union(*unseen.values())
    # Neither storage classes nor autoscalers nor quotas are in such a dump, and that is said.
    assert {"StorageClassMissing", "MetricsServerMissing", "QuotaExceeded"} <= found.skipped
    assert {key.split()[0] for key in found.told} >= {"NodeUnreachable", "NodeCordoned", "PodUnschedulable"}


def test_a_live_scan_tells_what_the_operator_tells(site: Site) -> None:
    found = site.scan("--live", f"--kubeconfig={site.cluster.kubeconfig}")

    assert found.code == 1
    assert found.told == site.told
    assert found.skipped == set()


def test_a_healthy_cluster_ends_with_code_0(site: Site) -> None:
    assert site.healthy.code == 0, site.healthy.errors
    assert site.healthy.told == {}


def test_findings_below_the_wished_severity_end_with_code_0(site: Site) -> None:
    assert site.scan("--live", f"--kubeconfig={site.cluster.kubeconfig}", "--fail-on=never").code == 0


def test_an_api_server_that_is_gone_ends_with_code_3_and_names_it(site: Site, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = yaml.safe_load(site.cluster.kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    (tmp_path / "config").write_text(yaml.safe_dump(config), encoding="utf-8")

    found = scan("--live", f"--kubeconfig={tmp_path / 'config'}")

    assert found.code == 3
    assert f"127.0.0.1:{port}" in found.errors


def test_an_account_without_rights_ends_with_code_4_and_every_check_is_skipped(site: Site) -> None:
    found = scan("--live", f"--kubeconfig={site.cluster.kubeconfig_of('default', namespace=NAMESPACE)}")

    assert found.code == 4
    assert found.told == {}
    # Those of any kind look at every kind that may be read, and there is none.
    enabled = [check for check in registry() if check.profile is not Profile.ADVICE]
    assert found.skipped >= {check.id for check in enabled if not check.any_kind}
