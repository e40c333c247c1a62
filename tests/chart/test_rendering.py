"""Whatever is chosen, the API server would take it."""

from typing import Any

import kubernetes_validate
import pytest

from tests.chart.helm import CHART, IMAGE, Helm, Values, objects, of_kind, only

OLDEST, NEWEST = "1.30", "1.36"
"""The versions of Kubernetes that the chart is for."""

FOREIGN = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, whose schemas Kubernetes does not have."""

EVERYTHING: Values = {
    "replicas": 3,
    "policy": {
        "profiles": ["Problem", "Risk", "Advice"],
        "namespaces": {"exclude": ["scratch-*"]},
        "checks": {"NodeReadyFlapping": {"severity": "info", "settings": {"transitions": 5, "clearAfter": "30m"}}},
        "suppressions": [{"check": "Pod*", "namespace": "load-test", "reason": "It is meant to break"}],
        "retention": "2h",
    },
    "finalizers": {"resources": ["certificates.cert-manager.io", "configmaps"]},
    "serviceAccount": {"name": "watcher", "annotations": {"example.com/role": "reader"}},
    "rbac": {"viewer": True},
    "service": {"port": 9090, "annotations": {"example.com/scrape": "true"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": {"enabled": True, "cidrs": ["10.0.0.1/32", "fd00::1/128"], "ports": [6443]},
    },
    "strategy": {"type": "Recreate"},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"example.com/note": "yes"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"team": "platform"}}}
            ]
        }
    },
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraArgs": ["--verbose"],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "extra", "namespace": "{{ .Release.Namespace }}"},
        },
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-as-text\n",
    ],
}

SINGLE: dict[str, Values] = {
    "defaults": {},
    "everything": EVERYTHING,
    "no pods": {"replicas": 0},
    "by digest": {"image": {"repository": "example.com/kubedx", "digest": "sha256:" + "0" * 64}},
    "pulled with a Secret": {"image": {**IMAGE["image"], "pullSecrets": [{"name": "registry"}]}},
    "CRDs not kept": {"crds": {"keep": False}},
    "renamed": {"fullnameOverride": "watcher"},
    "a partial name": {"nameOverride": "dx"},
    "a ServiceAccount that exists": {"serviceAccount": {"create": False, "name": "mine"}},
    "inside another chart": {"global": {"imageRegistry": "example.com"}},
}
SWITCHES = {
    "CustomResourceDefinition": ("crds", "enabled"),
    "ClusterRole": ("rbac", "create"),
    "Service": ("service", "enabled"),
    "NetworkPolicy": ("networkPolicy", "enabled"),
    "PodDisruptionBudget": ("podDisruptionBudget", "enabled"),
    "PrometheusRule": ("prometheusRule", "enabled"),
}


def _switched(on: set[str]) -> Values:
    return {"replicas": 2} | {part: {key: kind in on} for kind, (part, key) in SWITCHES.items()}


MATRIX = {
    **SINGLE,
    **{f"only {kind}": _switched({kind}) for kind in SWITCHES},
    **{f"all but {kind}": _switched(SWITCHES.keys() - {kind}) for kind in SWITCHES},
}
each_choice = pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX.keys())


@each_choice
def test_every_object_is_valid(helm: Helm, values: Values) -> None:
    found = helm.render(values)

    assert found
    for one in found:
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, NEWEST, strict=True)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_the_oldest_version_knows_every_field(helm: Helm, values: Values) -> None:
    for one in helm.render(values):
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, OLDEST, strict=True)


@each_choice
def test_every_object_has_a_name_of_its_own_and_says_whose_it_is(helm: Helm, values: Values) -> None:
    found = [one for one in helm.render(values) if one["metadata"]["name"] not in ("extra", "kubedx-as-text")]

    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found]
    assert len(set(names)) == len(names)
    for one in found:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "kubedx"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


@each_choice
def test_every_object_of_a_namespace_is_in_that_of_the_release(helm: Helm, values: Values) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}

    for one in helm.render(values):
        if one["kind"] not in cluster_wide and one["metadata"]["name"] != "kubedx-as-text":
            assert one["metadata"]["namespace"] == "observing", one["metadata"]["name"]


@each_choice
def test_the_pods_keep_to_the_restricted_standard(helm: Helm, values: Values) -> None:
    pod = only(helm.render(values), "Deployment")["spec"]["template"]["spec"]

    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert "initContainers" not in pod
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container["ports"])
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} == {"configMap"}


@each_choice
def test_all_that_selects_pods_selects_the_operators(helm: Helm, values: Values) -> None:
    found = helm.render(values)
    deployment = only(found, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        *(one["spec"]["selector"] for one in of_kind(found, "Service")),
        *(one["spec"]["selector"]["matchLabels"] for one in of_kind(found, "PodDisruptionBudget")),
        *(one["spec"]["podSelector"]["matchLabels"] for one in of_kind(found, "NetworkPolicy")),
    ]

    for selector in selectors:
        assert selector
        assert selector.items() <= labels


@pytest.mark.parametrize("kind", SWITCHES)
def test_each_switch_governs_its_objects_and_no_others(helm: Helm, kind: str) -> None:
    alone = {one["kind"] for one in helm.render(_switched({kind}))}
    others = {one["kind"] for one in helm.render(_switched(SWITCHES.keys() - {kind}))}

    assert alone & SWITCHES.keys() == {kind}
    assert others & SWITCHES.keys() == SWITCHES.keys() - {kind}


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_lint_finds_nothing(helm: Helm, values: Values) -> None:
    run = helm.run("lint", "--strict", str(CHART), values={**IMAGE, **values})

    assert run.returncode == 0, run.stdout
    assert "WARNING" not in run.stdout


def test_two_releases_do_not_meet(helm: Helm) -> None:
    def names(release: str) -> set[tuple[str, Any, str]]:
        run = helm.run("template", release, str(CHART), values={**IMAGE, "crds": {"enabled": False}})
        assert run.returncode == 0, run.stderr
        return {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects(run.stdout)}

    assert not names("one") & names("two")


def test_what_was_chosen_for_the_pods_reaches_them(helm: Helm) -> None:
    found = helm.render(EVERYTHING)
    pod = only(found, "Deployment")["spec"]["template"]

    assert pod["spec"]["tolerations"] == EVERYTHING["tolerations"]
    assert pod["spec"]["affinity"] == EVERYTHING["affinity"]
    assert pod["spec"]["topologySpreadConstraints"] == EVERYTHING["topologySpreadConstraints"]
    assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
    assert pod["spec"]["containers"][0]["args"][-1] == "--verbose"
    assert {"name": "TZ", "value": "UTC"} in pod["spec"]["containers"][0]["env"]
    assert pod["metadata"]["labels"]["team"] == "platform"
    assert pod["metadata"]["annotations"]["example.com/note"] == "yes"
