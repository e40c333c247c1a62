"""What kubelets say about probes, and what is to be changed."""

from typing import Any

import pytest

from kubedx.checks._support.probes import How, Kind, ProbeFailure, probe_failure, remedy
from kubedx.kube.views import Pod
from tests.unit.cluster_edits import decode

GET = 'Get "http://10.244.3.17:8080/healthz": '
SAID: list[tuple[Kind, How, int, str]] = [
    ("liveness", "refused", 0, f"Liveness probe failed: {GET}dial tcp 10.244.3.17:8080: connect: connection refused"),
    ("readiness", "refused", 0, "Readiness probe failed: dial tcp 10.244.3.17:5432: connect: connection refused"),
    ("liveness", "timeout", 0, f"Liveness probe failed: {GET}context deadline exceeded"),
    ("startup", "timeout", 0, f"Startup probe failed: {GET}net/http: request canceled (Client.Timeout exceeded)"),
    ("readiness", "timeout", 0, "Readiness probe failed: dial tcp 10.244.3.17:5432: i/o timeout"),
    ("liveness", "timeout", 0, 'Liveness probe failed: command "sh -c x" timed out'),
    ("liveness", "timeout", 0, 'Liveness probe failed: command timed out: "x" timed out after 1s'),
    ("readiness", "timeout", 0, 'Readiness probe failed: timeout: failed to connect service "10.0.0.1:9000" within 1s'),
    (
        "readiness",
        "timeout",
        0,
        "Readiness probe errored and resulted in unknown state: rpc error: code = DeadlineExceeded desc = x",
    ),
    ("readiness", "status", 503, "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    ("liveness", "status", 404, "Liveness probe failed: HTTP probe failed with statuscode: 404"),
    ("liveness", "unreachable", 0, f"Liveness probe failed: {GET}dial tcp 10.244.3.17:8080: connect: no route to host"),
    (
        "liveness",
        "unreachable",
        0,
        "Liveness probe failed: read tcp 10.0.0.1:5->10.0.0.2:8: connection reset by peer",
    ),
    ("readiness", "dns", 0, "Readiness probe failed: dial tcp: lookup db on 10.96.0.10:53: i/o timeout"),
    ("readiness", "other", 0, "Readiness probe failed: dial tcp: lookup db on 10.96.0.10:53: no such host"),
    ("readiness", "speaks HTTP", 0, "Readiness probe failed: http: server gave HTTP response to HTTPS client"),
    ("readiness", "speaks TLS", 0, r'Readiness probe failed: malformed HTTP response "\x15\x03\x01\x00\x02\x02"'),
    ("readiness", "not serving", 0, 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'),
    (
        "liveness",
        "no health service",
        0,
        "Liveness probe failed: this server does not implement the grpc health protocol (grpc.health.v1.Health)",
    ),
    ("readiness", "no port", 0, "Readiness probe errored: couldn't find port: http"),
    (
        "liveness",
        "no command",
        0,
        'Liveness probe errored: OCI runtime exec failed: exec: "pg": executable file not found in $PATH: unknown',
    ),
    (
        "liveness",
        "no command",
        0,
        'Liveness probe errored: exec: "/ok": stat /ok: no such file',
    ),
    ("liveness", "other", 0, "Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory"),
    ("liveness", "other", 0, "Liveness probe failed: "),
    ("liveness", "refused", 0, "Liveness probe error: dial tcp 10.0.0.1:80: connect: connection refused"),  # OpenShift.
]
POD = {
    "spec": {
        "containers": [
            {"name": "web", "ports": [{"containerPort": 9090}, {"containerPort": 9091, "name": "admin"}]},
            {"name": "proxy", "ports": [{"containerPort": 15001, "name": "mesh"}]},
            {"name": "silent"},
        ]
    }
}


def made(body: dict[str, Any]) -> Pod:
    whole = decode("Pod", {"metadata": {"name": "web"}, **body}).whole
    assert isinstance(whole, Pod)
    return whole


REFUSED = ProbeFailure("liveness", "refused", 0, "connection refused")


@pytest.mark.parametrize(("kind", "how", "code", "message"), SAID)
def test_each_answer_has_its_class(kind: Kind, how: How, code: int, message: str) -> None:
    found = probe_failure(message)

    assert found is not None
    assert (found.kind, found.how, found.code) == (kind, how, code)


def test_what_openshift_appends_is_left_out() -> None:
    found = probe_failure(r"Liveness probe error: HTTP probe failed with statuscode: 500\nbody: \n")

    assert found == ProbeFailure("liveness", "status", 500, "HTTP probe failed with statuscode: 500")


@pytest.mark.parametrize("message", ["Stopping container web", "probe failed: connection refused", ""])
def test_other_messages_are_not_about_probes(message: str) -> None:
    assert probe_failure(message) is None


@pytest.mark.parametrize(
    ("container", "port", "said"),
    [
        (0, 8080, "it asks port 8080, but the container declares 9090, 9091 (admin): correct the probe's port"),
        (0, "http", "it asks port http, but the container declares 9090, 9091 (admin): correct the probe's port"),
        (0, 9090, "nothing listens on port 9090: see in the log whether the program has started"),
        (0, "admin", "nothing listens on port admin: see in the log whether the program has started"),
        (0, "9091", "nothing listens on port 9091: see in the log whether the program has started"),
        (0, 15001, "nothing listens on port 15001: see in the log whether the program has started"),
        (2, 8080, "nothing listens on port 8080: see in the log whether the program has started"),
    ],
)
def test_a_port_that_is_refused_is_compared_with_what_is_declared(container: int, port: int | str, said: str) -> None:
    pod = made(POD)
    asks = (
        made({"spec": {"containers": [{"livenessProbe": {"tcpSocket": {"port": port}}}]}})
        .spec.containers[0]
        .liveness_probe
    )

    assert asks is not None
    assert remedy(pod, pod.spec.containers[container], asks, REFUSED) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "the program does not take the request: see whether it expects HTTPS or another Host header"),
        (401, "/ok wants a login: ask a path that needs none"),
        (403, "/ok wants a login: ask a path that needs none"),
        (404, "the program has no /ok: correct the probe's path"),
        (429, "the program answers /ok with status 429: ask a path that answers 200"),
        (500, "the program itself says that it is not well: read its log"),
        (503, "the program itself says that it is not well: read its log"),
    ],
)
def test_a_status_says_what_to_change(code: int, said: str) -> None:
    pod = made({"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": 80, "path": "/ok"}}}]}})
    container = pod.spec.containers[0]

    assert container.liveness_probe is not None
    assert remedy(pod, container, container.liveness_probe, ProbeFailure("liveness", "status", code, "")) == said
