"""What is read from the Events about a node: golden samples of each form, and how often is often."""

from datetime import UTC, datetime, timedelta

import pytest

from kubedx.checks._support.garbage import shortage, trouble
from kubedx.checks._support.reports import Reports
from kubedx.checks._support.routes import NoRoute, no_route
from kubedx.core.inputs import EventRecord, minutes
from tests.unit.cluster_edits import decode

OLDEST = "failed to garbage collect required amount of images. Wanted to free 5182058496 bytes, but freed 0 bytes"
OLD = (
    "Failed to garbage collect required amount of images. Attempted to free 123 bytes, but only found 7 bytes eligible "
    "to free."
)
NEW = (
    "Insufficient free disk space on the node's image filesystem (88% of 26.4 GiB used). Failed to free sufficient "
    "space by deleting unused images (freed 385820817 bytes). Investigate disk usage, as it could be used by active "
    "images, logs, volumes, or other data."
)
IN_DELETION = "wanted to free 9 bytes, but freed 4 bytes space with errors in image deletion: image is in use"
SLOW = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
ROUTE = "Could not create route 6a3f1e6e 10.1.2.0/24 for node worker-1 after 1m2.5s: "


@pytest.mark.parametrize(("message", "freed"), [
    (OLDEST, 0), (OLD, 7), (NEW, 385820817), (IN_DELETION, None), (SLOW, None), ("", None),
])  # fmt: skip
def test_what_was_freed_is_read_in_each_form(message: str, freed: int | None) -> None:
    found = shortage(message)

    assert (found.freed if found else None) == freed


@pytest.mark.parametrize(("message", "expected"), [
    (OLDEST, "space"), (OLD, "space"), (NEW, "space"), (IN_DELETION, "deletion"), (SLOW, "stats"),
    (f"failed to get image stats: {SLOW}", "stats"), ("failed to get imageFs info: unable to find data", "stats"),
    ("rpc error: code = Unavailable desc = connection error", "stats"),
    ("invalid capacity 0 on image filesystem", "capacity"), ("something new", "other"),
])  # fmt: skip
def test_failures_of_the_garbage_collection_are_told_apart(message: str, expected: str) -> None:
    assert trouble(message) == expected


@pytest.mark.parametrize(("message", "expected"), [
    (ROUTE + "RouteLimitExceeded: too many", NoRoute("RouteLimitExceeded: too many", over_quota=True)),
    (ROUTE + "googleapi: Error 403: Quota 'ROUTES' exceeded. QUOTA_EXCEEDED, quotaExceeded",
     NoRoute("googleapi: Error 403: Quota 'ROUTES' exceeded. QUOTA_EXCEEDED, quotaExceeded", over_quota=True)),
    ("Aliyun API Error: RequestId: 1A Status Code: 400 Code: QuotaExceeded",
     NoRoute("Aliyun API Error: Status Code: 400 Code: QuotaExceeded", over_quota=True)),
    (ROUTE + "Cannot create more than 400 routes for route table a",
     NoRoute("Cannot create more than 400 routes for route table a", over_quota=True)),
    (ROUTE + "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'",
     NoRoute("Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'", over_quota=False)),
    (ROUTE + "Throttling: too many requests", NoRoute("Throttling: too many requests", over_quota=False)),
    ("", NoRoute("no reason is given", over_quota=False)),
])  # fmt: skip
def test_refused_routes_are_read(message: str, expected: NoRoute) -> None:
    assert no_route(message) == expected


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("count", "span", "expected"), [
    (5, minutes(4), True), (4, minutes(4), False), (5, minutes(30), True), (5, minutes(31), False),
    (543, timedelta(hours=27), True), (5, timedelta(0), True),
])  # fmt: skip
def test_what_comes_as_fast_as_a_spam_filter_lets_it_is_often(count: int, span: timedelta, expected: bool) -> None:  # noqa: FBT001
    record = EventRecord("R", "m", count, NOON, NOON + span, "kubelet")

    assert Reports("m", record, NOON, NOON + span, count).often(5, minutes(10)) == expected


def test_of_the_images_of_a_node_only_their_size_is_kept() -> None:
    images = [{"names": ["a"], "sizeBytes": 3 * 1024**3}, {"names": ["b"], "sizeBytes": 2 * 1024**3 - 1}, {}, 7]
    odd = [{"sizeBytes": "3"}, {"sizeBytes": -1}]

    assert decode("Node", {"metadata": {"name": "a"}, "status": {"images": images}}).form.status.images == 4
    assert decode("Node", {"metadata": {"name": "a"}, "status": {"images": odd}}).form.status.images == 0
    assert decode("Node", {"metadata": {"name": "a"}, "status": {"images": "none"}}).form.status.images == 0
