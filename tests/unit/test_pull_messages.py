"""What kubelets and container runtimes say about images, and what becomes of it."""

import pytest

from kubedx.checks._support.images import PullFailure, pull_failure

RESOLVE = 'failed to pull and unpack image "r.example/a:1": failed to resolve reference "r.example/a:1": '
HEAD = RESOLVE + 'failed to do request: Head "https://r.example/v2/a/manifests/1": '

SAID = [
    ("not found", RESOLVE + "r.example/a:1: not found"),
    ("not found", "reading manifest 1 in r.example/a: manifest unknown"),
    ("not found", "reading manifest 1 in r.example/a: name unknown: repository name not known to registry"),
    ("not found", "rpc error: code = Unknown desc = Error response from daemon: manifest for r.example/a:1 not found"),
    ("not found", RESOLVE + "unexpected status from HEAD request to https://r.example/v2/a/manifests/1: 404 Not Found"),
    ("denied", RESOLVE + "pull access denied, repository does not exist or may require authorization: server message"),
    ("denied", "Error response from daemon: Get http://r.example/v2/a/manifests/1: no basic auth credentials"),
    ("denied", RESOLVE + "unexpected status from HEAD request to https://r.example/v2/a/manifests/1: 403 Forbidden"),
    ("denied", "initializing source docker://r.example/a:1: reading manifest: unauthorized: authentication required"),
    ("unreachable", HEAD + "dial tcp: lookup r.example: no such host"),
    ("unreachable", HEAD + "dial tcp: lookup r.example on 10.0.0.2:53: server misbehaving"),
    ("unreachable", HEAD + "dial tcp 192.0.2.1:443: i/o timeout"),
    ("unreachable", HEAD + "net/http: TLS handshake timeout"),
    ("unreachable", HEAD + "proxyconnect tcp: dial tcp 192.0.2.3:3128: connect: connection refused"),
    ("unreachable", "image pull failed for r.example/a:1 because the registry is unavailable: pinging"),
    ("certificate", HEAD + "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    ("plain HTTP", HEAD + "http: server gave HTTP response to HTTPS client"),
    ("rate limit", RESOLVE + "unexpected status from HEAD request to https://r.example/v2/a: 429 Too Many Requests"),
    ("platform", 'failed to pull and unpack image "r.example/a:1": no match for platform in manifest: not found'),
    ("local content", "failed to prepare extraction snapshot: parent snapshot sha256:bb does not exist: not found"),
    ("disk full", "write /var/lib/containerd/ingest/1: no space left on device"),
    ("signature", "image pull failed for r.example/a:1 because the signature validation failed: no signature exists"),
    ("other", "rpc error: code = Unknown desc = something that nobody has seen before"),
]


@pytest.mark.parametrize(("kind", "why"), SAID)
def test_each_reason_has_its_class(kind: str, why: str) -> None:
    assert pull_failure(why) == PullFailure(kind, why)


@pytest.mark.parametrize(("kind", "why"), SAID)
def test_the_pause_of_the_kubelet_does_not_hide_the_reason(kind: str, why: str) -> None:
    assert pull_failure(f'Back-off pulling image "r.example/a:1": ErrImagePull: {why}') == PullFailure(kind, why)


def test_a_bare_pause_says_nothing() -> None:
    assert pull_failure('Back-off pulling image "r.example/a:1"') is None


def test_nobody_chooses_the_class_by_the_name_of_an_image() -> None:
    said = pull_failure('failed to pull image "r.example/no such host/x509: denied: manifest unknown": strange')

    assert said is not None
    assert said.kind == "other"
