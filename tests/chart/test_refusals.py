"""Wrong values are refused when the chart is installed, and the refusal names the key."""

import pytest

from tests.chart.helm import CHART, IMAGE, Helm, Values

WRONG: dict[str, tuple[Values, list[str]]] = {
    "a misspelt key": ({"replica": 1}, ["'replica'"]),
    "a misspelt key inside": ({"image": {"repository": "x", "tagg": "1"}}, ["/image", "'tagg'"]),
    "too many replicas": ({"replicas": 50}, ["/replicas", "5"]),
    "fewer than none": ({"replicas": -1}, ["/replicas", "0"]),
    "a number in words": ({"replicas": "two"}, ["/replicas", "integer"]),
    "a check that does not exist": ({"policy": {"checks": {"NodeOnFire": {"enabled": True}}}}, ["'NodeOnFire'"]),
    "a setting that does not exist": (
        {"policy": {"checks": {"NodeReadyFlapping": {"settings": {"transition": 3}}}}},
        ["/policy/checks/NodeReadyFlapping/settings", "'transition'"],
    ),
    "a setting out of bounds": (
        {"policy": {"checks": {"NodeReadyFlapping": {"settings": {"transitions": -1}}}}},
        ["/NodeReadyFlapping/settings/transitions", "2"],
    ),
    "a duration without its unit": (
        {"policy": {"checks": {"NodeReadyFlapping": {"settings": {"raiseAfter": "5"}}}}},
        ["/NodeReadyFlapping/settings/raiseAfter", "pattern"],
    ),
    "a severity of another tool": (
        {"policy": {"checks": {"NodeReadyFlapping": {"severity": "error"}}}},
        ["/NodeReadyFlapping/severity", "'critical'"],
    ),
    "a suppression without a reason": (
        {"policy": {"suppressions": [{"check": "Pod*"}]}},
        ["suppressions/0", "'reason'"],
    ),
    "an alert that does not exist": ({"prometheusRule": {"disabled": {"KubedxUp": True}}}, ["'KubedxUp'"]),
    "a digest that is none": ({"image": {"repository": "x", "digest": "latest"}}, ["/image/digest"]),
    "every kind's finalizers": ({"finalizers": {"resources": ["*"]}}, ["/finalizers/resources/0"]),
    "a subresource's finalizers": ({"finalizers": {"resources": ["nodes/proxy"]}}, ["/finalizers/resources/0"]),
    "the finalizers of Secrets": (
        {"finalizers": {"resources": ["secrets"]}},
        ["finalizers.resources", "Secrets", "Remove it"],
    ),
    "the API server nowhere": (
        {"networkPolicy": {"egress": {"enabled": True}}},
        ["networkPolicy.egress.cidrs", "kubectl get endpointslices"],
    ),
    "an account that nobody named": ({"serviceAccount": {"create": False}}, ["serviceAccount.name"]),
    "a monitor of no Service": (
        {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}},
        ["service.enabled=true"],
    ),
}


@pytest.mark.parametrize(("values", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_refused_by_name(helm: Helm, values: Values, named: list[str]) -> None:
    said = helm.refusal(values)

    for part in named:
        assert part in said


def test_without_an_image_it_says_how_to_build_load_and_name_one(helm: Helm) -> None:
    run = helm.run("template", "kubedx", str(CHART))

    assert run.returncode != 0
    for part in ("image.repository is not set", "make image", "kind load docker-image", "--set image.repository="):
        assert part in run.stderr


def test_a_cluster_that_is_too_old_is_refused(helm: Helm) -> None:
    old = helm.run("template", "kubedx", str(CHART), "--kube-version=1.29.14", values=IMAGE)
    oldest = helm.run("template", "kubedx", str(CHART), "--kube-version=1.30.0", values=IMAGE)

    assert ">=1.30.0" in old.stderr
    assert oldest.returncode == 0, oldest.stderr
