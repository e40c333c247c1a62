"""Two replicas at one API server: one writes, and the other takes over without a word too many. H1 to H3, and F28.

The Lease of these tests has the timings of earnest: it is left to a silent holder for a minute, and tried for every 15
seconds. Who wrote what is read from the API server's audit log, where each replica has a token of its own.
"""

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from kubedx.report.lease import DURATION, NAME, RETRY
from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.footprint import Request, objects, requests
from tests.cluster.harness import CHECKOUT, Cluster, Manifest, wait_for
from tests.cluster.installation import NAMESPACE, Operator, diagnoses, install_among_faults, operator, promises

HOLD = timedelta(seconds=3)
FAULTS = ("storage-class-missing", "hpa-without-metrics-api")
PROMISED = [one for name in FAULTS for one in promises(CHECKOUT / "examples" / "faults" / f"{name}.yaml")]
STANDING = {one.key for one in PROMISED}

SLACK = 15.0
"""Seconds that a busy machine may add to anything."""

TAKEOVER = DURATION + RETRY + SLACK
"""Seconds until a Lease that nobody renews is another one's."""

NEXT_TRY = RETRY + SLACK
"""Seconds until a Lease that nobody holds is somebody's, and until its holder notices that it is not its own."""

FOUND_WITHIN = 60.0
STOPPED = 90.0


@dataclass(frozen=True)
class Pair:
    """Two replicas, and what they share.

    Attributes:
        cluster: The cluster.
        replicas: Both, by what they are called.
    """

    cluster: Cluster
    replicas: dict[str, Operator]

    @property
    def holder(self) -> str:
        """Who holds the Lease, empty for nobody."""
        spec: Manifest = self.cluster.get("lease", NAME, f"--namespace={NAMESPACE}")["spec"]
        return str(spec.get("holderIdentity") or "")

    @property
    def leader(self) -> Operator:
        """The replica that holds the Lease."""
        return self.replicas[self.holder]

    @property
    def standby(self) -> Operator:
        """The other one."""
        (found,) = [one for name, one in self.replicas.items() if name != self.holder]
        return found

    def leads(self, replica: Operator) -> bool:
        """Whether a replica holds the Lease, and says that it does."""
        return self.replicas.get(self.holder) is replica and replica.metric("kubedx_leader") == 1

    def is_complete(self) -> bool:
        """Whether both are ready and one of them leads."""
        ready = all(one.get("/readyz")[0] == 200 for one in self.replicas.values())
        return ready and any(self.leads(one) for one in self.replicas.values())

    def has_found_everything(self) -> bool:
        """Whether the faults that stay are found, with all that they explain."""
        found = diagnoses(self.cluster)
        assert not [lack for one in PROMISED if (lack := one.lacks(found))]
        return True

    def asked(self, *, after: int = 0) -> list[Request]:
        """What the two asked for, in the order of the answers."""
        return sorted(requests(self.cluster, after=after), key=lambda one: one.at)

    def finds(self, name: str, *, within: float = FOUND_WITHIN) -> None:
        """Breaks something, waits until it is found, and mends it."""
        found = missing_class(self.cluster, name)
        wait_for(lambda: state_of(self.cluster, found) == "Open", timeout=within, what=found)
        self.mends(name)

    def mends(self, name: str) -> None:
        """Mends what was broken, and waits until that is seen."""
        mend(self.cluster, name)
        found = f"StorageClassMissing StorageClass/{name}"
        wait_for(lambda: state_of(self.cluster, found) == "Resolved", timeout=FOUND_WITHIN, what=f"end of {found}")


