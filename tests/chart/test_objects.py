"""What single objects of the chart promise."""

import json

import pytest
import yaml

from kubedx.checks import registry
from kubedx.settings import resolve
from tests.chart.helm import CHART, IMAGE, Helm, Object, of_kind, only
from tests.chart.test_rendering import EVERYTHING


def _container(helm: Helm, values: dict[str, object]) -> dict[str, object]:
    (container,) = only(helm.render(values), "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def test_the_image_has_the_version_of_the_chart_unless_told_otherwise(helm: Helm) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    digest = "sha256:" + "a" * 64

    assert _container(helm, {})["image"] == f"example.com/kubedx:{version}"
    assert _container(helm, {"image": {"repository": "k", "tag": "dev"}})["image"] == "k:dev"
    assert _container(helm, {"image": {"repository": "k", "tag": "dev", "digest": digest}})["image"] == f"k@{digest}"


def test_the_kinds_outlive_the_release_unless_told_otherwise(helm: Helm) -> None:
    kept = of_kind(helm.render({}), "CustomResourceDefinition")
    given_up = of_kind(helm.render({"crds": {"keep": False}}), "CustomResourceDefinition")

    assert [crd["metadata"]["name"] for crd in kept] == ["clusterdiagnoses.kubedx.dev", "diagnosispolicies.kubedx.dev"]
    assert all(crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for crd in kept)
    assert not any("annotations" in crd["metadata"] for crd in given_up)


def test_the_kinds_are_rendered_as_they_were_generated(helm: Helm) -> None:
    rendered = {crd["metadata"]["name"]: crd["spec"] for crd in of_kind(helm.render({}), "CustomResourceDefinition")}

    for path in (CHART / "files" / "crds").glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        assert rendered.pop(crd["metadata"]["name"]) == crd["spec"]
    assert not rendered


def test_the_operator_is_given_the_defaults_of_the_policy(helm: Helm) -> None:
    found = helm.render(EVERYTHING)
    (config,) = (one for one in of_kind(found, "ConfigMap") if one["metadata"]["name"] == "kubedx")
    pod = only(found, "Deployment")["spec"]["template"]["spec"]
    (mount,) = pod["containers"][0]["volumeMounts"]
    (volume,) = pod["volumes"]

    assert yaml.safe_load(config["data"]["policy.yaml"]) == EVERYTHING["policy"]
    assert volume == {"name": mount["name"], "configMap": {"name": "kubedx"}}
    assert f"--defaults={mount['mountPath']}/policy.yaml" in pod["containers"][0]["args"]


@pytest.mark.parametrize("bound", ["minimum", "maximum", "default"])
def test_the_operator_follows_every_setting_that_the_chart_takes(helm: Helm, bound: str) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["policy"]["properties"]["checks"]
    chosen = {
        check: {
            "enabled": True,
            "severity": "info",
            "settings": {name: setting[bound] for name, setting in _settings(one).items() if bound in setting},
        }
        for check, one in schema["properties"].items()
    }

    found = of_kind(helm.render({"policy": {**EVERYTHING["policy"], "checks": chosen}}), "ConfigMap")
    settings = resolve(yaml.safe_load(found[0]["data"]["policy.yaml"]), None, registry())

    assert any(one["settings"] for one in chosen.values())
    assert settings.problems == ()
    assert {check.enabled for check in settings.checks.values()} == {True}


def _settings(check: Object) -> dict[str, Object]:
    return check["properties"]["settings"]["properties"]


def test_the_operator_is_told_which_further_kinds_to_look_at(helm: Helm) -> None:
    watched = [arg for arg in _container(helm, EVERYTHING)["args"] if arg.startswith("--watch-metadata")]

    assert watched == ["--watch-metadata=certificates.cert-manager.io", "--watch-metadata=configmaps"]
    assert not any("--watch-metadata" in arg for arg in _container(helm, {})["args"])


def test_the_chart_brings_no_policy_of_its_own(helm: Helm) -> None:
    for values in ({}, EVERYTHING):
        assert not {"DiagnosisPolicy", "ClusterDiagnosis"} & {one["kind"] for one in helm.render(values)}


def test_other_defaults_replace_the_pods(helm: Helm) -> None:
    def checksum(values: dict[str, object]) -> str:
        template = only(helm.render(values), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/policy"]

    assert checksum({}) == checksum({"replicas": 2})
    assert checksum({}) != checksum({"policy": {"retention": "2h"}})


def test_no_pods_means_no_pods(helm: Helm) -> None:
    found = helm.render({"replicas": 0})

    assert only(found, "Deployment")["spec"]["replicas"] == 0
    assert not of_kind(found, "PodDisruptionBudget")


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_drain_is_held_up_only_where_another_replica_can_take_over(helm: Helm, replicas: int, budgets: int) -> None:
    assert len(of_kind(helm.render({"replicas": replicas}), "PodDisruptionBudget")) == budgets


def test_the_memory_is_bounded_and_the_cpu_is_not(helm: Helm) -> None:
    resources = _container(helm, {})["resources"]

    assert resources == {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


def test_each_probe_asks_what_it_should(helm: Helm) -> None:
    container = _container(helm, {})

    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 8080}]
    assert "--listen=0.0.0.0:8080" in container["args"]


def test_nothing_but_the_metrics_port_can_be_reached(helm: Helm) -> None:
    spec = only(helm.render({}), "NetworkPolicy")["spec"]

    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"ports": [{"port": "metrics"}]}]
    assert "egress" not in spec


def test_the_metrics_port_can_be_kept_to_prometheus(helm: Helm) -> None:
    spec = only(helm.render(EVERYTHING), "NetworkPolicy")["spec"]

    assert spec["ingress"] == [{"ports": [{"port": "metrics"}], "from": EVERYTHING["networkPolicy"]["ingressFrom"]}]


def test_outgoing_connections_are_limited_only_on_request(helm: Helm) -> None:
    spec = only(helm.render(EVERYTHING), "NetworkPolicy")["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
            "ports": [{"port": 6443}],
        }
    ]


def test_prometheus_keeps_the_labels_of_the_subject(helm: Helm) -> None:
    found = helm.render(EVERYTHING)
    monitor = only(found, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    service = only(found, "Service")

    assert endpoint == {"port": "metrics", "path": "/metrics", "interval": "15s", "honorLabels": True}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 9090, "targetPort": "metrics"}]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_nothing_of_the_prometheus_operator_is_there_unless_asked_for(helm: Helm) -> None:
    assert not any(one["apiVersion"].startswith("monitoring.coreos.com") for one in helm.render({}))


def test_the_values_say_what_each_key_is_for() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()[1:]

    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("#"), line


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, ["kubectl get clusterdiagnosis", "kubectl get diagnosispolicy", "kubectl rollout status", "rbac.viewer"]),
        ({"replicas": 0}, ["nothing is diagnosed", "kubectl scale deployment/kubedx"]),
        (EVERYTHING, ["kubectl get clusterdiagnosis", "limited to 10.0.0.1/32, fd00::1/128"]),
    ],
)
def test_the_notes_say_what_to_type_next(helm: Helm, values: dict[str, object], said: list[str]) -> None:
    run = helm.run("install", "kubedx", str(CHART), "--dry-run=client", values={**IMAGE, **values})

    assert run.returncode == 0, run.stderr
    notes = run.stdout.partition("NOTES:")[2]
    for part in said:
        assert part in notes
