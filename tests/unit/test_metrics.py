"""The metrics: what Prometheus reads is what is so now, bounded, and readable whatever names people chose."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis, State, Suppression
from kubedx.report.metrics import MOST_NAMESPACES, MOST_SUBJECTS, OTHER, Facts, FactsCollector, WatchFacts
from tests.unit.toys import START, Story, finding, pod, toy

SICK = toy("pod_sick")


def exposed(facts: Facts) -> dict[str, Metric]:
    """What a scrape gives, read by Prometheus's own parser."""
    text = FactsCollector(lambda: facts).render().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(facts: Facts, name: str) -> list[Sample]:
    return [sample for sample in exposed(facts)[name].samples if sample.name.removesuffix("_total") == name]


def diagnosis(namespace: str = "x", name: str = "a") -> Diagnosis:
    story = Story(SICK)
    story.says(finding(SICK, pod(name, namespace), since=START))
    return story.one()


WEB = diagnosis()
ROOTS = (
    WEB,
    replace(WEB, name="silenced", suppression=Suppression("known")),
    replace(WEB, name="over", state=State.RESOLVED),
    replace(WEB, name="other", identity=("PodSick", Ref("Pod", "y", "b"))),
)
EVERYTHING = Facts(
    diagnoses=(WEB,),
    findings={
        "x": {("PodSick", "warning", "Pod", "cause"): 1},
        "y": {("PodSick", "warning", "Pod", "symptom"): 4},
    },
    checks={"PodSick": True, "NodeDown": False},
    evaluations={("PodSick", "evaluated"): 7},
    watches=[WatchFacts("Pod", synced=True, objects=12, last_heard=1.5e9, restarts={"gone": 2}, dropped=3)],
    writes={"ok": 5, "409": 1},
    left_out=4,
)


def test_names_and_labels_are_those_that_dashboards_and_alerts_rely_on() -> None:
    labels = {
        sample.name: set(sample.labels)
        for family in exposed(EVERYTHING).values()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }

    promised = {
        "kubedx_diagnoses": {"check", "severity", "namespace"},
        "kubedx_diagnosis_info": {"name", "check", "severity", "namespace", "kind", "subject"},
        "kubedx_findings": {"check", "severity", "namespace", "kind", "role"},
        "kubedx_suppressed_diagnoses": set(),
        "kubedx_check_enabled": {"check"},
        "kubedx_check_evaluations_total": {"check", "outcome"},
        "kubedx_watch_synced": {"kind"},
        "kubedx_watch_objects": {"kind"},
        "kubedx_watch_last_event_timestamp_seconds": {"kind"},
        "kubedx_watch_restarts_total": {"kind", "reason"},
        "kubedx_writes_total": {"result"},
        "kubedx_dropped_total": {"what"},
        "kubedx_leader": set(),
        "kubedx_loop_longest_turn_seconds": set(),
        "kubedx_build_info": {"version"},
    }
    assert labels | promised == labels


def test_an_open_root_is_counted_and_named() -> None:
    (count,) = samples(EVERYTHING, "kubedx_diagnoses")
    (info,) = samples(EVERYTHING, "kubedx_diagnosis_info")

    assert (count.value, count.labels) == (1, {"check": "PodSick", "severity": "warning", "namespace": "x"})
    assert info.labels == {
        "name": WEB.name, "check": "PodSick", "severity": "warning", "namespace": "x", "kind": "Pod", "subject": "a",
    }  # fmt: skip


def test_findings_are_told_by_role() -> None:
    assert {one.labels["role"]: one.value for one in samples(EVERYTHING, "kubedx_findings")} == {
        "cause": 1,
        "symptom": 4,
    }


def test_what_is_suppressed_alerts_nobody_but_is_counted() -> None:
    facts = Facts(diagnoses=(replace(WEB, suppression=Suppression("known")),))

    assert samples(facts, "kubedx_diagnosis_info") == []
    assert samples(facts, "kubedx_diagnoses") == []
    assert samples(facts, "kubedx_suppressed_diagnoses")[0].value == 1


def test_a_suppression_that_expired_alerts_again() -> None:
    facts = Facts(diagnoses=(replace(WEB, suppression=Suppression("known", START, expired=True)),))

    assert len(samples(facts, "kubedx_diagnosis_info")) == 1


def test_what_is_not_open_has_no_series() -> None:
    for state in (State.RESOLVED, State.UNKNOWN):
        facts = Facts(diagnoses=(replace(WEB, state=state),))
        assert samples(facts, "kubedx_diagnosis_info") == samples(facts, "kubedx_diagnoses") == []


