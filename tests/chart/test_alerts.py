"""The alerts, run by promtool against stories of what Prometheus scraped, a sample a minute."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from kubedx.checks import registry
from kubedx.generate.alerts import ALERTS, BLINDNESS, CHECK_PAGE
from kubedx.report.metrics import Facts, FactsCollector
from tests.chart.helm import CHART, ROOT, Helm, only

RULES = CHART / "files" / "alerts.yaml"
A, B = 'pod="kubedx-a",instance="10.0.0.1:8080"', 'pod="kubedx-b",instance="10.0.0.2:8080"'

DISK = 'check="NodeDiskPressure",name="node-disk-pressure-real-1-93aa17d0",kind="Node",subject="real-1"'
CRITICAL = 'kubedx_diagnosis_info{{severity="critical",{disk},{replica}}}'
WARNING = 'kubedx_diagnosis_info{{severity="warning",{disk},{replica}}}'


def _both(metric: str, labels: str, values: str) -> dict[str, str]:
    return {f"{metric}{{{','.join(filter(None, (labels, replica)))}}}": values for replica in (A, B)}


HEALTHY = {
    **_both("kubedx_build_info", 'version="0.1.0"', "1x60"),
    f"kubedx_leader{{{A}}}": "1x60",
    f"kubedx_leader{{{B}}}": "0x60",
    **_both("kubedx_watch_synced", 'kind="Node"', "1x60"),
    **_both("kubedx_watch_synced", 'kind="Pod"', "1x60"),
    **_both("kubedx_watch_last_event_timestamp_seconds", 'kind="Node"', "0+60x60"),
    **_both("kubedx_watch_last_event_timestamp_seconds", 'kind="Pod"', "0+60x60"),
    **_both("kubedx_check_evaluations_total", 'check="NodeNotReady",outcome="evaluated"', "0+5x60"),
    **_both("kubedx_check_evaluations_total", 'check="NodeNotReady",outcome="failed"', "0x60"),
    **_both("kubedx_dropped_total", 'what="diagnoses"', "0x60"),
    **_both("kubedx_writes_total", 'result="ok"', "0+2x60"),
    **_both("kubedx_writes_total", 'result="409"', "0+1x60"),
}


def _killed_after_ten_minutes(replica: str) -> dict[str, str]:
    return {name: values.replace("x60", "x10 stale") for name, values in HEALTHY.items() if replica in name}


def _disk(template: str, **values: str) -> dict[str, str]:
    replicas = {"a": A, "b": B}
    return {template.format(disk=DISK, replica=replicas[name]): samples for name, samples in values.items()}


@dataclass(frozen=True)
class Story:
    """What happened, and how many alerts of each name fire at which minute.

    Attributes:
        series: What was scraped beside, or instead of, a healthy operator with two replicas.
        fires: By minute.
        healthy: What a healthy operator exports; empty where there is none.
    """

    series: dict[str, str]
    fires: dict[int, dict[str, int]]
    healthy: dict[str, str] = field(default_factory=lambda: HEALTHY)


STORIES = {
    "nothing is wrong": Story({}, {0: {}, 5: {}, 20: {}, 60: {}}),
    "a critical problem pages at once": Story(
        _disk(CRITICAL, a="_x4 1x20"),
        {3: {}, 4: {"KubedxDiagnosisCritical": 1}, 20: {"KubedxDiagnosisCritical": 1}},
    ),
    "two replicas that export the same problem are one alert": Story(
        _disk(CRITICAL, a="1x20", b="1x20"), {1: {"KubedxDiagnosisCritical": 1}, 20: {"KubedxDiagnosisCritical": 1}}
    ),
    "another replica takes over: one alert, without a break": Story(
        _disk(CRITICAL, a="1x10 stale", b="_x12 1x20"),
        {minute: {"KubedxDiagnosisCritical": 1} for minute in range(1, 30)},
    ),
    "the problem is mended": Story(
        _disk(CRITICAL, a="1x10 stale"), {10: {"KubedxDiagnosisCritical": 1}, 17: {}, 30: {}}
    ),
    "two problems are two alerts": Story(
        {
            **_disk(CRITICAL, a="1x20"),
            f'kubedx_diagnosis_info{{severity="critical",check="NodeNotReady",name="node-not-ready-b-1",{A}}}': "1x20",
        },
        {5: {"KubedxDiagnosisCritical": 2}},
    ),
    "a warning waits for five minutes": Story(
        _disk(WARNING, a="1x20"), {4: {}, 6: {"KubedxDiagnosisWarning": 1}, 20: {"KubedxDiagnosisWarning": 1}}
    ),
    "a warning that passes by itself stays silent": Story(_disk(WARNING, a="1x3 stale"), {4: {}, 6: {}, 10: {}}),
    "what is only good to know stays silent": Story(
        {f'kubedx_diagnosis_info{{severity="info",{DISK},{A}}}': "1x60"}, {10: {}, 60: {}}
    ),
    "the operator is killed for good": Story(
        {**_killed_after_ten_minutes(A), **_killed_after_ten_minutes(B), **_disk(CRITICAL, a="1x10 stale")},
        {10: {"KubedxDiagnosisCritical": 1}, 15: {"KubedxDiagnosisCritical": 1}, 18: {"KubedxDown": 1}},
        healthy={},
    ),
    "the operator was never there": Story({"up": "1x60"}, {4: {}, 6: {"KubedxDown": 1}}, healthy={}),
    "one of two replicas is gone": Story(
        _killed_after_ten_minutes(B),
        {12: {}, 20: {}, 40: {}},
    ),
    "a takeover within its 75 seconds": Story(
        {f"kubedx_leader{{{A}}}": "1x10 0x50", f"kubedx_leader{{{B}}}": "0x12 1x48"}, {12: {}, 13: {}, 15: {}, 30: {}}
    ),
    "nobody leads": Story(
        _both("kubedx_leader", "", "0x60"), {2: {}, 4: {"KubedxNoLeader": 1}, 30: {"KubedxNoLeader": 1}}
    ),
    "no replica can read pods": Story(
        _both("kubedx_watch_synced", 'kind="Pod"', "0x60"),
        {14: {}, 16: {"KubedxInputsMissing": 1}, 60: {"KubedxInputsMissing": 1}},
    ),
    "one replica cannot read pods": Story(
        {f'kubedx_watch_synced{{kind="Pod",{B}}}': "0x60"}, {16: {"KubedxInputsMissing": 1}}
    ),
    "reading pods takes ten minutes at the start": Story(
        _both("kubedx_watch_synced", 'kind="Pod"', "0x10 1x50"), {9: {}, 16: {}, 30: {}}
    ),
    "a stream falls silent without an error": Story(
        _both("kubedx_watch_last_event_timestamp_seconds", 'kind="Pod"', "0+60x10 600x50"),
        {15: {}, 22: {"KubedxWatchStale": 1}},
    ),
    "a kind that cannot be read is not stale as well": Story(
        {
            **_both("kubedx_watch_synced", 'kind="Pod"', "0x60"),
            **_both("kubedx_watch_last_event_timestamp_seconds", 'kind="Pod"', "0x60"),
        },
        {40: {"KubedxInputsMissing": 1}},
    ),
    "a check fails for the first time": Story(
        _both("kubedx_check_evaluations_total", 'check="PodOOMKilled",outcome="failed"', "_x4 1x55"),
        {4: {}, 11: {"KubedxCheckFailing": 1}, 30: {}},
    ),
    "a check fails again and again": Story(
        _both("kubedx_check_evaluations_total", 'check="NodeNotReady",outcome="failed"', "0x5 1+1x54"),
        {5: {}, 12: {"KubedxCheckFailing": 1}, 60: {"KubedxCheckFailing": 1}},
    ),
    "the operator restarts after a check had failed": Story(
        _both("kubedx_check_evaluations_total", 'check="NodeNotReady",outcome="failed"', "3x30 0x30"),
        {29: {}, 31: {}, 40: {}},
    ),
    "the right to write is taken away": Story(
        {f'kubedx_writes_total{{result="403",{A}}}': "_x4 1+5x55"},
        {9: {}, 16: {"KubedxWritesFailing": 1}, 60: {"KubedxWritesFailing": 1}},
    ),
    "the API server is away for a minute": Story(
        {f'kubedx_writes_total{{result="unreachable",{A}}}': "_x4 1+3x2 7x53"}, {6: {}, 12: {}, 16: {}, 60: {}}
    ),
    "a bound is reached": Story(
        {f'kubedx_dropped_total{{what="diagnoses",{A}}}': "0x5 20x54"}, {5: {}, 12: {"KubedxDropped": 1}, 40: {}}
    ),
}


def _promtool(promtool: Path, *arguments: str) -> None:
    run = subprocess.run([str(promtool), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def _test(promtool: Path, folder: Path, test: dict[str, object]) -> None:
    path = folder / "story.yaml"
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    path.write_text(json.dumps(whole))
    _promtool(promtool, "test", "rules", str(path))


def _series(story: Story) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in {**story.healthy, **story.series}.items()]


def test_promtool_finds_nothing_in_the_rules(promtool: Path) -> None:
    _promtool(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(RULES))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_exactly_these_alerts_fire(promtool: Path, tmp_path: Path, story: Story) -> None:
    expected = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": f"{minute}m",
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": count} for name, count in sorted(fires.items())
            ],
        }
        for minute, fires in story.fires.items()
    ]

    _test(promtool, tmp_path, {"input_series": _series(story), "promql_expr_test": expected})


def test_every_metric_that_an_alert_asks_for_is_exported() -> None:
    families = FactsCollector(Facts).collect()
    exported = {family.name + ("_total" if family.type == "counter" else "") for family in families}

    for alert in ALERTS:
        asked = set(re.findall(r"\bkubedx_\w+", alert.expr))
        assert asked
        assert asked <= exported, alert.name


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    for alert in ALERTS:
        assert any(alert.name in fires for story in STORIES.values() for fires in story.fires.values()), alert.name
        assert any(alert.name not in fires for story in STORIES.values() for fires in story.fires.values()), alert.name


def test_an_alert_names_its_subject_and_the_page_of_its_check(promtool: Path, tmp_path: Path) -> None:
    expected = {
        "alertname": "KubedxDiagnosisCritical",
        "eval_time": "1m",
        "exp_alerts": [
            {
                "exp_labels": {
                    "severity": "critical",
                    "check": "NodeDiskPressure",
                    "name": "node-disk-pressure-real-1-93aa17d0",
                    "kind": "Node",
                    "subject": "real-1",
                },
                "exp_annotations": {
                    "summary": "NodeDiskPressure: Node/real-1",
                    "description": "kubedx found the root of a problem. Its evidence, what it explains and what to do: "
                    "kubectl describe clusterdiagnosis node-disk-pressure-real-1-93aa17d0. What the check means: "
                    "kubedx explain NodeDiskPressure.",
                    "runbook_url": "docs/checks/NodeDiskPressure.md",
                },
            }
        ],
    }
    story = STORIES["two replicas that export the same problem are one alert"]

    _test(promtool, tmp_path, {"input_series": _series(story), "alert_rule_test": [expected]})


def test_an_alert_names_the_namespace_of_its_subject(promtool: Path, tmp_path: Path) -> None:
    labels = {"severity": "warning", "check": "PVCPending", "name": "pvc-pending-x", "kind": "PersistentVolumeClaim"}
    labels |= {"namespace": "shop", "subject": "data"}
    series = ",".join(f'{key}="{value}"' for key, value in labels.items())
    story = Story({f"kubedx_diagnosis_info{{{series},{A}}}": "1x20"}, {})
    rule = ALERTS[1].rule["annotations"]
    texts = {
        "summary": "PVCPending: PersistentVolumeClaim/shop/data",
        "description": rule["description"]
        .replace("{{ $labels.name }}", "pvc-pending-x")
        .replace("{{ $labels.check }}", "PVCPending"),
        "runbook_url": "docs/checks/PVCPending.md",
    }
    expected = {
        "alertname": "KubedxDiagnosisWarning",
        "eval_time": "10m",
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": texts}],
    }

    _test(promtool, tmp_path, {"input_series": _series(story), "alert_rule_test": [expected]})


def test_every_page_that_an_alert_leads_to_exists() -> None:
    for alert in BLINDNESS:
        page, _, anchor = str(alert.rule["annotations"]["runbook_url"]).partition("#")
        headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(), re.MULTILINE)
        assert anchor in {heading.lower() for heading in headings}
    for check in registry():
        assert (ROOT / CHECK_PAGE.replace("{{ $labels.check }}", check.id)).is_file(), f"{check.id}: run make generate"


def test_the_chart_installs_the_alerts_as_they_were_tested(helm: Helm) -> None:
    rendered = only(helm.render({"prometheusRule": {"enabled": True}}), "PrometheusRule")

    assert rendered["spec"] == yaml.safe_load(RULES.read_text())


def test_alerts_can_be_left_out_and_changed_one_by_one(helm: Helm) -> None:
    chosen = {
        "enabled": True,
        "labels": {"release": "prometheus"},
        "runbookBase": "https://git.example.com/kubedx/blob/main/",
        "disabled": {"KubedxDropped": True, "KubedxDown": False},
        "for": {"KubedxDiagnosisWarning": "30m"},
        "severity": {"KubedxDown": "page"},
    }
    rendered = only(helm.render({"prometheusRule": chosen}), "PrometheusRule")
    rules = {rule["alert"]: rule for group in rendered["spec"]["groups"] for rule in group["rules"]}

    assert rules.keys() == {alert.name for alert in ALERTS} - {"KubedxDropped"}
    assert rules["KubedxDiagnosisWarning"]["for"] == "30m"
    assert rules["KubedxDown"]["labels"] == {"severity": "page"}
    assert rules["KubedxDown"]["annotations"]["runbook_url"] == (
        "https://git.example.com/kubedx/blob/main/docs/alerts.md#kubedxdown"
    )
    assert rendered["metadata"]["labels"]["release"] == "prometheus"


def test_a_group_without_alerts_is_left_out(helm: Helm) -> None:
    chosen = {"enabled": True, "disabled": {alert.name: True for alert in BLINDNESS}}
    rendered = only(helm.render({"prometheusRule": chosen}), "PrometheusRule")

    assert [group["name"] for group in rendered["spec"]["groups"]] == ["kubedx-diagnoses"]
