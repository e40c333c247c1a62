"""The whole operator while servers and networks fail: what the user sees meanwhile, and that all is right afterwards.

The names are those of docs/reliability.md; `test_wire.py` has those that concern a single watch.
"""

import asyncio
import logging
import socket
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from kubedx import app, handlers
from kubedx.diagnosis import ledger
from tests.faults import actions
from tests.faults.operating import Operating, node, operating
from tests.faults.server import Server, serving
from tests.faults.watching import HUNDREDFOLD, PACE, pod, until

MINUTE = 60 / HUNDREDFOLD


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have kopf's supervisor look again at once; its patience is not what is tested here."""
    monkeypatch.setattr(handlers, "ABSENT_RETRY", 0.1)
    monkeypatch.setattr(handlers, "SHORTEST_PAUSE", 0.1)
    monkeypatch.setattr(handlers, "LONGEST_PAUSE", 0.2)


@pytest.fixture
async def operator(server: Server, tmp_path: Path) -> AsyncIterator[Operating]:
    """An operator that has found the full disk of the node `full`."""
    server.cluster.put(node("full", full=True))
    server.cluster.put(node("well"))
    async with operating(server, tmp_path) as found:
        await found.ready()
        await found.finds(full="Open")
        yield found


async def test_F5_while_one_kind_fails_the_others_go_on_and_what_was_found_is_kept(
    server: Server, operator: Operating
) -> None:
    server.cluster.put(pod("a"))
    fault = server.fault(actions.refuse(503), on="list watch", kind="pods")
    server.cut("pods")
    await until(lambda: operator.watch("Pod") == "Stale")
    server.cluster.put(node("too", full=True))
    await operator.finds(full="Open", too="Open")

    assert (operator.watch("Node"), operator.condition("Complete")) == ("Synced", "False")
    assert await operator.metric("kubedx_watch_synced", kind="Pod") == 0
    assert await operator.metric("kubedx_watch_restarts_total", kind="Pod", reason="503") >= 1
    assert (await operator.get("/healthz"))[0] == 200
    fault.lift()
    await until(lambda: (operator.watch("Pod"), operator.condition("Complete")) == ("Synced", "True"))


async def test_F5_what_cannot_be_looked_at_for_long_is_kept_as_unknown(
    server: Server, operator: Operating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "UNKNOWN_AFTER", ledger.UNKNOWN_AFTER / HUNDREDFOLD)
    fault = server.fault(actions.refuse(503), on="list watch", kind="nodes")
    server.cut("nodes")
    await until(lambda: operator.watch("Node") == "Stale")
    assert operator.diagnoses == {"NodeDiskPressure Node/full": "Open"}
    await operator.finds(full="Unknown")
    fault.lift()
    await operator.finds(full="Open")


async def test_F6_a_server_that_is_away_for_ten_minutes_is_outlived(server: Server, operator: Operating) -> None:
    await server.stop()
    await asyncio.sleep(10 * MINUTE)
    assert (await operator.get("/healthz"))[0] == 200
    assert await operator.metric("kubedx_watch_synced", kind="Node") == 0
    server.cluster.put(node("full"))
    server.cluster.put(node("too", full=True))
    await server.start()
    await until(lambda: operator.diagnoses.get("NodeDiskPressure Node/too") == "Open", seconds=30)
    await until(lambda: operator.diagnoses["NodeDiskPressure Node/full"] == "Resolved", seconds=30)

    assert operator.watch("Node") == "Synced"


async def test_F10_a_kind_that_may_not_be_read_disables_its_checks_and_no_others(
    server: Server, tmp_path: Path
) -> None:
    fault = server.fault(actions.refuse(403, "pods is forbidden"), kind="pods")
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")
        await until(lambda: operator.watch("Pod") == "Forbidden")
        skipped = {one["check"]: one["missing"] for one in operator.policy["checks"]["skipped"]}
        assert "Pod" in skipped["PodCrashLoopBackOff"]
        assert "NodeDiskPressure" not in skipped
        assert operator.condition("Complete") == "False"
        fault.lift()
        await until(lambda: operator.watch("Pod") == "Synced")
        await until(lambda: operator.condition("Complete") == "True")


