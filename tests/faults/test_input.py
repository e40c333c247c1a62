"""I1 to I16: what objects may say, and that it does no harm. docs/reliability.md lists the cases."""

import copy
import io
import itertools
import json
import logging
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubedx.checks import registry
from kubedx.core.check import Check
from kubedx.core.message import command
from tests.checks.cases import Case
from tests.faults import regexes
from tests.faults.looks import (
    SOME,
    STORIES,
    UNSEEN,
    broken,
    changed,
    each_story,
    logging_to,
    look,
    look_again,
    outputs,
    plain,
)

REGISTRY = registry()
MESSAGES = ("message", "reason", "note")
TRICKS = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear the screen": "\x1b[2J\x1b[H",
    "link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x07",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "device control": "\x1bP$q\x1b\\",
    "8-bit controls": "\x9b31m\x90\x9d",
    "overwrite": "bad\rgood\x08\x08\x08\x08",
    "forged line": '"}\n{"level":"error","message":"forged"}\ncritical  NodeNotReady  Node/forged',
    "right to left": "\u202egnp.exe\u2066\u2067\u061c",
    "invisible": "a\u200bd\u200dm\ufeffin\u00ad\U000e0041\u2028",
    "half a character": "\ud83d \udc00",
    "nothing": "\x00",
}


def story_with(case: Case, trick: str) -> list[dict[str, Any]]:
    return changed(copy.deepcopy(case.objects), MESSAGES, lambda said: f"{said} {trick}")  # type: ignore[no-any-return]


@each_story
def test_I1_I2_I4_no_trick_of_a_message_reaches_terminal_object_or_metric(case: Case) -> None:
    report = look_again(case, story_with(case, " ".join(TRICKS.values())))

    for where, said in outputs(report):
        assert UNSEEN.search(said) is None, where


NAMES = ("name", "claimName", "storageClassName", "provisioner", "nodeName", "image")


@each_story
def test_I1_I2_I4_no_trick_of_a_name_reaches_terminal_object_or_metric(case: Case) -> None:
    trick = "".join(TRICKS.values())
    objects = changed(copy.deepcopy(case.objects), NAMES, lambda said: f"{said}{trick}")
    for one in objects:
        for owner in one["metadata"].get("ownerReferences", ()):
            owner["kind"] = f"{owner['kind']}{trick}"

    for where, said in outputs(look_again(case, objects)):
        assert UNSEEN.search(said) is None, where


def test_I1_I2_I4_no_trick_of_a_reason_to_silence_reaches_terminal_or_object() -> None:
    """Many may patch a diagnosis who may not see each other's terminals."""
    trick = "".join(TRICKS.values()).replace("\x00", "").encode("utf-8", "replace").decode()
    (case,) = (case for case in SOME if case.check == "NodeDiskPressure")
    silenced = {"suppressions": [{"check": "NodeDiskPressure", "reason": trick[:200]}]}
    report = look(*case.objects, now=case.now, policy=silenced)

    assert report.diagnoses[0].silenced
    for where, said in outputs(report):
        assert UNSEEN.search(said) is None, where


def logged(form: str, *args: object, **options: Any) -> list[str]:
    """What becomes of a warning in the log: its lines."""
    stream = io.StringIO()
    with logging_to(stream, form):
        logging.getLogger("kopf.objects").warning(*args, **options)
    return stream.getvalue().splitlines()


def test_I3_a_forged_log_line_stays_one_record() -> None:
    forged = TRICKS["forged line"] + TRICKS["colour"]
    (line,) = logged("json", "The server said: %s", forged, extra={"detail": forged})
    record = json.loads(line)

    assert record["levelname"] == "WARNING"
    assert record["message"].endswith("\\x1b[31mred\\x1b[0m")
    assert UNSEEN.search(record["message"] + record["detail"]) is None


def test_I3_a_forged_log_line_stays_one_line_of_text() -> None:
    (line,) = logged("text", "The server said: %s", TRICKS["forged line"])

    assert "forged" in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_I3_an_exception_that_says_something_forged_begins_no_line(form: str) -> None:
    error = ValueError("a\n2026-01-01 00:00:00,000 ERROR forged\x1b[2J")
    lines = logged(form, "It broke", exc_info=error)

    assert len([line for line in lines if re.match(r"[{2]", line)]) == 1
    assert "ERROR forged" in "".join(lines)
    assert all(UNSEEN.search(line) is None for line in lines)


MARKUP = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) ![x](https://evil.example/x.png) "
    "[bold red]x[/] [link=https://evil.example]x[/link]"
)
FORMATS = "{0.__class__} {name.__class__.__mro__} %s%n%(x)s ${jndi:ldap://x} {{ 7*7 }} {} $(reboot)"


