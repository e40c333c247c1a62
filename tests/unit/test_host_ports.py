"""Which pods cannot be on one node because of its ports, and when a rollout may end old pods first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.checks._support.ports import clashing, shown_ports
from kubedx.checks._support.replicas import may_lack
from kubedx.kube.views import (
    Container,
    ContainerPort,
    Deployment,
    DeploymentSpec,
    Pod,
    PodSpec,
    PodStatus,
    RollingUpdate,
    Strategy,
)


def pod(*ports: ContainerPort, phase: str = "Running") -> Pod:
    return Pod(spec=PodSpec(containers=(Container(ports=ports),)), status=PodStatus(phase=phase))


ports = st.builds(
    ContainerPort,
    host_port=st.sampled_from((0, 80, 443)),
    host_ip=st.sampled_from(("", "0.0.0.0", "10.0.0.1", "127.0.0.1")),  # noqa: S104 -- nothing is bound
    protocol=st.sampled_from(("TCP", "UDP")),
)


@given(st.lists(ports, max_size=3), st.lists(ports, max_size=3))
def test_pods_clash_both_ways_or_not_at_all(one: list[ContainerPort], other: list[ContainerPort]) -> None:
    assert (clashing(pod(*one), pod(*other)) is None) == (clashing(pod(*other), pod(*one)) is None)


@given(st.lists(ports, min_size=1, max_size=3))
def test_a_pod_clashes_with_another_of_its_template_if_it_takes_any_port(one: list[ContainerPort]) -> None:
    assert (clashing(pod(*one), pod(*one)) is not None) == bool(shown_ports(pod(*one)))


def test_addresses_and_protocols_keep_pods_apart() -> None:
    anywhere, here = ContainerPort(host_port=80), ContainerPort(host_port=80, host_ip="10.0.0.1")

    assert clashing(pod(anywhere), pod(here)) == anywhere
    assert clashing(pod(here), pod(ContainerPort(host_port=80, host_ip="127.0.0.1"))) is None
    assert clashing(pod(anywhere), pod(ContainerPort(host_port=80, protocol="UDP"))) is None


def test_a_pod_that_has_ended_holds_no_port() -> None:
    port = ContainerPort(host_port=80)

    assert clashing(pod(port), pod(port, phase="Succeeded")) is None


@pytest.mark.parametrize(("replicas", "lacking", "surplus", "expected"), [
    (1, None, None, 0), (3, None, None, 0), (4, None, None, 1), (10, "25%", "25%", 2), (2, 0, 1, 0), (2, 1, 0, 1),
    (2, 0, 0, 1), (3, "10%", "0%", 1), (3, "10%", "10%", 0), (3, "nonsense", None, 0),
])  # fmt: skip
def test_what_may_lack_is_reckoned_as_the_controller_does(
    replicas: int, lacking: int | str | None, surplus: int | str | None, expected: int
) -> None:
    update = RollingUpdate(max_unavailable=lacking, max_surge=surplus)
    spec = DeploymentSpec(replicas=replicas, strategy=Strategy(rolling_update=update))

    assert may_lack(Deployment(spec=spec)) == expected


def test_a_deployment_that_ends_its_old_pods_first_may_lack_all() -> None:
    assert may_lack(Deployment(spec=DeploymentSpec(replicas=3, strategy=Strategy(type="Recreate")))) == 3