def token_of(replica: Operator) -> str:
    """How the audit log calls the token of a replica: by the id in its claims."""
    token = json.loads(replica.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    claims = token.split(".")[1]
    return f"JTI={json.loads(base64.urlsafe_b64decode(claims + '==='))['jti']}"


def is_write(one: Request) -> bool:
    """Whether a request wrote something of ours, other than the Lease."""
    return one.writes and one.group == "kubedx.dev" and one.code < 300


def writes_without_the_lease(asked: list[Request]) -> list[Request]:
    """The writes of a replica while another one had written the Lease last."""
    holder, found = "", []
    for one in asked:
        if one.writes and one.resource == "leases" and one.code < 300:
            holder = one.credential
        elif is_write(one) and one.credential != holder:
            found.append(one)
    return found


@pytest.fixture(scope="module")
def both(own_cluster: Cluster) -> Iterator[Pair]:
    """Two replicas that began at the same moment."""
    install_among_faults(own_cluster, FAULTS, longest=HOLD)
    names = ("first", "second")
    found = {name: operator(own_cluster, "--lease-namespace", NAMESPACE, "--identity", name) for name in names}
    try:
        for one in found.values():
            one.start(ready=False)
        yield Pair(own_cluster, found)
    finally:
        for one in found.values():
            one.stop()
            print(one.log.read_text(encoding="utf-8"))  # Shown where a test fails.


@pytest.fixture
def pair(both: Pair) -> Iterator[Pair]:
    """Two replicas that have found everything; whatever becomes of them, what was found stays as it is."""
    for one in both.replicas.values():
        if not one.running:
            one.start(ready=False)
    wait_for(both.is_complete, timeout=TAKEOVER, what="pair of which one leads")
    wait_for(both.has_found_everything, timeout=FOUND_WITHIN, what="diagnosis for each fault")
    before = standing(both.cluster)
    yield both
    assert standing(both.cluster) == before
    assert writes_without_the_lease(both.asked()) == []


def standing(cluster: Cluster) -> dict[str, tuple[object, ...]]:
    """By name of each diagnosis of a fault that stays, what a takeover must not change."""
    found = diagnoses(cluster)
    assert len(objects(cluster)) == len(found), "each object tells of another subject"
    return {
        name: (one["firstSeen"], one["state"], one["history"], one.get("flaps"), one["explainsCount"])
        for name, one in found.items() if name in STANDING
    }  # fmt: skip


def test_H1_of_two_that_start_together_one_writes_and_the_other_is_warm(pair: Pair) -> None:
    leader, standby = pair.leader, pair.standby
    pods = leader.metric("kubedx_watch_objects", kind="Pod")
    wrote = {one.credential for one in pair.asked() if is_write(one)}

    assert wrote == {token_of(leader)}
    assert standby.metric("kubedx_leader") == 0
    assert standby.metric("kubedx_watch_objects", kind="Pod") == pods > 0
    assert leader.metric("kubedx_diagnoses") >= len(STANDING)
    assert standby.metric("kubedx_diagnoses") == 0, "what the leader exports is not exported twice"


def test_H5_a_leader_that_is_told_to_end_gives_the_lease_to_the_next_that_tries(pair: Pair) -> None:
    leader, standby = pair.leader, pair.standby
    assert leader.stop(signal.SIGTERM) < 10
    wait_for(lambda: pair.leads(standby), timeout=NEXT_TRY, what="new leader")
    pair.finds("broken-after-the-release")


def test_H2_F28_killed_between_two_writes_the_leader_is_replaced_by_the_standby_that_completes_them(pair: Pair) -> None:
    leader, standby = pair.leader, pair.standby
    known = set(objects(pair.cluster))
    names = [f"broken-while-killed-{number}" for number in range(4)]
    found = [missing_class(pair.cluster, name) for name in names]
    (begun, *_) = wait_for(
        lambda: sorted(objects(pair.cluster).keys() - known), timeout=FOUND_WITHIN, what="first new object", every=0.02
    )
    leader.stop(signal.SIGKILL)
    uid = objects(pair.cluster)[begun][0]

    wait_for(lambda: pair.leads(standby), timeout=TAKEOVER, what="new leader")
    for one in found:
        wait_for(lambda one=one: state_of(pair.cluster, one) == "Open", timeout=FOUND_WITHIN, what=one)
    assert objects(pair.cluster)[begun][0] == uid
    for name in names:
        pair.mends(name)


@contextmanager
def stopped(replica: Operator) -> Iterator[None]:
    """A process that does nothing, as on a machine that is suspended."""
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(replica.pid, signal.SIGCONT)


def test_H2_a_leader_that_was_stopped_for_90_seconds_writes_nothing_of_what_it_still_meant_to(pair: Pair) -> None:
    leader, standby = pair.leader, pair.standby
    resolved = missing_class(pair.cluster, "mended-while-stopped")
    wait_for(lambda: state_of(pair.cluster, resolved) == "Open", timeout=FOUND_WITHIN, what=resolved)
    missing_class(pair.cluster, "broken-before-the-stop")
    with stopped(leader):
        begun = time.monotonic()
        mend(pair.cluster, "mended-while-stopped")
        wait_for(lambda: pair.leads(standby), timeout=TAKEOVER, what="new leader")
        wait_for(
            lambda: state_of(pair.cluster, resolved) == "Resolved", timeout=FOUND_WITHIN, what=f"end of {resolved}"
        )
        time.sleep(max(0.0, begun + STOPPED - time.monotonic()))
    before = len(requests(pair.cluster))

    wait_for(lambda: leader.metric("kubedx_leader") == 0, timeout=NEXT_TRY, what="word that it leads no more")
    pair.finds("broken-after-the-stop")
    wait_for(lambda: leader.metric("kubedx_diagnoses") == 0, timeout=NEXT_TRY, what="silence of who leads no more")
    wrote = {one.credential for one in pair.asked(after=before) if one.writes}
    assert wrote == {token_of(standby)}
    pair.mends("broken-before-the-stop")


def test_H3_a_lease_that_somebody_takes_by_hand_is_left_alone_and_nothing_is_written_until_it_is_free(
    pair: Pair,
) -> None:
    leader = pair.leader
    lease = ("lease", NAME, f"--namespace={NAMESPACE}")
    pair.cluster.kubectl("patch", *lease, "--type=merge", '--patch={"spec":{"holderIdentity":"an-administrator"}}')
    wait_for(lambda: leader.metric("kubedx_leader") == 0, timeout=NEXT_TRY, what="word that it leads no more")
    before = len(requests(pair.cluster))
    found = missing_class(pair.cluster, "broken-while-nobody-leads")
    time.sleep(HOLD.total_seconds() + 4)
    assert [one for one in pair.asked(after=before) if one.writes] == []

    pair.cluster.kubectl("delete", *lease)
    wait_for(lambda: state_of(pair.cluster, found) == "Open", timeout=NEXT_TRY + FOUND_WITHIN, what=found)
    pair.mends("broken-while-nobody-leads")


def test_H3_a_lease_that_is_deleted_is_made_anew_by_one_of_them(pair: Pair) -> None:
    pair.cluster.kubectl("delete", "lease", NAME, f"--namespace={NAMESPACE}")
    wait_for(pair.is_complete, timeout=NEXT_TRY, what="pair of which one leads")
    pair.finds("broken-after-the-lease")
