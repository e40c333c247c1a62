"""Why pods are too large, or have names that are too long, in the words of the API server and of etcd."""

import pytest

from kubedx.checks._support.creation import name_too_long, too_large

POD = 'create Pod db-0 in StatefulSet db failed error: Pod "db-0" is invalid: '
LABEL = 'metadata.labels: Invalid value: "db-76fd497866": must be no more than 63 '


@pytest.mark.parametrize(("message", "why"), [
    (f"{POD}{LABEL}characters", f"{LABEL}characters"),
    (f"{POD}{LABEL}bytes", f"{LABEL}bytes"),
    (f'{POD}[{LABEL}bytes, spec.hostname: Invalid value: "db-0": must be no more than 63 bytes]',
     f'[{LABEL}bytes, spec.hostname: Invalid value: "db-0": must be no more than 63 bytes]'),
    (f"{POD}metadata.name: Too long: may not be more than 253 bytes",
     "metadata.name: Too long: may not be more than 253 bytes"),
    (f"{POD}metadata.name: Too long: must have at most 253 bytes",
     "metadata.name: Too long: must have at most 253 bytes"),
    (f'{POD}metadata.labels: Invalid value: "A_b/c": a valid label must be an empty string or consist of', None),
    (f"{POD}metadata.annotations: Too long: may not be more than 262144 bytes", None),
    (f"{POD}spec.containers[0].image: Required value", None),
    ('Error creating: pods "db-0" is forbidden: exceeded quota: small', None),
])  # fmt: skip
def test_a_name_that_is_too_long_is_told_from_other_faults(message: str, why: str | None) -> None:
    assert name_too_long(message) == why


@pytest.mark.parametrize(("message", "who"), [
    ("Error creating: etcdserver: request is too large", "etcdserver: request is too large"),
    ("Error creating: Request entity too large: limit is 3145728", "Request entity too large: limit is 3145728"),
    ("rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097301 vs. 2097152)",
     "trying to send message larger than max (2097301 vs. 2097152)"),
    ("Error creating: etcdserver: request timed out", None),
    ("", None),
])  # fmt: skip
def test_a_pod_that_is_too_large_is_told_from_other_faults(message: str, who: str | None) -> None:
    assert too_large(message) == who
