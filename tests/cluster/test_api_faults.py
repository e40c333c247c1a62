"""A real API server fails while the operator runs: it keeps what it found, says that it is blind, and sees again.

One operator lives through all of it and is never started again. It logs in as a pod does: with a token in a file and
a CA in a file, and the API server shows it a certificate of its own (by SNI), so that both can be replaced.
"""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from kubedx.watch.client import Api, Login
from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.footprint import requests
from tests.cluster.harness import Cluster, ClusterError, Manifest, wait_for
from tests.cluster.installation import NAMESPACE, RELEASE, Operator, diagnoses, install_among_faults, operator

FAULTS = ("storage-class-missing", "hpa-without-metrics-api")
FOUND = {"StorageClassMissing StorageClass/fast", "MetricsServerMissing APIService/v1beta1.metrics.k8s.io"}
SYMPTOMS_IN = "-orders-"
"""In the names of diagnoses about the claim and the pod that wait for the class that is missing."""

HOLD = timedelta(seconds=3)
SERVER_NAME = "kubedx.test"

BLIND_AFTER = 60.0 + 30.0 + 5.0
"""Seconds until a kind that nobody answers for is called stale: a minute, and the longest pause between two tries."""

RECOVERY = 30.0 + 30.0 * 1.2 + 15.0
"""Seconds until all is seen again: the longest pause, a refusal by a server that has not read its roles yet, and the
next try for the Lease."""

FOUND_WITHIN = 60.0
"""Seconds after which what breaks is found where nothing hinders it; a busy machine needs more than a few."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what the API server shows to the operator, and with the CA that the operator trusts."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    serve_with(authority, folder)
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return folder


def serve_with(authority: trustme.CA, folder: Path) -> None:
    """Gives the API server a new certificate; it looks at its files by itself."""
    issued = authority.issue_cert(SERVER_NAME)
    replace(folder / "serving.key", issued.private_key_pem.bytes())
    replace(folder / "serving.crt", b"".join(blob.bytes() for blob in issued.cert_chain_pems))


def replace(path: Path, content: bytes) -> None:
    """Replaces a file in one step, as the kubelet and cert-manager do."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.rename(path)


@pytest.fixture(scope="module")
def flags(certificates: Path) -> dict[str, dict[str, str]]:
    """The operator is asked to live through outages here, and nobody else: no controller gives its own Lease up."""
    pair = f"{certificates / 'serving.crt'},{certificates / 'serving.key'}"
    alone = {"leader-elect": "false"}
    return {
        "kube-apiserver": {"tls-sni-cert-key": pair},
        "kube-controller-manager": alone,
        "kube-scheduler": alone,
    }


@pytest.fixture(scope="module")
def node_grace() -> int:
    """Longer than any outage here, so that no node is taken for lost that could not report during it."""
    return 300


@pytest.fixture(scope="module")
def troubled(own_cluster: Cluster) -> Cluster:
    """A cluster with the chart and faults that stay."""
    if own_cluster.runtime != "binary":
        pytest.skip("The processes of this control plane are out of reach.")
    install_among_faults(own_cluster, FAULTS, longest=HOLD)
    return own_cluster


@pytest.fixture(scope="module")
def token(troubled: Cluster) -> Path:
    """The file with the operator's token."""
    path = troubled.folder / "token"
    replace(path, new_token(troubled, "first-token"))
    return path


def new_token(cluster: Cluster, secret: str) -> bytes:
    """A token that ends with the Secret that it is bound to."""
    cluster.kubectl("create", "secret", "generic", secret, f"--namespace={NAMESPACE}")
    bound = ("--bound-object-kind=Secret", f"--bound-object-name={secret}")
    return cluster.kubectl("create", "token", RELEASE, f"--namespace={NAMESPACE}", *bound).strip().encode()


