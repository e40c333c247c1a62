"""How the message of a node's Ready condition is taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.checks._support.readiness import NodeError, node_errors

ERRORS = {
    "container runtime is down": "runtime",
    "container runtime status check may not have completed yet": "runtime",
    "container runtime not ready: RuntimeReady=false reason:X message:a, b": "runtime",
    "container runtime not ready: <nil>": "runtime",
    "PLEG is not healthy: pleg has yet to be successful": "pleg",
    "EventedPLEG is not healthy: EventedPLEG: pleg event channel capacity is full with 1000 events": "pleg",
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:[a, b]": "network",
    "network state unknown": "other",
    "failed to initialize CSINode: timed out waiting for the condition, giving up": "storage",
    "CSINode is not yet initialized": "storage",
    "node is shutting down": "shutdown",
    "missing node capacity for resources: cpu, memory, pods": "capacity",
    "something new, from a later version": "other",
}


def aggregate(errors: list[str]) -> str:
    """Join errors as utilerrors.NewAggregate does."""
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


@given(st.lists(st.sampled_from(list(ERRORS)[:-1]), min_size=1, unique=True), st.booleans())
def test_errors_that_the_kubelet_joined_come_apart_again(errors: list[str], warned: bool) -> None:  # noqa: FBT001
    message = aggregate(errors) + (". WARNING: CPU hardcapping unsupported" if warned else "")

    assert node_errors(message) == tuple(NodeError(ERRORS[error], error) for error in errors)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_alone_is_kept_whole(error: str) -> None:
    assert node_errors(error) == (NodeError(ERRORS[error], error),)


def test_an_unknown_error_stays_with_the_one_before_it() -> None:
    found = node_errors("[container runtime is down, something new, from a later version]")

    assert [(error.about, error.text) for error in found] == [
        ("runtime", "container runtime is down, something new, from a later version")
    ]


def test_a_message_that_was_cut_off_keeps_its_beginning() -> None:
    found = node_errors("[container runtime is down, PLEG is not hea… (+90 characters)")

    assert found[0].about == "runtime"


def test_a_duration_that_grows_does_not_change_the_text() -> None:
    first, second = (
        node_errors(f"PLEG is not healthy: pleg was last seen active {ago} ago; threshold is 3m0s")
        for ago in ("3m1.2s", "27h14m51.413818128s")
    )

    assert first == second


def test_an_empty_message_has_no_errors() -> None:
    assert node_errors("") == ()
