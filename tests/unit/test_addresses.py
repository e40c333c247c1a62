"""Which Services an environment names."""

import pytest

from kubedx.kube.addresses import service_names
from tests.unit.cluster_edits import decode


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("URL", "http://orders.shop.svc.cluster.local:8080/x", ("orders.shop",)),
        ("URL", "orders.shop.svc", ("orders.shop",)),
        ("KAFKA", "kafka-0.kafka.mq.svc:9092,kafka-1.kafka.mq.svc:9092", ("kafka.mq",)),
        ("ADDR", "productcatalogservice:3550", ("productcatalogservice",)),
        ("URL", "postgres://u:p%40w@db:5432/app", ("db",)),
        ("URL", "jdbc:mysql://db:3306/x?y=z", ("db",)),
        ("URL", "http://cart", ("cart",)),
        ("BROKERS", "broker1:9092, broker2:9092", ("broker1", "broker2")),
        ("DB_HOST", "postgres", ("postgres",)),
        ("MODE", "postgres", ()),
        ("URL", "https://example.com:443", ()),
        ("URL", "https://orders.example.svcs.net", ()),
        ("ADDR", "localhost:80", ()),
        ("ADDR", "10.0.0.1:80", ()),
        ("IMAGE", "redis:7", ()),
        ("IMAGE", "registry/app:1234", ()),
        ("DB_HOST", "db.example", ()),
        ("X", "a:b:c", ()),
        ("X", "", ()),
        ("X", "http://" + "x" * 2000, ()),
    ],
)
def test_names_of_services_are_found_in_values(name: str, value: str, found: tuple[str, ...]) -> None:
    assert service_names([{"name": name, "value": value}]) == found


def test_entries_without_a_text_have_none() -> None:
    assert service_names([7, {"name": "X"}, {"name": "X", "value": 7}, {"name": "X", "valueFrom": {}}]) == ()


def template(env: object) -> dict[str, object]:
    return {"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "env": env}]}}}}


def test_nothing_else_of_an_environment_is_kept() -> None:
    env = [{"name": "PASSWORD", "value": "hunter2"}, {"name": "URL", "value": "redis://:hunter2@cache:6379"}]
    deployment = decode("Deployment", template(env))

    assert deployment.whole.spec.template.spec.containers[0].env == ("cache",)
    assert "hunter2" not in repr(deployment.form)


def test_an_odd_environment_leaves_the_rest_of_the_workload_readable() -> None:
    assert decode("Deployment", template(7)).whole.name == "a"
