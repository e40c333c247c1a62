"""O1 to O11, and H7: what kubedx writes and exports stays bounded and right. docs/reliability.md has the cases.

O3 is also in test_text.py, H5 in test_operator_faults.py; F14 is here as it is about what the probes answer.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kubedx.api.diagnosis import read
from kubedx.api.model import API_VERSION
from kubedx.app import STUCK_AFTER
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.report.http import serve
from kubedx.report.metrics import MOST_NAMESPACES, MOST_SUBJECTS, OTHER, Facts, FactsCollector
from kubedx.report.objects import MANAGED_BY, meaning, status
from kubedx.report.writer import Do, Known, Wished, plan
from tests.faults import actions
from tests.faults.looks import NOW, look
from tests.faults.operating import Operating, node, operating
from tests.faults.server import Server
from tests.faults.state import resource_of
from tests.faults.watching import pod, until
from tests.unit.toys import START, Story, finding, toy
from tests.unit.toys import pod as named

LARGEST_STATUS = 16 << 10
MOST_OBJECTS = 500
MANY = 10_000
SICK = toy("pod_sick", clear_after=timedelta(minutes=1))


def crashing(number: int, owner: str = "") -> bytes:
    """A pod that crashes again and again."""
    metadata: dict[str, Any] = {"name": f"web-{number:05}", "namespace": f"team-{number % 7}", "uid": f"u-{number}"}
    if owner:
        metadata |= {"namespace": "shop", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": "u-rs", "controller": True}
        ]}  # fmt: skip
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "finishedAt": "2026-01-01T11:55:00Z",
        "startedAt": "2026-01-01T11:54:00Z",
    }
    unready = {"status": "False", "reason": "ContainersNotReady", "lastTransitionTime": "2026-01-01T11:00:00Z"}
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {"nodeName": "n1", "containers": [{"name": "web", "image": "web:1"}]},
        "status": {
            "phase": "Running", "startTime": "2026-01-01T11:00:00Z",
            "conditions": [{"type": kind, **unready} for kind in ("Ready", "ContainersReady")],
            "containerStatuses": [{
                "name": "web", "restartCount": 9, "ready": False, "lastState": {"terminated": ended},
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed"}},
            }],
        },
    }).encode()  # fmt: skip


def test_O1_ten_thousand_broken_pods_of_one_deployment_are_one_diagnosis_with_a_count_and_samples() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u-d", "controller": True}
    replicas = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u-rs", "ownerReferences": [owner]},
    }  # fmt: skip
    (found,) = look(replicas, *(crashing(number, "web-1") for number in range(MANY))).diagnoses

    assert (found.subject.text, found.members) == ("Deployment/shop/web", MANY)
    assert len(status(found).model_dump_json()) <= LARGEST_STATUS


@pytest.fixture(scope="module")
def lonely() -> list[Diagnosis]:
    """What is said about ten thousand broken pods that nothing owns."""
    return list(look(*(crashing(number) for number in range(MANY))).diagnoses)


def test_O2_of_ten_thousand_diagnoses_the_first_500_get_objects_and_the_others_are_counted(
    lonely: list[Diagnosis],
) -> None:
    writes, left_out = plan([Wished(one) for one in lonely], {}, MOST_OBJECTS, NOW)

    assert (len(lonely), len(writes), left_out) == (MANY, MOST_OBJECTS, MANY - MOST_OBJECTS)
    assert all(write.wished and len(write.wished.status.model_dump_json()) <= LARGEST_STATUS for write in writes[:50])


def test_O3_a_message_of_a_mebibyte_fits_into_an_object_and_says_how_much_is_missing() -> None:
    sick = node("full", full=True)
    sick["metadata"]["uid"] = "u-full"
    sick["status"]["conditions"][0] |= {
        "message": "Grüße 🦊 " * (1 << 17),
        "lastTransitionTime": "2026-01-01T11:00:00Z",
    }
    found = look({"apiVersion": "v1", **sick}).diagnoses
    assert [one.check.id for one in found] == ["NodeDiskPressure", "ObjectSizeNearLimit"], "it is too large, too"
    written = json.dumps(status(found[0]).patch(), ensure_ascii=False)

    assert len(written.encode()) <= LARGEST_STATUS
    assert "characters)" in written


@pytest.fixture
async def quiet(server: Server, tmp_path: Path) -> Any:
    """An operator that has said what there is to say."""
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        await operator.finds(full="Open")
        yield operator


async def test_O4_while_nothing_means_anything_new_nothing_is_written(server: Server, quiet: Operating) -> None:
    before = len(server.asked("create update patch delete", "clusterdiagnoses"))
    heard = await quiet.metric("kubedx_watch_last_event_timestamp_seconds", kind="Node")
    full = server.cluster.get(resource_of("Node"), ("", "full"))
    for beat in range(200):
        heartbeat = f"2030-01-01T00:{beat // 60:02}:{beat % 60:02}Z"
        conditions = [{**one, "lastHeartbeatTime": heartbeat} for one in full["status"]["conditions"]]
        server.cluster.put({**full, "status": {"conditions": conditions, "images": [{"names": [str(beat)]}]}})
        await asyncio.sleep(0.005)
    await asyncio.sleep(2.5)

    assert await quiet.metric("kubedx_watch_last_event_timestamp_seconds", kind="Node") > heard
    assert len(server.asked("create update patch delete", "clusterdiagnoses")) == before


def test_O5_a_pod_that_flaps_each_five_seconds_for_an_hour_is_one_diagnosis_that_is_written_once() -> None:
    story = Story(SICK)
    meanings = [*_meanings(story, 3600 // 5, broken=5, well=5)]

    assert len({one.name for one in story.diagnoses()}) == 1
    assert len(meanings) == 1


def test_O5_what_flaps_slower_than_it_is_withdrawn_is_counted_and_kept_open_from_its_third_return_on() -> None:
    story = Story(SICK)
    meanings = [*_meanings(story, 20, broken=90, well=90)]
    (found,) = story.diagnoses()

    assert (found.flaps, found.is_flapping) == (3, True)
    assert len(meanings) == 1 + 2 * 3, "opened, and three times closed and opened, in twenty rounds of three minutes"


def _meanings(story: Story, rounds: int, *, broken: int, well: int) -> Iterator[tuple[object, ...]]:
    """Each status of the one diagnosis that is worth a write, one after the other."""
    last: tuple[object, ...] | None = None
    for _ in range(rounds):
        for says, seconds in ((True, broken), (False, well)):
            if says:
                story.says(finding(SICK, named("a"), since=story.now))
            else:
                story.silent(SICK, named("a"))
            for _ in range(seconds // 5):
                story.later(seconds=5)
                now = [meaning(status(one)) for one in story.diagnoses() if one.settled]
                if now and now[0] != last:
                    last = now[0]
                    yield last


def alien(number: int, **labels: str) -> Known:
    """An object of our kind that somebody else created."""
    metadata = {"name": f"alien-{number}", "uid": f"u-{number}", "resourceVersion": "1", "labels": labels}
    return Known(read({"apiVersion": API_VERSION, "kind": "ClusterDiagnosis", "metadata": metadata}))


def test_O6_a_thousand_objects_of_our_kind_that_others_created_are_left_alone_and_take_no_place() -> None:
    story = Story(SICK)
    story.says(*(finding(SICK, named(f"p{number}"), since=START) for number in range(MOST_OBJECTS)))
    story.later(seconds=2)
    known = {f"alien-{number}": alien(number) for number in range(1000)}
    writes, left_out = plan([Wished(one) for one in story.diagnoses()], known, MOST_OBJECTS, story.now)

    assert left_out == 0
    assert {write.do for write in writes} == {Do.CREATE}
    assert len(writes) == MOST_OBJECTS


async def test_O6_even_objects_that_claim_to_be_ours_cost_no_more_writes_a_second_than_allowed(
    server: Server, tmp_path: Path
) -> None:
    for number in range(1000):
        metadata = {"name": f"alien-{number}", "labels": {**MANAGED_BY}}
        server.cluster.put({"apiVersion": API_VERSION, "kind": "ClusterDiagnosis", "metadata": metadata})
    server.cluster.put(node("full", full=True))
    async with operating(server, tmp_path) as operator:
        await operator.ready()
        begun = time.monotonic()
        await asyncio.sleep(4)
        writes = server.asked("create update patch delete", "clusterdiagnoses")
        seconds = time.monotonic() - begun

    assert writes
    assert len(writes) <= 10 * seconds + 10


@asynccontextmanager
async def scraped(facts: Facts) -> Any:
    """Facts behind /metrics, and a function that asks for them."""
    async with (
        serve("127.0.0.1", 0, FactsCollector(lambda: facts), str, str) as port,
        aiohttp.ClientSession() as session,
    ):

        async def ask() -> dict[str, list[Sample]]:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == 200
                text = await answer.text()
            return {family.name: family.samples for family in text_string_to_metric_families(text)}

        yield ask


async def test_O7_ten_thousand_diagnoses_in_as_many_namespaces_have_few_series_that_add_up(
    lonely: list[Diagnosis],
) -> None:
    spread = [
        replace(one, identity=(one.check.id, Ref("Pod", f"ns-{number}", one.subject.name)))
        for number, one in enumerate(lonely)
    ]
    async with scraped(Facts(diagnoses=spread)) as ask:
        found = await ask()
    counts = {one.labels["namespace"]: one.value for one in found["kubedx_diagnoses"]}

    assert len(found["kubedx_diagnosis_info"]) == MOST_SUBJECTS
    assert len(counts) == MOST_NAMESPACES + 1
    assert counts[OTHER] == MANY - MOST_NAMESPACES
    assert sum(counts.values()) == MANY


@pytest.mark.parametrize(
    "name", ["\ud800", "\x00", "a\nb", 'a"b', "a\\b", "\x1b[2J", "\u202e", '\\\n"', "\r", "\u2028"]
)
async def test_O8_no_name_breaks_a_scrape_over_http(lonely: list[Diagnosis], name: str) -> None:
    one = replace(lonely[0], identity=(lonely[0].check.id, Ref("Pod", name, name)))
    async with scraped(Facts(diagnoses=[one])) as ask:
        (info,) = (await ask())["kubedx_diagnosis_info"]

    assert info.labels["subject"].isprintable()


async def test_O9_the_series_of_a_deleted_object_are_gone_at_once(server: Server, quiet: Operating) -> None:
    assert await quiet.metric("kubedx_diagnosis_info", subject="full") == 1
    server.cluster.delete("Node", "full")
    await quiet.finds(full="Resolved")

    assert await quiet.metric("kubedx_diagnosis_info", subject="full") == 0
    assert await quiet.metric("kubedx_diagnoses") == await quiet.metric("kubedx_findings") == 0


async def test_O10_no_name_of_a_metric_or_label_comes_from_the_cluster(lonely: list[Diagnosis]) -> None:
    one = replace(lonely[0], identity=(lonely[0].check.id, Ref("kind{", 'evil="1"', "x} 1\nevil 1")))
    async with scraped(Facts()) as ask:
        before = await ask()
    async with scraped(Facts(diagnoses=[one])) as ask:
        after = await ask()

    assert set(after) == set(before)
    assert [set(sample.labels) for sample in after["kubedx_diagnosis_info"]] == [
        {"name", "check", "severity", "namespace", "kind", "subject"}
    ]


async def test_O11_ten_scrapes_at_a_time_while_everything_changes_agree_with_themselves(
    server: Server, quiet: Operating
) -> None:
    async def change() -> None:
        for number in range(10_000):
            server.cluster.put(node(f"n{number % 40}", full=number % 3 == 0))
            await asyncio.sleep(0.002)

    changing = asyncio.create_task(change())
    try:
        for _ in range(5):
            begun = time.monotonic()
            pages = await asyncio.gather(*(quiet.get("/metrics") for _ in range(10)))
            assert time.monotonic() - begun < 10
            for code, text in pages:
                found = {family.name: family.samples for family in text_string_to_metric_families(text)}
                counted = sum(sample.value for sample in found["kubedx_diagnoses"])
                assert (code, counted) == (200, len(found["kubedx_diagnosis_info"]))
    finally:
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing


async def test_F14_when_diagnosing_stands_still_the_liveness_probe_fails_until_it_goes_on(
    server: Server, quiet: Operating
) -> None:
    assert (await quiet.get("/healthz"))[0] == 200
    quiet.app._last_turn = time.monotonic() - STUCK_AFTER - 1
    code, said = await quiet.get("/healthz")
    server.cluster.put(node("new"))
    await asyncio.sleep(1)

    assert (code, said) == (503, "the main loop has not turned for 61 seconds\n")
    assert (await quiet.get("/healthz"))[0] == 200


async def test_H7_whatever_happens_nothing_is_written_but_its_own_kinds_and_its_lease(
    server: Server, tmp_path: Path
) -> None:
    server.cluster.put(node("full", full=True))
    server.cluster.put({**pod("a"), "metadata": {"name": "a", "finalizers": ["example.com/x"]}})
    async with operating(server, tmp_path, lease_namespace="kubedx-system", identity="me") as operator:
        await operator.ready()
        await operator.finds(full="Open")
        for code in (403, 409, 500):
            server.fault(actions.refuse(code), on="write", times=3)
            server.cluster.put(node(f"full-{code}", full=True))
        await until(lambda: len(operator.diagnoses) == 4, f"{operator.diagnoses}", 60)

    assert {one.kind.kind for one in server.writes} == {"ClusterDiagnosis", "DiagnosisPolicy", "Lease"}
    assert server.strange_writes == []
