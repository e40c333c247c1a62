"""What the operator did at the API server, by the audit log; and what it left there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.cluster.harness import Cluster, Manifest, wait_for
from tests.cluster.installation import NAMESPACE

ACCOUNTS = f"system:serviceaccount:{NAMESPACE}:"
"""How the names of the operator's accounts begin, whatever the release is called."""

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
OURS = {
    ("kubedx.dev", "clusterdiagnoses"), ("kubedx.dev", "clusterdiagnoses/status"), ("kubedx.dev", "diagnosispolicies"),
    ("kubedx.dev", "diagnosispolicies/status"), ("coordination.k8s.io", "leases"),
}  # fmt: skip
"""Everything that the operator may write to."""


@dataclass(frozen=True)
class Request:
    """One request of an operator.

    Attributes:
        verb: What was asked for, such as `list`.
        group: The API group.
        resource: The plural name of the kind, with its subresource if there is one.
        name: The name of the object, empty where none was named.
        code: The status code of the answer.
        at: When it was answered.
        credential: Which token it came with, so that replicas can be told apart.
    """

    verb: str
    group: str
    resource: str
    name: str
    code: int
    at: datetime
    credential: str

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.verb in WRITES


def requests(cluster: Cluster, *, after: int = 0) -> list[Request]:
    """The requests that operators made with the rights of the chart, oldest first.

    Args:
        cluster: The cluster.
        after: How many to leave out: those of which a test knows already.

    Returns:
        The requests for objects; a watch counts once.
    """
    found = {
        event["auditID"]: _request(event)
        for event in cluster.audit()
        if event["user"].get("username", "").startswith(ACCOUNTS) and "objectRef" in event
    }
    return list(found.values())[after:]


def _request(event: Manifest) -> Request:
    meant = event["objectRef"]
    parts = (meant.get("resource"), meant.get("subresource"))
    return Request(
        verb=event["verb"],
        group=meant.get("apiGroup", ""),
        resource="/".join(part for part in parts if part),
        name=meant.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        at=datetime.fromisoformat(event["stageTimestamp"]),
        credential=event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [""])[0],
    )


def diagnosis_writes(asked: Iterable[Request]) -> list[Request]:
    """The requests among these that write a ClusterDiagnosis."""
    return [one for one in asked if one.writes and one.resource.partition("/")[0] == "clusterdiagnoses"]


def settle(cluster: Cluster, *, quiet: float = 6.0, timeout: float = 60.0) -> None:
    """Waits until nothing more is written about what is found.

    Args:
        cluster: The cluster.
        quiet: Seconds without a write after which none is to come: more than a root settles, and any hold time.
        timeout: Seconds.
    """

    def is_quiet() -> bool:
        written = diagnosis_writes(requests(cluster))
        return not written or (datetime.now(UTC) - written[-1].at).total_seconds() > quiet

    wait_for(is_quiet, timeout=timeout, what=f"{quiet:g} s without a write", every=1)


def forbidden_deeds(cluster: Cluster) -> list[Request]:
    """The requests that the operator has promised never to make: foreign writes, and any look at Secrets."""
    return [
        one
        for one in requests(cluster)
        if (one.writes and (one.group, one.resource) not in OURS)
        or one.resource.partition("/")[0] == "secrets"
        or one.resource in {"nodes/proxy", "pods/exec", "pods/log"}
    ]


def objects(cluster: Cluster) -> dict[str, tuple[str, str, str, str]]:
    """By name of each ClusterDiagnosis, what a restart must not change: uid, version, firstSeen and state."""
    found = {}
    for one in cluster.get("clusterdiagnoses"):
        metadata, status = one["metadata"], one.get("status", {})
        found[metadata["name"]] = (
            metadata["uid"],
            metadata["resourceVersion"],
            status.get("firstSeen", ""),
            status.get("state", ""),
        )
    return found