def test_a_standby_tells_of_itself_and_of_no_diagnosis() -> None:
    standby = replace(EVERYTHING, is_leader=False, tells=False)

    for name in ("kubedx_diagnoses", "kubedx_diagnosis_info", "kubedx_findings"):
        assert samples(standby, name) == []
    assert samples(standby, "kubedx_leader")[0].value == 0
    assert samples(standby, "kubedx_watch_objects")[0].value == 12


def test_a_replica_that_cannot_renew_its_lease_goes_on_telling() -> None:
    cut_off = replace(EVERYTHING, is_leader=False)

    assert samples(cut_off, "kubedx_leader")[0].value == 0
    assert samples(cut_off, "kubedx_diagnoses") == samples(EVERYTHING, "kubedx_diagnoses") != []


def test_namespaces_beyond_a_thousand_are_added_up_under_one_name() -> None:
    sizes = {f"team-{number:04}": 1 + (number < 50) for number in range(MOST_NAMESPACES + 500)}
    facts = Facts(findings={name: {("PodSick", "warning", "Pod", "cause"): count} for name, count in sizes.items()})
    told = {one.labels["namespace"]: one.value for one in samples(facts, "kubedx_findings")}

    assert len(told) == MOST_NAMESPACES + 1
    assert told[OTHER] == 500
    assert sum(told.values()) == sum(sizes.values())
    assert all(told[f"team-{number:04}"] == 2 for number in range(50)), "those with most findings keep their names"


def test_subjects_with_a_series_of_their_own_are_bounded() -> None:
    facts = Facts(diagnoses=[replace(WEB, name=f"n{number}") for number in range(MOST_SUBJECTS + 20)])

    assert len(samples(facts, "kubedx_diagnosis_info")) == MOST_SUBJECTS
    assert samples(facts, "kubedx_diagnoses")[0].value == MOST_SUBJECTS + 20


def test_what_was_dropped_is_counted_by_what_it_was() -> None:
    assert {one.labels["what"]: one.value for one in samples(EVERYTHING, "kubedx_dropped")} == {
        "diagnoses": 4,
        "unreadable objects": 3,
    }


def counted(*names: str) -> dict[str, dict[tuple[str, ...], int]]:
    return {name: {("PodSick", "warning", "Pod", "cause"): 1 + len(names)} for name in names}


@given(
    st.lists(
        st.builds(
            lambda names, roots, tells: Facts(diagnoses=roots, findings=counted(*names), tells=tells),
            st.sets(st.sampled_from("xyz")), st.lists(st.sampled_from(ROOTS), unique_by=id), st.booleans(),
        ),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_what_was_scraped_before_leaves_no_trace(past: list[Facts]) -> None:
    facts = iter(past)
    collector = FactsCollector(lambda: next(facts))
    for told in past:
        afresh = FactsCollector(lambda told=told: told)  # type: ignore[misc]
        assert sorted(collector.render().splitlines()) == sorted(afresh.render().splitlines())


def test_the_text_says_what_the_families_say() -> None:
    collector = FactsCollector(lambda: EVERYTHING)
    told = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in collector.collect()
        for sample in family.samples
    }
    read = {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in exposed(EVERYTHING).values()
        for sample in family.samples
    }

    assert told == read
    assert {family.type for family in exposed(EVERYTHING).values()} == {"gauge", "counter", "summary"}


def test_names_that_are_told_alike_are_added_up() -> None:
    facts = Facts(
        findings={
            name: {("PodSick", "warning", name, "cause"): 1} for name in ("password=one-two", "password=or-three")
        }
    )

    (one,) = samples(facts, "kubedx_findings")
    assert one.value == 2


def test_the_longest_turn_of_the_loop_is_told() -> None:
    assert samples(Facts(longest_turn=0.25), "kubedx_loop_longest_turn_seconds")[0].value == 0.25


def _wild() -> Iterator[str]:
    yield from ("a\nb", 'a"b', "a\\b", "\ud800", "", "x" * 5000, "ключ", "\x00")


@given(st.one_of(st.sampled_from(list(_wild())), st.text(st.characters(exclude_categories=()), max_size=30)))
def test_no_name_breaks_a_scrape(name: str) -> None:
    facts = Facts(
        diagnoses=(replace(WEB, identity=("PodSick", Ref(f"Pod{name}", name, name))),),
        findings={name: {("PodSick", "warning", name, "cause"): 1}},
    )

    assert len(samples(facts, "kubedx_diagnosis_info")) == 1
    assert samples(facts, "kubedx_findings")[0].value == 1
