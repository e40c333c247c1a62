"""`kubedx suppress` on a real control plane: silenced is not lost, and comes back when the silence ends."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.harness import Cluster, Manifest, wait_for
from tests.cluster.installation import KUBEDX, Operator, at_work, diagnoses, impatient

SOON = 10.0
"""Seconds within which a change shows: at once, and then a write, with a reserve for a busy machine."""

HOLD = timedelta(seconds=2)
RETENTION = timedelta(seconds=3)


@pytest.fixture(scope="module")
def operator(own_cluster: Cluster) -> Iterator[Operator]:
    """The operator, which keeps what is resolved for three seconds only."""
    with at_work(own_cluster, {"checks": impatient(HOLD), "retention": "3s"}) as found:
        yield found


def kubedx(cluster: Cluster, *words: str) -> str:
    done = subprocess.run(
        [KUBEDX, *words, f"--kubeconfig={cluster.kubeconfig}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def open_one(cluster: Cluster, fault: str) -> tuple[str, str]:
    """Makes a fault and waits for its diagnosis; gives its name in `diagnoses` and that of its object."""
    told = missing_class(cluster, fault)
    wait_for(lambda: state_of(cluster, told) == "Open", timeout=30, what=told)
    return told, object_name(cluster, fault)


def object_name(cluster: Cluster, fault: str) -> str:
    found = [one["metadata"]["name"] for one in cluster.get("clusterdiagnoses")]
    (name,) = [one for one in found if one.startswith(f"storage-class-missing-{fault}-")]
    return str(name)


def suppressed(cluster: Cluster, told: str) -> Manifest:
    found: Manifest = diagnoses(cluster).get(told, {}).get("suppressed", {})
    return found


def is_loud(operator: Operator, name: str) -> bool:
    """Whether alerts see it."""
    return operator.metric("kubedx_diagnosis_info", name=name) == 1


def test_what_is_silenced_leaves_the_alerts_is_counted_apart_and_comes_back(operator: Operator) -> None:
    cluster = operator.cluster
    told, name = open_one(cluster, "for-a-while")
    assert is_loud(operator, name)
    said = kubedx(cluster, "suppress", name, "--reason", "replaced on Monday", "--for", "25s")
    ends = datetime.now(UTC) + timedelta(seconds=25)
    assert "replaced on Monday" in said
    wait_for(lambda: not is_loud(operator, name), timeout=SOON, what="silence")
    assert operator.metric("kubedx_suppressed_diagnoses") == 1
    assert operator.metric("kubedx_diagnoses", check="StorageClassMissing") == 0
    assert operator.metric("kubedx_findings", check="StorageClassMissing") == 1
    wait_for(lambda: suppressed(cluster, told), timeout=SOON, what="sign of the silence")
    assert (suppressed(cluster, told)["by"], state_of(cluster, told)) == ("spec.suppress", "Open")
    wait_for(lambda: is_loud(operator, name), timeout=60, what="end of the silence")
    assert datetime.now(UTC) >= ends - timedelta(seconds=2)
    wait_for(lambda: suppressed(cluster, told)["expired"], timeout=SOON, what="word of its end")
    mend(cluster, "for-a-while")


def test_a_scan_of_the_cluster_shows_what_is_silenced_only_when_asked_for(operator: Operator) -> None:
    cluster = operator.cluster
    _, name = open_one(cluster, "scanned")
    kubedx(cluster, "suppress", name, "--reason", "known", "--for", "1h")
    later = f"--now={datetime.now(UTC) + timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"  # A scan is as patient as ever.
    words = [KUBEDX, "scan", "--live", later, f"--kubeconfig={cluster.kubeconfig}", "--fail-on=never"]
    quiet, shown = (
        subprocess.run([*words, *more], capture_output=True, text=True, check=False, timeout=60)
        for more in ([], ["--all"])
    )
    assert "StorageClassMissing" not in quiet.stdout
    assert "1 suppressed diagnoses are not shown; --all shows them." in quiet.stderr
    assert "(suppressed: known)" in shown.stdout
    mend(cluster, "scanned")


def test_a_silenced_diagnosis_is_kept_beyond_its_retention_until_the_silence_ends(operator: Operator) -> None:
    cluster = operator.cluster
    told, name = open_one(cluster, "kept")
    kubedx(cluster, "suppress", name, "--reason", "known", "--for", "1h")
    wait_for(lambda: suppressed(cluster, told), timeout=SOON, what="sign of the silence")
    mend(cluster, "kept")
    wait_for(lambda: state_of(cluster, told) == "Resolved", timeout=30, what="resolved diagnosis")
    over = datetime.now(UTC) + 3 * RETENTION
    wait_for(lambda: datetime.now(UTC) > over, timeout=30, what="end of the retention")
    assert state_of(cluster, told) == "Resolved"
    missing_class(cluster, "kept")
    wait_for(lambda: state_of(cluster, told) == "Open", timeout=30, what="its return")
    assert diagnoses(cluster)[told]["flaps"] == 1
    assert not is_loud(operator, name)
    assert "its own silence was taken back" in kubedx(cluster, "unsuppress", name)
    wait_for(lambda: is_loud(operator, name), timeout=SOON, what="end of the silence")
    wait_for(lambda: not suppressed(cluster, told), timeout=SOON, what="end of its sign")
    mend(cluster, "kept")
    wait_for(lambda: state_of(cluster, told) == "", timeout=60, what="deletion after the retention")


def test_the_rights_that_the_documentation_names_are_enough_and_not_more(operator: Operator) -> None:
    cluster = operator.cluster
    told, name = open_one(cluster, "by-a-person")
    verbs = ("--verb=get,list,patch", "--resource=clusterdiagnoses.kubedx.dev")
    cluster.kubectl("create", "clusterrole", "silences-diagnoses", *verbs)
    cluster.kubectl("create", "serviceaccount", "oncall", "--namespace=default")
    who = ("--clusterrole=silences-diagnoses", "--serviceaccount=default:oncall")
    cluster.kubectl("create", "clusterrolebinding", "oncall-silences-diagnoses", *who)
    mine = f"--kubeconfig={cluster.kubeconfig_of('oncall', namespace='default')}"

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([KUBEDX, *words, mine], capture_output=True, text=True, check=False, timeout=60)

    refused = typed("suppress", name, "--reason", "known", "--always")
    assert refused.returncode == 2
    assert "kubectl auth can-i get diagnosispolicy.kubedx.dev" in refused.stderr
    wrong = typed("suppress", name[:-1], "--reason", "known", "--for", "1h")
    assert (wrong.returncode, f"Did you mean {name}" in wrong.stderr) == (2, True)
    assert typed("suppress", name, "--reason", "known", "--for", "1h").returncode == 0
    wait_for(lambda: suppressed(cluster, told), timeout=SOON, what="sign of the silence")
    lifted = typed("unsuppress", name)
    assert lifted.returncode == 0
    assert "Whether a pattern silences it too cannot be seen" in lifted.stdout
    wait_for(lambda: is_loud(operator, name), timeout=SOON, what="end of the silence")
    mend(cluster, "by-a-person")


def test_a_pattern_silences_for_good_and_is_taken_back(operator: Operator) -> None:
    cluster = operator.cluster
    told, name = open_one(cluster, "for-good")
    kubedx(cluster, "suppress", name, "--reason", "nobody needs it", "--always")
    (pattern,) = cluster.get("diagnosispolicy", "cluster")["spec"]["suppressions"]
    assert pattern == {
        "check": "StorageClassMissing", "kind": "StorageClass", "name": "for-good", "reason": "nobody needs it",
    }  # fmt: skip
    wait_for(lambda: not is_loud(operator, name), timeout=SOON, what="silence")
    wait_for(lambda: suppressed(cluster, told), timeout=SOON, what="sign of the silence")
    assert suppressed(cluster, told)["by"] == "DiagnosisPolicy spec.suppressions[0]"
    mend(cluster, "for-good")
    wait_for(lambda: state_of(cluster, told) == "", timeout=60, what="deletion after the retention")
    open_one(cluster, "for-good")
    assert not is_loud(operator, name)
    assert "its pattern was taken out of the DiagnosisPolicy" in kubedx(cluster, "unsuppress", name)
    wait_for(lambda: is_loud(operator, name), timeout=SOON, what="end of the silence")
    mend(cluster, "for-good")
