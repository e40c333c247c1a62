"""What Services select nearly, which of their ports are missing, and what their clouds answer."""

import pytest

from kubedx.checks._support.resolution import cannot_find, cannot_resolve
from kubedx.checks._support.selection import Carrier, likest, near_miss, stems
from kubedx.checks._support.services import answer, missing_ports
from kubedx.kube.views import Container, ContainerPort, ServicePort

HTTP = ContainerPort(name="http", container_port=8080)
DNS = ContainerPort(name="dns", container_port=53, protocol="UDP")


@pytest.mark.parametrize(
    ("selector", "labels", "is_free", "found"),
    [
        (
            {"app": "check-out"},
            {"app": "checkout"},
            True,
            "it selects app=check-out, but Deployment d has app=checkout",
        ),
        ({"app": "cart"}, {"app": "cartservice"}, True, "it selects app=cart, but Deployment d has app=cartservice"),
        ({"app": "a", "tier": "x"}, {"app": "a", "tier": "y"}, True, "it selects tier=x, but Deployment d has tier=y"),
        ({"app": "a", "tier": "x"}, {"app": "a"}, True, "it selects tier=x, but Deployment d has no label tier"),
        ({"app": "web"}, {"name": "web"}, True, "it selects app=web, but Deployment d has name=web and no label app"),
        ({"app": "x"}, {"app": "shop"}, False, "it selects app=x, but Deployment d has app=shop"),
        # Another thing altogether, and what another Service selects already.
        ({"app": "cart"}, {"app": "billing"}, True, None),
        ({"app": "cart"}, {}, True, None),
        ({"app": "web-green"}, {"app": "web-blue"}, False, None),
        ({"app": "a", "tier": "x"}, {"app": "a", "tier": "y"}, False, None),
        ({"app": "a", "tier": "x"}, {"app": "b", "tier": "y"}, True, None),
    ],
)
def test_a_near_miss_names_the_one_label(
    selector: dict[str, str], labels: dict[str, str], is_free: int, found: str | None
) -> None:
    miss = near_miss("shop-svc", selector, [Carrier("Deployment", "d", labels, bool(is_free))])

    assert (miss.text if miss else None) == found


def test_the_likest_is_the_nearest_and_of_equals_the_first_by_name() -> None:
    some = [Carrier("Deployment", name, {"app": app}) for name, app in (("b", "carts"), ("a", "carts"), ("c", "card"))]

    miss = near_miss("x", {"app": "cart"}, some)

    assert miss
    assert miss.carrier.name == "a"


def test_the_pods_of_a_service_may_be_called_as_it_is() -> None:
    assert stems("web-svc") == {"web-svc", "web"}
    assert stems("svc") == {"svc"}


@pytest.mark.parametrize(
    ("target", "protocol", "ports", "said"),
    [
        ("http", "TCP", (HTTP,), ""),
        (8080, "TCP", (), ""),
        (0, "TCP", (), ""),
        ("htpp", "TCP", (HTTP,), "no port htpp, they have http (8080/TCP)"),
        ("dns", "TCP", (HTTP, DNS), "no port dns for TCP, they have http (8080/TCP), dns (53/UDP)"),
        ("http", "TCP", (), "no port http, they declare no ports"),
    ],
)
def test_a_port_is_missing_by_name_and_protocol(
    target: int | str, protocol: str, ports: tuple[ContainerPort, ...], said: str
) -> None:
    assert missing_ports((ServicePort(target_port=target, protocol=protocol),), (Container(ports=ports),)) == said


@pytest.mark.parametrize(
    "message",
    [
        "could not connect: getaddrinfo EAI_AGAIN db.shop.svc.cluster.local",
        'could not translate host name "db" to address: Temporary failure in name resolution',
        "dial tcp: lookup db.shop on 10.96.0.10:53: read udp 10.244.1.7:40112->10.96.0.10:53: i/o timeout",
        "dial tcp: lookup db.shop on 10.96.0.10:53: read udp 10.244.1.7:40112->10.96.0.10:53: read: connection refused",
        "dial tcp: lookup db on 10.96.0.10:53: server misbehaving",
        "dial tcp: lookup db: i/o timeout",
    ],
)
def test_no_answer_of_the_dns_is_recognised(message: str) -> None:
    assert cannot_resolve(message)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "dial tcp: lookup db.shop on 10.96.0.10:53: no such host",
        "dial tcp 10.96.3.4:5432: connect: connection refused",
        "dial tcp 10.96.3.4:5432: i/o timeout",
        "getaddrinfo ENOTFOUND db",
        "Name or service not known",
    ],
)
def test_an_answer_of_the_dns_is_no_silence(message: str) -> None:
    assert not cannot_resolve(message)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("AccessDenied: no, status code: 403, request id: 8f2a-1c", "AccessDenied: no, status code: 403"),
        ("Throttling (RequestID: 8f2a-1c), try later", "Throttling, try later"),
        ("no available IPs ", "no available IPs"),
    ],
)
def test_the_number_of_a_request_is_left_out(message: str, said: str) -> None:
    assert answer(message) == said


@pytest.mark.parametrize(
    ("message", "name", "is_told"),
    [
        ("dial tcp: lookup orders.shop.svc.cluster.local on 10.96.0.10:53: no such host", "orders", True),
        ("lookup orders: no such host", "orders", True),
        ("Error: getaddrinfo ENOTFOUND orders", "orders", True),
        ("java.net.UnknownHostException: orders: Name or service not known", "orders", True),
        ('could not translate host name "orders" to address: Name or service not known', "orders", True),
        ("curl: (6) Could not resolve host: orders", "orders", True),
        ("lookup orders: no such host", "order", False),
        ("dial tcp 10.96.3.4:80: connect: connection refused", "orders", False),
    ],
)
def test_a_name_that_does_not_exist_is_told_by_name(message: str, name: str, is_told: int) -> None:
    assert cannot_find(message, name) == is_told


def test_a_name_is_a_slip_of_the_likest() -> None:
    assert likest("productcatalog", ["cart", "productcatalogservice", "product"]) == "productcatalogservice"
    assert likest("orders", ["cart", "billing"]) == ""
    assert likest("orders", []) == ""