def revoke(cluster: Cluster, secret: str, token: bytes) -> None:
    """Makes a token worthless, and waits until the API server has forgotten that it once was not (10 s by default)."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    config["users"][0]["user"] = {"token": token.decode()}
    bearer = cluster.folder / "bearer"
    bearer.write_text(json.dumps(config))

    def is_refused() -> bool:
        try:
            cluster.kubectl(f"--kubeconfig={bearer}", "get", "--raw", "/version")
        except ClusterError as problem:
            return "Unauthorized" in str(problem)
        return False

    assert not is_refused()
    cluster.kubectl("delete", "secret", secret, f"--namespace={NAMESPACE}")
    wait_for(is_refused, timeout=60, what=f"refusal of the token bound to {secret}")


@pytest.fixture(scope="module")
def running(troubled: Cluster, token: Path, certificates: Path) -> Iterator[Operator]:
    """The operator; it has found everything and goes on running."""
    found = operator(troubled)
    config = json.loads(found.kubeconfig.read_text())
    place = config["clusters"][0]["cluster"]
    place.pop("certificate-authority-data", None)
    place |= {"certificate-authority": str(certificates / "ca.crt"), "tls-server-name": SERVER_NAME}
    place.pop("insecure-skip-tls-verify", None)
    config["users"][0]["user"] = {"tokenFile": str(token)}
    found.kubeconfig.write_text(json.dumps(config))
    found.start()
    try:
        wait_for(lambda: diagnoses(troubled).keys() >= FOUND, timeout=FOUND_WITHIN, what="diagnosis for each fault")
        yield found
    finally:
        found.stop()
        print(found.log.read_text())  # Shown where a test fails.


class Witness:
    """What holds before a fault, and must hold after it.

    Args:
        cluster: The cluster.
        running: The operator.
    """

    def __init__(self, cluster: Cluster, running: Operator) -> None:
        self._cluster = cluster
        self._running = running
        self._pid = running.pid
        self._asked = len(requests(cluster))
        self._standing = self._found()
        assert self._standing.keys() == FOUND

    def _found(self) -> dict[str, tuple[str, str]]:
        found = diagnoses(self._cluster)
        return {name: (found[name]["state"], found[name]["firstSeen"]) for name in FOUND & found.keys()}

    def _promoted(self) -> set[str]:
        """The symptoms that became diagnoses of their own, if only for a moment."""
        asked = requests(self._cluster, after=self._asked)
        created = {one.name for one in asked if (one.verb, one.resource) == ("create", "clusterdiagnoses")}
        return {name for name in created if SYMPTOMS_IN in name}

    def nothing_was_lost(self) -> None:
        """The same process runs, is healthy, and has all it had found before, of the same age and folded as before."""
        assert self._running.running
        assert self._running.pid == self._pid
        assert self._running.get("/healthz") == (200, "ok\n")
        assert self._found() == self._standing
        assert not self._promoted()

    def everything_is_seen(self, *, within: float = RECOVERY) -> None:
        """What breaks now is found; each kind is watched, and the policy says so."""
        name = f"broken-{time.monotonic_ns()}"
        found = missing_class(self._cluster, name)
        wait_for(lambda: state_of(self._cluster, found) == "Open", timeout=within, what=found)
        wait_for(self._all_seen, timeout=within, what="sign that everything is seen")
        assert not blind(self._running)
        self.nothing_was_lost()
        mend(self._cluster, name)
        wait_for(lambda: state_of(self._cluster, found) == "Resolved", timeout=FOUND_WITHIN, what=f"end of {found}")

    def _all_seen(self) -> bool:
        status = self._cluster.get("diagnosispolicy", "cluster")["status"]
        conditions = {one["type"]: one["status"] for one in status["conditions"]}
        assert conditions == {"Ready": "True", "Complete": "True"}, status
        assert {one["state"] for one in status["watches"]} == {"Synced"}
        return True


@pytest.fixture
def witness(troubled: Cluster, running: Operator) -> Iterator[Witness]:
    """What holds before the fault; whatever is down after it is started for the next test."""
    yield Witness(troubled, running)
    troubled.revive()


def blind(running: Operator) -> set[str]:
    """The kinds of which the operator says that it does not know how they are."""
    families = text_string_to_metric_families(running.get("/metrics")[1])
    synced = [one for family in families for one in family.samples if one.name == "kubedx_watch_synced"]
    assert synced
    return {one.labels["kind"] for one in synced if not one.value}


def claim_key(name: str) -> str:
    """Where etcd keeps a claim."""
    return f"/registry/persistentvolumeclaims/default/{name}"


def open_claim(cluster: Cluster, name: str) -> str:
    """Makes a fault that is found."""
    found = missing_class(cluster, name)
    wait_for(lambda: state_of(cluster, found) == "Open", timeout=FOUND_WITHIN, what=found)
    return found


async def watched(cluster: Cluster, path: str, since: str) -> list[Any]:
    """The events of a watch from a version, with what went before them: the status code."""
    params = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "3"}
    async with Api(Login(str(cluster.kubeconfig))) as api, api.stream(path, params) as answer:
        async with asyncio.timeout(20):
            lines = (await answer.read()).splitlines()
        return [answer.status, *map(msgspec.json.decode, lines)]


@pytest.mark.parametrize("path", ["/api/v1/events", "/apis/events.k8s.io/v1/events"])
async def test_F1_a_watch_of_events_from_a_compacted_version_is_told_that_it_is_gone(
    troubled: Cluster, path: str
) -> None:
    # Elsewhere such a watch was seen to end at once, without a word (kubernetes/kubernetes#104171).
    listed = troubled.kubectl("get", "--raw", f"{path}?limit=1")
    since = json.loads(listed)["metadata"]["resourceVersion"]
    before = await watched(troubled, path, since)
    assert before[0] == 200
    assert not [one for one in before[1:] if one["type"] == "ERROR"]
    troubled.compact()
    status, error = await watched(troubled, path, since)
    assert status == 200
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")


def test_F3_after_a_compaction_and_a_restart_no_watch_goes_on_and_everything_is_read_again(
    troubled: Cluster, running: Operator, witness: Witness
) -> None:
    mended = open_claim(troubled, "mended-and-compacted")
    path = "/api/v1/configmaps"
    since = json.loads(troubled.kubectl("get", "--raw", path))["metadata"]["resourceVersion"]
    troubled.kubectl("create", "configmap", "written-before")
    troubled.compact()
    assert "written-before" in str(asyncio.run(watched(troubled, path, since))), "the server's cache still has it"
    before = running.metric("kubedx_watch_restarts_total", reason="gone")
    troubled.kill("kube-apiserver")
    troubled.etcd("kv/deleterange", key=claim_key("mended-and-compacted"))
    troubled.compact()
    troubled.revive()
    status, error = asyncio.run(watched(troubled, path, since))
    assert status == 200
    assert (error["type"], error["object"]["code"]) == ("ERROR", 410)
    witness.everything_is_seen()
    wait_for(lambda: state_of(troubled, mended) == "Resolved", timeout=RECOVERY, what=f"end of {mended}")
    assert running.metric("kubedx_watch_restarts_total", reason="gone") > before


def test_F5_with_etcd_stopped_nothing_changes_and_afterwards_all_goes_on(
    troubled: Cluster, running: Operator, witness: Witness
) -> None:
    with troubled.paused("etcd"):
        with pytest.raises(ClusterError):
            troubled.kubectl("create", "configmap", "never", "--request-timeout=3s")
        time.sleep(12)
        assert running.get("/healthz") == (200, "ok\n")
        assert running.get("/readyz")[0] == 200
        assert running.metric("kubedx_diagnoses") >= len(FOUND)
    witness.everything_is_seen()


def test_F6_killed_for_a_minute_the_api_server_leaves_it_blind_and_finds_it_up_to_date_afterwards(
    troubled: Cluster, running: Operator, witness: Witness
) -> None:
    mended = open_claim(troubled, "mended-meanwhile")
    troubled.kill("kube-apiserver")
    troubled.etcd("kv/deleterange", key=claim_key("mended-meanwhile"))
    wait_for(lambda: "Pod" in blind(running), timeout=BLIND_AFTER, what="sign that pods are not seen")
    assert running.get("/healthz") == (200, "ok\n")
    assert running.get("/readyz")[0] == 200
    assert time.time() - running.metric("kubedx_watch_last_event_timestamp_seconds", kind="Pod") > 55
    troubled.revive()
    assert state_of(troubled, mended) == "Open", "what was not seen to end has not ended"
    witness.everything_is_seen()
    wait_for(lambda: state_of(troubled, mended) == "Resolved", timeout=RECOVERY, what=f"end of {mended}")
    assert opened(troubled) == FOUND


def opened(cluster: Cluster) -> set[str]:
    """What is open."""
    return {name for name, one in diagnoses(cluster).items() if one["state"] == "Open"}


def refused(cluster: Cluster) -> list[Manifest]:
    """The requests of operators whose token the API server did not take."""
    return [
        event for event in cluster.audit()
        if event.get("userAgent", "").startswith("kubedx/") and event["responseStatus"]["code"] == 401
    ]  # fmt: skip


def test_F13_a_replaced_token_is_read_again_with_one_refused_request_at_most(
    troubled: Cluster, running: Operator, token: Path, witness: Witness
) -> None:
    before, first = len(refused(troubled)), token.read_bytes()
    replace(token, new_token(troubled, "second-token"))
    revoke(troubled, "first-token", first)
    witness.everything_is_seen()
    assert len(refused(troubled)) - before <= 2, "one on each thread"
    assert running.metric("kubedx_writes_total", result="401") == 0


def test_F13_without_a_token_it_says_that_it_cannot_write_and_goes_on_with_the_next(
    troubled: Cluster, running: Operator, token: Path, witness: Witness
) -> None:
    revoke(troubled, "second-token", token.read_bytes())
    found = missing_class(troubled, "found-while-refused")
    wait_for(
        lambda: running.metric("kubedx_writes_total", result="401") > 0, timeout=FOUND_WITHIN, what="refused write"
    )
    wait_for(
        lambda: running.metric("kubedx_findings", check="StorageClassMissing") >= 2,
        timeout=FOUND_WITHIN, what="finding by the streams that are still open",
    )  # fmt: skip
    witness.nothing_was_lost()
    replace(token, new_token(troubled, "third-token"))
    wait_for(lambda: state_of(troubled, found) == "Open", timeout=RECOVERY, what=f"{found}, written with the new token")
    mend(troubled, "found-while-refused")
    witness.everything_is_seen()


def served_by(cluster: Cluster, authority: trustme.CA) -> bool:
    """Whether the API server shows a certificate of this authority."""
    server = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))["clusters"][0]
    host, port = server["cluster"]["server"].removeprefix("https://").split(":")
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trust)
    try:
        with (
            socket.create_connection((host, int(port)), timeout=5) as connection,
            trust.wrap_socket(connection, server_hostname=SERVER_NAME),
        ):
            return True
    except ssl.SSLError:
        return False


def test_F33_a_certificate_of_another_authority_is_not_trusted_until_the_bundle_is_replaced(
    troubled: Cluster, running: Operator, certificates: Path, witness: Witness
) -> None:
    authority = trustme.CA()
    serve_with(authority, certificates)
    wait_for(lambda: served_by(troubled, authority), timeout=70, what="new certificate", every=1)
    # What is open stays open: only a new connection sees the new certificate.
    troubled.kill("kube-apiserver")
    troubled.revive()
    wait_for(lambda: "is not trusted" in running.log.read_text(), timeout=RECOVERY, what="word about the certificate")
    witness.nothing_was_lost()
    replace(certificates / "ca.crt", authority.cert_pem.bytes())
    witness.everything_is_seen()
