"""The manifests for those who do not use helm are the chart, rendered."""

import kubernetes_validate

from tests.chart.helm import Helm, objects, of_kind
from tests.chart.manifests import MANIFESTS, render


def test_the_manifests_are_what_the_chart_renders_now(helm: Helm) -> None:
    assert objects(MANIFESTS.read_text()) == objects(render(helm)), "they are stale: run `make generate`"


def test_the_manifests_can_be_applied_from_top_to_bottom() -> None:
    found = objects(MANIFESTS.read_text())

    assert found[0]["kind"] == "Namespace"
    assert found[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    namespace = found[0]["metadata"]["name"]
    assert {one["metadata"].get("namespace", namespace) for one in found} == {namespace}
    for one in found:
        kubernetes_validate.validate(one, "1.36", strict=True)


def test_the_manifests_bring_no_kind_of_the_prometheus_operator() -> None:
    found = objects(MANIFESTS.read_text())

    assert not of_kind(found, "ServiceMonitor") + of_kind(found, "PrometheusRule")