def test_I5_I6_markup_and_templates_are_shown_as_the_text_that_they_are() -> None:
    quoting = 0
    for case in SOME:
        report = look_again(case, story_with(case, f"{MARKUP} {FORMATS}"))
        said = dict(outputs(report))
        assert broken(report) == {}
        for one in report.diagnoses:
            if MARKUP in one.message:
                quoting += 1
                assert FORMATS in one.message
                assert f"{MARKUP} {FORMATS}" in said["-o table"]

    assert quoting > 10


def test_I5_nothing_that_is_installed_renders_what_the_cluster_says() -> None:
    chart = Path(__file__).parents[2] / "charts/kubedx"
    rendered = [path.name for path in chart.rglob("*") if re.search(r"dashboard|\.html|grafana", path.name)]

    assert rendered == [], "a dashboard needs a test that its panels show messages as text"


@pytest.mark.parametrize("name", [*FORMATS.split(" "), "a; reboot", "`reboot`", "a\nreboot", "a'b", 'a"b', "a b", "\\"])
def test_I6_a_name_in_a_command_is_one_word_and_runs_nothing(name: str) -> None:
    for check in REGISTRY:
        for step in check.steps:
            params = dict.fromkeys(check.placeholders | {"kind", "namespace", "name"}, "plain")
            harmless = shlex.split(command(step.command, params))
            words = shlex.split(command(step.command, dict.fromkeys(params, name)))
            assert words == [word.replace("plain", name) for word in harmless]


def test_I7_links_to_runbooks_hold_nothing_that_a_tenant_may_choose() -> None:
    rules = yaml.safe_load((Path(__file__).parents[2] / "charts/kubedx/files/alerts.yaml").read_text())
    links = {rule["annotations"]["runbook_url"] for group in rules["groups"] for rule in group["rules"]}
    labels = {label for link in links for label in re.findall(r"\{\{(.*?)\}\}", link)}

    assert labels == {" $labels.check "}
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", check.id) for check in REGISTRY)


PATTERNS = regexes.patterns()


def test_I8_every_regular_expression_of_the_package_is_found() -> None:
    assert len(PATTERNS) > 80
    assert {"kubedx.kube.text._QUERY[0]", "kubedx.watch.dump._YAML_MARK[0]"} <= set(PATTERNS)


@pytest.mark.parametrize("where", PATTERNS)
def test_I8_the_time_to_search_grows_as_the_text_does(where: str) -> None:
    pattern = PATTERNS[where]
    slow = [
        slow for beginning, piece in regexes.hard_texts(pattern)
        if (slow := regexes.growth(where, pattern, beginning, piece))
    ]  # fmt: skip

    assert slow == []


@pytest.mark.parametrize("source", [r"\s*end", r"from .* to here", r"\w*x: "])
def test_I8_a_search_whose_time_grows_with_the_square_is_noticed(source: str) -> None:
    pattern = re.compile(source)

    assert any(regexes.growth("here", pattern, *text) for text in regexes.hard_texts(pattern))


def test_I8_a_pattern_that_is_tried_at_one_place_is_not_searched_for() -> None:
    for module, names in regexes.AT_ONE_PLACE.items():
        source = Path(__file__).parents[2].joinpath("operator", *module.split(".")).with_suffix(".py").read_text()
        for name in names:
            assert re.search(rf"{name}\.(search|split|sub|find\w+)\(", source) is None


