"""The Prometheus alerts: on root problems, once per incident, and on the operator's own blindness.

Only who led last exports diagnoses, and `max without (pod, instance)` keeps an incident one alert when another replica
takes over. `keep_firing_for` bridges the time in which nobody leads (75 s at most).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from kubedx.generate.banner import BANNER

PAGE = "docs/alerts.md"
"""Where `page` goes; each alert about the operator has a section there."""

CHECK_PAGE = "docs/checks/{{ $labels.check }}.md"
"""Where the page of the check behind a diagnosis is."""

SUBJECT = "{{ $labels.kind }}/{{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.subject }}"
"""The subject of a diagnosis, as `Kind/namespace/name`."""

REPLICA = "without (pod, instance)"
"""What sets two replicas apart in Prometheus; without it an incident is one series whoever leads."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One Prometheus alerting rule.

    Attributes:
        name: The alert's name.
        expr: When it holds, in PromQL.
        wait: How long it must hold before it fires, as Prometheus writes durations.
        severity: `critical` pages somebody, `warning` opens a ticket.
        summary: The incident in one line, a Prometheus template.
        description: What it means and what to type next, a Prometheus template.
        keep: How long it goes on firing after it no longer holds.
        runbook: The page that explains it, relative to the repository.
    """

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    description: str
    keep: str = ""
    runbook: str = ""

    @property
    def rule(self) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        keep = {"keep_firing_for": self.keep} if self.keep else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            **keep,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": self.runbook or f"{PAGE}#{self.name.lower()}",
            },
        }


def _diagnosis(name: str, severity: str, wait: str) -> Alert:
    return Alert(
        name,
        expr=f'max {REPLICA} (kubedx_diagnosis_info{{severity="{severity}"}}) == 1',
        wait=wait,
        keep="5m",
        severity=severity,
        summary=f"{{{{ $labels.check }}}}: {SUBJECT}",
        description="kubedx found the root of a problem. Its evidence, what it explains and what to do: "
        "kubectl describe clusterdiagnosis {{ $labels.name }}. What the check means: "
        "kubedx explain {{ $labels.check }}.",
        runbook=CHECK_PAGE,
    )


DIAGNOSES = (
    _diagnosis("KubedxDiagnosisCritical", "critical", wait="0m"),
    _diagnosis("KubedxDiagnosisWarning", "warning", wait="5m"),
)


def _grew(counter: str, within: str) -> str:
    # `increase` alone does not see the first count of a new series.
    recent = f"increase({counter}[{within}]) > 0 or ({counter} > 0 unless {counter} offset {within})"
    return f"sum {REPLICA} ({recent}) > 0"


BLINDNESS = (
    Alert(
        "KubedxDown",
        expr="absent(kubedx_build_info)",
        wait="5m",
        severity="critical",
        summary="Nobody is looking at the cluster: no kubedx is scraped",
        description="Prometheus has seen no running kubedx for 5 minutes, so no problem is diagnosed, and open "
        "diagnoses are out of date. See lastSeen in: kubectl get diagnosispolicy. Look for the operator with: "
        "kubectl get pods -A -l app.kubernetes.io/name=kubedx.",
    ),
    Alert(
        "KubedxNoLeader",
        expr=f"max {REPLICA} (kubedx_leader) == 0",
        wait="3m",
        severity="critical",
        summary="kubedx runs, but no replica leads",
        description="No replica has held the Lease for 3 minutes, so nothing is written and diagnoses may be out of "
        "date; a takeover needs 75 s at most. See who holds it: kubectl get lease -A | grep kubedx.",
    ),
    Alert(
        "KubedxInputsMissing",
        expr=f"min {REPLICA} (kubedx_watch_synced) == 0",
        wait="15m",
        severity="warning",
        summary="kubedx cannot see {{ $labels.kind }}",
        description="One kind could not be read for 15 minutes. Checks that need it are skipped, and what they said "
        "is kept as Unknown. The reason: kubectl get diagnosispolicy cluster -o yaml.",
    ),
    Alert(
        "KubedxWatchStale",
        expr=f"max {REPLICA} ((time() - kubedx_watch_last_event_timestamp_seconds) > 300 and kubedx_watch_synced == 1)",
        wait="5m",
        severity="warning",
        summary="kubedx has heard nothing about {{ $labels.kind }} for {{ $value | humanizeDuration }}",
        description="The API server sends at least a bookmark each minute. A stream that is silent for longer is "
        "broken without knowing it. See the operator's log, and restart it if that does not pass.",
    ),
    Alert(
        "KubedxCheckFailing",
        expr=_grew('kubedx_check_evaluations_total{outcome="failed"}', "15m"),
        wait="5m",
        severity="warning",
        summary="The check {{ $labels.check }} fails",
        description="This check ended with an error in the last 15 minutes; its diagnoses are kept as Unknown, all "
        "others go on. This is a bug of kubedx: please report it with the error in: "
        "kubectl get diagnosispolicy cluster -o yaml.",
    ),
    Alert(
        "KubedxWritesFailing",
        expr=_grew('kubedx_writes_total{result!~"ok|404|409"}', "5m"),
        wait="10m",
        severity="warning",
        summary="kubedx cannot write its diagnoses: {{ $labels.result }}",
        description="The API server refuses or does not answer, so kubectl get clusterdiagnosis is out of date, while "
        "the metrics are not. 403 means that a right is missing: the chart's ClusterRole has them all. The operator's "
        "log names the object and the answer.",
    ),
    Alert(
        "KubedxDropped",
        expr=_grew("kubedx_dropped_total", "15m"),
        wait="5m",
        severity="warning",
        summary="kubedx left out {{ $labels.what }}",
        description="Diagnoses beyond the limit of the policy have no object of their own, the least severe first; "
        "what could not be read was not judged. The totals in kubedx_diagnoses and kubedx_findings are true "
        "nevertheless. The operator's log says more.",
    ),
)
ALERTS = (*DIAGNOSES, *BLINDNESS)


def render() -> str:
    """Write the alerts as a Prometheus rule file.

    Returns:
        YAML with the key `groups`, as `promtool check rules` and a PrometheusRule take it.
    """
    groups = [
        {"name": "kubedx-diagnoses", "rules": [alert.rule for alert in DIAGNOSES]},
        {"name": "kubedx-blindness", "rules": [alert.rule for alert in BLINDNESS]},
    ]
    return BANNER + yaml.safe_dump({"groups": groups}, sort_keys=False, width=120)


def page() -> str:
    """Write the page that `runbook_url` of the alerts about the operator leads to.

    Returns:
        Markdown with a section for each alert.
    """
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield f"<!-- {BANNER.removeprefix('# ').rstrip()} -->"
    yield "# Alerts"
    yield ""
    yield "The chart installs these alerts with `prometheusRule.enabled=true`. Those on diagnoses lead to the page of"
    yield "the check, which `kubedx explain CHECK` prints as well. The others say that kubedx sees less than it should."
    for alert in ALERTS:
        yield f"\n## {alert.name}\n"
        yield f"Severity `{alert.severity}`, after {alert.wait}.\n"
        yield f"{alert.description}\n"
        yield f"```promql\n{alert.expr}\n```"
    yield ""
