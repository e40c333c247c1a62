"""Checks that stand for those which kubedx does not have yet, so that the engine is measured with 250 of them.

They have the shapes of real ones: what they read, what guards them, what they look up. Each differs from its siblings
by the word that it looks for, which no object has: what is measured is the price of being asked.
"""

import dataclasses
from collections.abc import Callable, Iterator

from kubedx.checks import registry as real_registry
from kubedx.core import by
from kubedx.core.check import Answer, Check, Registry, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import ANY, Bit
from kubedx.kube.views import Deployment, EndpointSlice, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service

_TOLD = """{summary}

    ## Meaning
    A benchmark runs.

    ## Impact
    None.

    ## Diagnosis
    None is needed.

    ## Mitigation
    None is needed.

    ## Limitations
    It never finds anything.

    ## References
    - bench/README.md
    """

_Make = Callable[[str], Callable[..., Answer]]


def _waiting(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod) -> Answer:
        for container in pod.containers:
            waiting = container.state.waiting
            if waiting is not None and waiting.reason == word:
                yield Finding(pod, container=container.name)

    return synthetic


def _said(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod, now: Now) -> Answer:
        for container in pod.containers:
            waiting = container.state.waiting
            if waiting is not None and word in waiting.message and now.older(pod.created, minutes(5)):
                yield Finding(pod, container=container.name)

    return synthetic


def _ended(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod) -> Answer:
        for container in pod.containers:
            for state in (container.state, container.last_state):
                if state.terminated is not None and state.terminated.reason == word:
                    yield Finding(pod, container=container.name)

    return synthetic


def _unready(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod, node: Lookup[Node]) -> Answer:
        found = node.get("", pod.spec.node_name) if pod.spec.node_name else None
        if found is not None and found.condition(word) is not None:
            yield Finding(pod)

    return synthetic


def _named(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod) -> Answer:
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            if container.name == word:
                yield Finding(pod, container=container.name)

    return synthetic


def _limits(word: str) -> Callable[..., Answer]:
    def synthetic(pod: Pod) -> Answer:
        for container in pod.spec.containers:
            if container.resources.limits.memory == word:
                yield Finding(pod, container=container.name)

    return synthetic


def _condition(word: str) -> Callable[..., Answer]:
    def synthetic(node: Node) -> Answer:
        if node.condition(word) is not None:
            yield Finding(node)

    return synthetic


def _taint(word: str) -> Callable[..., Answer]:
    def synthetic(node: Node) -> Answer:
        if node.taint(word) is not None:
            yield Finding(node)

    return synthetic


def _rollout(word: str) -> Callable[..., Answer]:
    def synthetic(deployment: Deployment) -> Answer:
        if deployment.condition(word) is not None:
            yield Finding(deployment)

    return synthetic


def _behind(word: str) -> Callable[..., Answer]:
    def synthetic(service: Service, slices: Lookup[EndpointSlice]) -> Answer:
        found = slices.selected_by({"kubernetes.io/service-name": service.name}, service.namespace)
        if any(one.name == word for one in found):
            yield Finding(service)

    return synthetic


def _bound(word: str) -> Callable[..., Answer]:
    def synthetic(claim: PersistentVolumeClaim, volumes: Lookup[PersistentVolume]) -> Answer:
        volume = volumes.get("", claim.spec.volume_name)
        if volume is not None and volume.spec.storage_class_name == word:
            yield Finding(claim)

    return synthetic


_SHAPES: tuple[tuple[_Make, Bit, int], ...] = (
    (_waiting, Bit.WAITING, 50),
    (_said, Bit.WAITING, 15),
    (_ended, Bit.TERMINATED, 35),
    (_waiting, Bit.PENDING, 15),
    (_unready, Bit.NOT_READY, 10),
    (_named, ANY, 20),
    (_limits, ANY, 10),
    (_condition, Bit.NOT_READY | Bit.PRESSURE, 20),
    (_taint, ANY, 10),
    (_rollout, ANY, 18),
    (_behind, ANY, 6),
    (_bound, ANY, 5),
)
"""How many of each shape there are among the 214 that make 250 with the first 36."""


def registry(count: int) -> Registry:
    """Give the real checks and as many synthetic ones as are missing.

    Args:
        count: How many checks there shall be.

    Returns:
        The registry.
    """
    real = real_registry()
    made = _made()
    return Registry([*real, *(next(made) for _ in range(count - len(real)))])


def _made() -> Iterator[Check]:
    """The synthetic checks without end, the shapes in their proportions from the first on."""
    quotas = [quota for _, _, quota in _SHAPES]
    given = [0] * len(_SHAPES)
    while True:
        at = min(range(len(_SHAPES)), key=lambda shape: (given[shape] + 1) / quotas[shape])
        make, when, _ = _SHAPES[at]
        given[at] += 1
        yield _declared(make, when, f"Synthetic{make.__name__.title().strip('_')}{at}x{given[at]}")


def _declared(make: _Make, when: Bit, id_: str) -> Check:
    function = make(id_)
    function.__doc__ = _TOLD.format(summary=f"Stands for a check that looks for {id_}.")
    declared = check(
        title="Stands for a check to come",
        message="{name}",
        layer=5,
        group=by.itself,
        when=when,
        steps=(Step("Read bench/README.md.", "true"),),
        since="0.1.0",
    )(function)
    return dataclasses.replace(declared, id=id_)