BAD = st.sampled_from((
    None, "", "x", 0, -1, 1 << 70, 1.5, True, [], {}, [None], {"a": None}, "-1", "5", ["x"], "\ud800", float("nan"),
    float("inf"), "CrashLoopBackOff", "True", [[]], {"": {}}, "9" * 400,
))  # fmt: skip
BY_CHECK = {check.id: [case for case in STORIES.values() if case.check == check.id] for check in REGISTRY}


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in an object but what makes it one: its version and kind."""
    found = [before] if before and before not in {("apiVersion",), ("kind",)} else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, item in inner for place in places(item, (*before, key))]


@st.composite
def damaged(draw: st.DrawFn, case: Case) -> list[bytes]:
    """The objects of a case, in some of which fields are missing or hold what does not belong there."""
    objects = copy.deepcopy(case.objects)
    for _ in range(draw(st.integers(1, 4))):
        one = objects[draw(st.integers(0, len(objects) - 1))]
        place = draw(st.sampled_from(places(one) or [("metadata",)]))
        holder = one
        for key in place[:-1]:
            holder = holder[key] if isinstance(holder, list) or key in holder else {}
        if draw(st.booleans()) and isinstance(holder, dict):
            holder.pop(place[-1], None)
        elif isinstance(holder, dict) or (isinstance(holder, list) and place[-1] < len(holder)):
            holder[place[-1]] = copy.deepcopy(draw(BAD))
    return [_bytes(one) for one in objects]


def _bytes(body: Any) -> bytes:
    """JSON as others may write it: a number beyond all bounds for infinity, and NaN, which is none."""
    return json.dumps(plain(body)).replace("Infinity", "1e309").encode()


@pytest.mark.parametrize("check", list(REGISTRY), ids=[check.id for check in REGISTRY])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_I9_no_damaged_object_breaks_a_check(check: Check, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(BY_CHECK[check.id]))
    report = look_again(case, data.draw(damaged(case)))

    assert broken(report) == {}
    for _, said in outputs(report):
        said.encode()


QUANTITIES = (
    "1e3",
    "0.5",
    "100m",
    "1Ei",
    "-1",
    "∞",
    "",
    "1 Gi",
    "1" + "0" * 30,
    10**30,
    1.5,
    -1,
    True,
    None,
    "NaN",
    "0x10",
    "1e309",
)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_I10_a_quantity_of_any_form_is_shown_as_it_is_or_left_out(quantity: object) -> None:
    for case in (one for one in SOME if one.check in {"PodOOMKilled", "QuotaExceeded", "PodEvictedNodePressure"}):
        objects = changed(copy.deepcopy(case.objects), (), str)
        for one in objects:
            for container in one.get("spec", {}).get("containers", ()):
                container["resources"] = {
                    "limits": {"memory": quantity},
                    "requests": {"memory": quantity, "cpu": quantity},
                }
            if one["kind"] == "ResourceQuota":
                one["status"] = {"hard": {"pods": quantity, "memory": quantity}, "used": {"pods": quantity}}
        report = look_again(case, objects)

        assert broken(report) == {}
        assert report.problems == ()
        told = {one.check.id for one in report.diagnoses} | {
            below.check for one in report.diagnoses for below in one.explains
        }
        assert case.check == "QuotaExceeded" or case.check in told


TIMES = ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
         "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456789Z", "2026-01-01T05:30:00+05:30",
         "2025-12-31T23:59:60Z", "1969-12-31T23:59:59Z", "2026-01-01", "2026-01-01T00:00:00", "yesterday", "", None,
         1767225600, "2026-13-01T00:00:00Z", "10000-01-01T00:00:00Z", "2026-01-01t00:00:00z")  # fmt: skip


@pytest.mark.parametrize("time", TIMES)
def test_I11_no_time_breaks_a_check_or_gives_a_nonsense_age(time: object) -> None:
    for case in SOME:
        report = look_again(case, with_times(case, time))
        assert broken(report) == {}
        for one in report.diagnoses:
            assert OLDEST <= one.first_seen <= case.now + timedelta(days=1), f"{one.check.id} {one.first_seen}"
        assert not re.search(r" -\d+[smhd]\b", dict(outputs(report, forms=("table",)))["-o table"])


OLDEST = datetime(2000, 1, 1, tzinfo=UTC)


def with_times(case: Case, time: object) -> list[dict[str, Any]]:
    def replaced(value: Any) -> Any:
        if isinstance(value, datetime):
            return time
        if isinstance(value, dict):
            return {key: replaced(item) for key, item in value.items()}
        return [replaced(item) for item in value] if isinstance(value, list) else value

    return replaced(copy.deepcopy(case.objects))  # type: ignore[no-any-return]


FUTURE = ("CrashLoopBackOff", "Succeding", "ContainerStatusUnknown", "", "running")


@pytest.mark.parametrize("word", FUTURE)
def test_I12_words_of_other_versions_are_taken_for_none_that_we_know(word: str) -> None:
    """As in a bundle of troubleshoot, where a phase is CrashLoopBackOff."""
    for case in SOME:
        for fields in (("phase",), ("phase", "reason", "type", "status")):
            objects = changed(copy.deepcopy(case.objects), fields, lambda _: word)
            report = look_again(case, objects)
            assert broken(report) == {}


def pending_claim() -> dict[str, Any]:
    metadata = {"name": "data", "namespace": "shop", "uid": "u-data", "creationTimestamp": "2026-01-01T10:00:00Z"}
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
        "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"},
    }  # fmt: skip


FAST = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "csi.example",
}
FAILED = 'failed to provision volume with StorageClass "fast": the array is full'


def event(**more: Any) -> dict[str, Any]:
    about = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data", "uid": "u-data"}
    return {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"}, "type": "Warning",
        "reason": "ProvisioningFailed", "message": FAILED, "involvedObject": about, "count": 3,
        "firstTimestamp": "2026-01-01T11:00:00Z", "lastTimestamp": "2026-01-01T11:59:00Z", **more,
    }  # fmt: skip


NEW_FORM = {
    "count": None, "firstTimestamp": None, "lastTimestamp": None, "eventTime": "2026-01-01T11:00:00.000000Z",
    "series": {"count": 7, "lastObservedTime": "2026-01-01T11:59:00.000000Z"}, "reportingComponent": "csi.example",
}  # fmt: skip
ONCE = {**NEW_FORM, "series": None, "eventTime": "2026-01-01T11:59:00.000000Z"}


def said_of_the_claim(*events: dict[str, Any]) -> str:
    report = look(pending_claim(), FAST, *events)
    assert broken(report) == {}
    return " ".join(one.message for one in report.diagnoses if one.subject.name == "data")


@pytest.mark.parametrize("form", [{}, NEW_FORM, ONCE], ids=["count", "series", "eventTime only"])
def test_I13_an_event_of_either_api_is_evidence_about_the_object_of_its_uid(form: dict[str, Any]) -> None:
    assert "the array is full" in said_of_the_claim(event(**form))


@pytest.mark.parametrize("about", [
    None, {}, {"kind": "PersistentVolumeClaim"},
    {"kind": "Pod", "namespace": "shop", "name": "data", "uid": "u-pod"},
    {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data", "uid": "u-of-another"},
    {"kind": "PersistentVolumeClaim", "namespace": "other", "name": "data", "uid": "u-other"},
])  # fmt: skip
def test_I13_an_event_about_no_object_that_lives_is_ignored(about: object) -> None:
    assert "the array is full" not in said_of_the_claim(event(involvedObject=about))


def test_I14_an_event_about_an_object_that_is_gone_is_no_finding() -> None:
    for case in SOME:
        events = [one for one in case.objects if one["kind"] == "Event"]
        report = look_again(case, events)
        assert [one.message for one in report.diagnoses] == []


def healthy() -> list[dict[str, Any]]:
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    running = {
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "ready": True,
        "name": "c",
        "restartCount": 0,
    }
    born = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-set", "controller": True}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "u-n1", **born},
         "status": {"conditions": [ready]}},
        {"apiVersion": "v1", "kind": "Pod",
         "metadata": {"name": "web", "namespace": "shop", "uid": "u-web", "ownerReferences": [owner], **born},
         "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "web:1"}]},
         "status": {"phase": "Running", "conditions": [ready], "containerStatuses": [running],
                    "startTime": born["creationTimestamp"]}},
    ]  # fmt: skip


FORGED = ("NodeNotReady", "OOMKilling", "SystemOOM", "Evicted", "FailedMount", "Failed", "FailedScheduling", "BackOff",
          "FailedCreate", "ProvisioningFailed", "NodeHasDiskPressure", "TaintManagerEviction")  # fmt: skip


def test_I15_forged_events_make_no_healthy_node_or_pod_sick() -> None:
    """Whoever may create Events in a namespace chooses reason, message and object: status decides."""
    node = {"kind": "Node", "name": "n1", "uid": "n1"}
    pod = {"kind": "Pod", "namespace": "shop", "name": "web", "uid": "u-web"}
    forged = [
        event(metadata={"name": f"{about['kind'].lower()}-{reason.lower()}", "namespace": "shop"}, reason=reason,
              message=f"Node is not ready, out of memory, Back-off restarting: {reason}", involvedObject=about)
        for reason in sorted({*FORGED, *REGISTRY.event_reasons}) for about in (node, pod)
    ]  # fmt: skip

    assert look(*healthy()).diagnoses == look(*healthy(), *forged).diagnoses == ()


def test_I16_annotations_are_not_parsed() -> None:
    claim = pending_claim()
    deep = "[" * 100_000 + "]" * 100_000
    bomb = "a: &a [x,x]\n" + "".join(
        f"{two}: &{two} [*{one},*{one}]\n" for one, two in itertools.pairwise("abcdefghijklmnop")
    )
    claim["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": deep, "bomb": bomb}
    report = look(claim, FAST, event())

    assert "the array is full" in report.diagnoses[0].message
    assert all("[[" not in said and "bomb" not in said for _, said in outputs(report))


def test_I16_an_object_that_is_itself_nested_without_end_costs_that_object() -> None:
    deep = b'{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "deep", "managedFields": ' + b"[" * 50_000
    report = look(deep + b"]" * 50_000 + b"}}", pending_claim(), FAST, event())

    assert len(report.diagnoses) == 1
    assert "deep" in " ".join(report.problems) or report.complete