async def test_F12_a_kind_that_is_not_served_makes_nothing_incomplete(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kubedx")
    server.unserve("horizontalpodautoscalers")
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")
        await until(lambda: operator.watch("HorizontalPodAutoscaler") == "Absent")

        assert len([one for one in caplog.messages if "horizontalpodautoscalers" in one]) == 1


async def test_F13_a_token_that_is_rotated_costs_at_most_one_refusal_a_request(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    server.tokens = {"Bearer first"}
    server.kubeconfig(tmp_path, token_file=token)
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")
        token.write_text("second")
        server.tokens = {"Bearer second"}
        refused = len([one for one in server.log if one.status == 401])
        assert refused == 0
        open_ones = len(server.watching())
        server.cut()
        await until(lambda: len(server.watching()) == open_ones)
        server.cluster.put(node("too", full=True))
        await operator.finds(full="Open", too="Open")

        refused = len([one for one in server.log if one.status == 401])
        assert 1 <= refused <= open_ones + 2
        assert operator.watch("Node") == "Synced"
        assert await operator.metric("kubedx_watch_restarts_total", reason="401") == 0


async def test_F14_a_loop_that_stands_still_fails_the_liveness_probe_and_tells_where_it_stands(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "BLOCKED_AFTER", 0.3)
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        probe = asyncio.create_task(asyncio.to_thread(_probe, operator.port))
        await asyncio.sleep(0)
        blocked_here(1.5)

        assert await probe == "no answer"
        assert (await operator.get("/healthz"))[0] == 200
    assert "in blocked_here" in capfd.readouterr().err


def blocked_here(seconds: float) -> None:
    time.sleep(seconds)


def _probe(port: int) -> str:
    time.sleep(0.2)  # Until the loop stands still.
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=0.5) as answer:
            return str(answer.status)
    except (OSError, TimeoutError):
        return "no answer"


def own_time(server: Server) -> datetime:
    """The time by the cluster's clock."""
    return datetime.now(UTC) + server.cluster.skew


def unready(name: str, since: datetime) -> dict[str, Any]:
    at = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [{"type": "Ready", "status": "False", "lastTransitionTime": at, "reason": "ContainersNotReady"}]
    statuses = [{"name": "main", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": at}}}]
    status = {"phase": "Running", "startTime": at, "conditions": conditions, "containerStatuses": statuses}
    return {**pod(name), "status": status}


@pytest.mark.parametrize("skew", [20, -20])
async def test_F24_ages_are_told_by_the_clock_of_the_api_server(server: Server, tmp_path: Path, skew: int) -> None:
    server.cluster.skew = timedelta(minutes=skew)
    now = own_time(server)
    server.cluster.put(unready("young", now - timedelta(minutes=10)))
    server.cluster.put(unready("old", now - timedelta(minutes=16)))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await until(lambda: operator.diagnoses, seconds=30)
        await asyncio.sleep(1)

        assert operator.diagnoses == {"PodNotReady Pod/default/old": "Open"}
        (found,) = server.cluster.objects("ClusterDiagnosis")
        seen = datetime.fromisoformat(operator.policy["lastSeen"])
        assert abs(seen - own_time(server)) < timedelta(seconds=30)
        assert abs(datetime.fromisoformat(found["status"]["firstSeen"]) - own_time(server)) < timedelta(minutes=17)


@pytest.mark.parametrize("hours", [1, -1])
async def test_F25_a_wall_clock_that_jumps_raises_and_clears_nothing(
    server: Server, operator: Operating, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    server.cluster.put(unready("young", datetime.now(UTC) - timedelta(minutes=1)))
    before = dict(operator.diagnoses)
    writes = len(server.asked("create patch delete", "clusterdiagnoses"))
    real = time.time
    server.cluster.skew = -timedelta(hours=hours)  # The cluster's clock stays as it is, only this machine's jumps.
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    server.cut()
    server.cluster.put(pod("something new"))
    await asyncio.sleep(3)

    assert operator.diagnoses == before
    assert len(server.asked("create patch delete", "clusterdiagnoses")) == writes


async def test_F27_a_pod_that_is_replaced_unseen_stays_one_diagnosis_of_its_owner(
    server: Server, tmp_path: Path
) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-web", "controller": True}
    since = datetime.now(UTC) - timedelta(minutes=20)

    def broken(name: str) -> dict[str, Any]:
        found = unready(name, since)
        found["metadata"]["ownerReferences"] = [owner]
        return found

    server.cluster.put({"kind": "ReplicaSet", "metadata": {"name": "web", "uid": "u-web"}})
    server.cluster.put(broken("web-1"))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await until(lambda: operator.diagnoses, seconds=30)
        (first,) = server.cluster.objects("ClusterDiagnosis")
        server.mute("pods")
        server.cluster.delete("Pod", "web-1")
        server.cluster.put(broken("web-2"))
        server.cluster.compact("pods")
        server.cut("pods", "abort")
        await until(lambda: len(server.watching("pods")) == 1)
        await asyncio.sleep(3)

        (second,) = server.cluster.objects("ClusterDiagnosis")
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        assert (second["status"]["state"], second["status"]["flaps"]) == ("Open", first["status"]["flaps"])


async def test_F29_a_write_that_conflicts_five_times_is_done_in_the_end(server: Server, tmp_path: Path) -> None:
    fault = server.fault(actions.refuse(409), on="patch", kind="clusterdiagnoses", times=5)
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")

        assert len(fault.hits) == 5
        assert await operator.metric("kubedx_writes_total", result="409") == 5


async def test_F29_an_object_that_is_deleted_under_the_operators_hands_is_made_anew(
    server: Server, tmp_path: Path
) -> None:
    async def vanish(_: object) -> None:
        server.cluster.delete("ClusterDiagnosis", server.cluster.objects("ClusterDiagnosis")[0]["metadata"]["name"])

    server.fault(vanish, on="patch", kind="clusterdiagnoses", times=1)
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")

        assert await operator.metric("kubedx_writes_total", result="404") == 1


@pytest.mark.parametrize("code", [403, 413, 422])
async def test_F30_an_object_that_is_refused_holds_up_no_other_and_is_tried_less_and_less(
    server: Server, tmp_path: Path, code: int
) -> None:
    async def refused(exchange: Any) -> Any:
        return await actions.refuse(code)(exchange) if "node-disk-pressure-full" in exchange.path else None

    fault = server.fault(refused, on="patch", kind="clusterdiagnoses")
    for name in ("full", "other"):
        server.cluster.put(node(name, full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(other="Open")
        await asyncio.sleep(3)
        tries = [one for one in fault.hits if "full" in one.path]
        assert 2 <= len(tries) <= 6
        assert await operator.metric("kubedx_writes_total", result=str(code)) == len(tries)
        fault.lift()
        await operator.finds(full="Open", other="Open")


async def test_F31_without_its_kinds_the_operator_waits_and_tells_so(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("clusterdiagnoses", "diagnosispolicies"):
        server.unserve(kind)
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await until(lambda: "Are the CRDs installed?" in caplog.text)
        assert (await operator.get("/readyz"))[0] == 503
        assert await operator.metric("kubedx_watch_objects", kind="Node") == 1
        for kind in ("clusterdiagnoses", "diagnosispolicies"):
            server.serve(kind)
        await operator.ready()
        await operator.finds(full="Open")


async def test_F31_kinds_that_are_deleted_under_a_running_operator_are_filled_again_when_they_return(
    server: Server, operator: Operating
) -> None:
    for kind in ("ClusterDiagnosis", "DiagnosisPolicy"):
        for one in server.cluster.objects(kind):
            server.cluster.delete(kind, one["metadata"]["name"])
        server.unserve(kind)
    await asyncio.sleep(1)
    assert await operator.metric("kubedx_diagnoses", check="NodeDiskPressure") == 1, "the metrics still tell"
    for kind in ("ClusterDiagnosis", "DiagnosisPolicy"):
        server.serve(kind)
    await operator.finds(full="Open")
    await until(lambda: operator.condition("Ready") == "True", seconds=30)


async def test_a_page_of_a_proxy_in_place_of_an_answer_ends_nothing(server: Server, tmp_path: Path) -> None:
    page = actions.answer("<html>Log in</html>", 200, "text/html")
    for kind in ("clusterdiagnoses", "diagnosispolicies", "nodes", "leases"):
        server.fault(page, kind=kind, times=2)
    server.cluster.put(node("full", full=True))
    names = ("ingresses.networking.test",)
    async with operating(server, tmp_path, lease_namespace="kubedx-system", metadata_kinds=names) as operator:
        await operator.ready()
        await operator.finds(full="Open")


async def test_F32_a_name_that_cannot_be_resolved_for_a_while_is_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, real = True, socket.getaddrinfo

    def resolve(host: Any, *args: Any, **more: Any) -> Any:
        if host == "api.cluster.test":
            if not known:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return real(host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.kubeconfig(tmp_path, server=f"http://api.cluster.test:{server.port}")
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")
        known = False
        await server.stop()  # Connections that are open need no name, nor does aiohttp for ten seconds.
        connector = operator.app._api._session.connector
        assert isinstance(connector, aiohttp.TCPConnector)
        connector.clear_dns_cache()
        server.cluster.put(node("too", full=True))
        await server.start()
        await asyncio.sleep(3 * MINUTE)
        assert await operator.metric("kubedx_watch_synced", kind="Node") == 0
        known = True
        await operator.finds(full="Open", too="Open")


def certified(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_F33_a_ca_that_is_replaced_needs_no_restart(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    bundle = tmp_path / "ca.crt"
    first.cert_pem.write_to_path(str(bundle))
    async with serving() as plain:
        cluster = plain.cluster
    server = Server(cluster)
    server.tls = certified(first)
    cluster.put(node("full", full=True))
    async with server:
        server.kubeconfig(tmp_path, **{"certificate-authority": str(bundle)})
        async with operating(server, tmp_path) as operator:
            await operator.ready()
            await operator.finds(full="Open")
            await server.stop()
            server.tls = certified(second)
            await server.start()
            cluster.put(node("too", full=True))
            await asyncio.sleep(MINUTE)
            assert operator.diagnoses == {"NodeDiskPressure Node/full": "Open"}, "a stranger is not believed"
            second.cert_pem.write_to_path(str(bundle))
            await operator.finds(full="Open", too="Open")


async def test_F34_streams_that_a_proxy_ends_each_minute_are_not_worth_a_word(
    server: Server, operator: Operating, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kubedx")
    caplog.clear()
    lists = len([one for one in server.asked("list watch") if "sendInitialEvents" in one.query])
    for _ in range(3):
        await asyncio.sleep(2 * PACE.silent_close)
        for kind in ("pods", "nodes", "events"):
            server.cut(kind)
    await asyncio.sleep(0.5)

    assert caplog.messages == []
    assert len([one for one in server.asked("list watch") if "sendInitialEvents" in one.query]) == lists
    assert operator.watch("Pod") == "Synced"


async def test_H5_under_load_it_ends_within_ten_seconds_and_gives_the_lease_back(
    server: Server, tmp_path: Path
) -> None:
    for number in range(200):
        server.cluster.put(node(f"full-{number:03}", full=True))
    async with operating(server, tmp_path, lease_namespace="kubedx-system", identity="me") as operator:
        await operator.ready()
        await until(lambda: len(operator.diagnoses) > 5, seconds=30)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10

    (lease,) = server.cluster.objects("Lease")
    assert lease["spec"]["holderIdentity"] == ""
    written = {one.path for one in server.asked("create", "clusterdiagnoses")}
    assert written
    half = [one["metadata"]["name"] for one in server.cluster.objects("ClusterDiagnosis") if not one.get("status")]
    assert len(half) <= 1, "at most the one that it was writing"


async def test_F28_killed_between_two_writes_it_goes_on_with_the_same_object(server: Server, tmp_path: Path) -> None:
    server.cluster.put(node("full", full=True))
    hang = server.fault(actions.hang(), on="patch", kind="clusterdiagnoses")
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await until(lambda: hang.hits, seconds=30)
    (half,) = server.cluster.objects("ClusterDiagnosis")
    assert "status" not in half
    hang.lift()
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")

    (whole,) = server.cluster.objects("ClusterDiagnosis")
    assert whole["metadata"]["uid"] == half["metadata"]["uid"]
