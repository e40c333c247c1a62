"""What kubelets and container runtimes say about images, and what becomes of it."""

import pytest

from kubedx.checks._support.images import PullFailure, pull_failure, retired

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
    ("disk full", "failed to extract layer sha256:0f1e: write /var/lib/containerd/x: no space left on device: unknown"),
    ("plain HTTP", RESOLVE + "400 Bad Request: Client sent an HTTP request to an HTTPS server."),
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


@pytest.mark.parametrize(("kind", "why"), SAID)
def test_each_reason_comes_with_what_to_change(kind: str, why: str) -> None:
    what, remedy = PullFailure(kind, why).in_words

    assert what[0].islower()
    assert remedy.endswith(".")


def test_a_host_that_does_not_resolve_is_told_from_one_that_does_not_answer() -> None:
    unknown, silent = (
        PullFailure("unreachable", HEAD + why) for why in ("no such host", "dial tcp 192.0.2.1:443: i/o timeout")
    )

    assert "resolve" in unknown.in_words[0]
    assert "resolve" not in silent.in_words[0]


@pytest.mark.parametrize(("image", "place"), [
    ("k8s.gcr.io/pause:3.5", "k8s.gcr.io"),
    ("gcr.io/google-containers/busybox", "gcr.io/google-containers"),
    ("quay.io/coreos/flannel:v0.14.0", "quay.io/coreos/flannel"),
    ("bitnami/redis:7.2.5", "docker.io/bitnami"),
    ("docker.io/bitnami/redis", "docker.io/bitnami"),
    ("registry.k8s.io/pause:3.10", None),
    ("quay.io/coreos/flannel-cni:v1", None),
    ("registry.example/bitnami/redis:7", None),
    ("bitnamilegacy/redis:7", None),
    ("redis", None),
    ("", None),
])  # fmt: skip
def test_places_without_new_images_are_known(image: str, place: str | None) -> None:
    found = retired(image)

    assert (found.place if found else None) == place


def test_a_bare_pause_says_nothing() -> None:
    assert pull_failure('Back-off pulling image "r.example/a:1"') is None


def test_nobody_chooses_the_class_by_the_name_of_an_image() -> None:
    said = pull_failure('failed to pull image "r.example/no such host/x509: denied: manifest unknown": strange')

    assert said is not None
    assert said.kind == "other"
