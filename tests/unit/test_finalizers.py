"""Whose finalizers are."""

import pytest

from kubedx.checks._support.finalizers import of_rancher

REMAINING = (
    "Some content in the namespace has finalizers remaining: controller.cattle.io/namespace-auth in 3 resource "
    "instances, example.com/x in 1 resource instances, wrangler.cattle.io/rb in 2 resource instances"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("controller.cattle.io/namespace-auth", ("controller.cattle.io/namespace-auth",)),
        ("management.cattle.io/cluster-agent-cleanup", ("management.cattle.io/cluster-agent-cleanup",)),
        ("clusterscoped.controller.cattle.io/project", ("clusterscoped.controller.cattle.io/project",)),
        ("lifecycle.cattle.io/create", ("lifecycle.cattle.io/create",)),
        ("wrangler.cattle.io/auth-prov-v2-rb", ("wrangler.cattle.io/auth-prov-v2-rb",)),
        (REMAINING, ("controller.cattle.io/namespace-auth", "wrangler.cattle.io/rb")),
        ("controller.cattle.io/a in 1, controller.cattle.io/a in 2", ("controller.cattle.io/a",)),
        ("fleet.cattle.io/bundle", ()),
        ("wrangler.cattle.io/on-helm-chart-remove", ()),
        ("wrangler.cattle.io/managed-etcd-controller", ()),
        ("wrangler.cattle.io/node", ()),
        ("example.com/not.cattle.io", ()),
        ("notcattle.io/x", ()),
        ("kubernetes", ()),
        ("", ()),
    ],
)
def test_finalizers_of_rancher_are_told_from_others(text: str, found: tuple[str, ...]) -> None:
    assert of_rancher(text) == found
