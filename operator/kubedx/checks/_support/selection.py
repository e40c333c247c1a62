"""Selectors that select nothing: who carries nearly the labels that one asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from kubedx.checks._support.services import living, routes
from kubedx.core.inputs import Lookup
from kubedx.kube.views import DaemonSet, Deployment, Pod, ReplicaSet, Service, StatefulSet

Workload = Deployment | StatefulSet | DaemonSet | ReplicaSet

_BUILT_IN = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController")
"""Controllers whose pods have the labels that a person wrote. What other controllers do is their own affair."""

_SUFFIXES = ("-service", "-svc", "-lb", "service", "svc")
"""What the name of a Service may have more than the name of its pod."""

_ALIKE = 0.6
"""How much of two texts must agree for one to be a slip of the other, from 0 to 1."""

_ALIKE_NAMES = 0.75
"""The same for two names of Services."""

_NAMESAKE = 1.0
"""As much as what is called like the Service itself."""


def stems(service: str) -> set[str]:
    """List what the pods of a Service may be called, going by its name: ``web`` for ``web-svc``."""
    found = {service, *(service.removesuffix(suffix) for suffix in _SUFFIXES)}
    return {one.rstrip("-") for one in found if one}


@dataclass(frozen=True, slots=True)
class Carrier:
    """Something with labels that a selector may have meant.

    Attributes:
        kind: Its kind, such as ``Deployment`` for all pods of one.
        name: Its name.
        labels: The labels of the pod, or of the pods that it makes.
        is_free: Whether no other Service selects it.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    is_free: bool = True


@dataclass(frozen=True, slots=True)
class NearMiss:
    """The one label that keeps a selector from selecting something.

    Attributes:
        carrier: What it nearly selects.
        key: The label's key.
        wanted: The value that the selector asks for.
        found: The value that the carrier has there, None where it has no such label.
        instead: The key under which the carrier has the wanted value, empty where there is none.
    """

    carrier: Carrier
    key: str
    wanted: str
    found: str | None
    instead: str

    @property
    def text(self) -> str:
        """Both sides, in words."""
        who, key = f"{self.carrier.kind} {self.carrier.name}", self.key
        if self.found is not None:
            has = f"{key}={self.found}"
        elif self.instead:
            has = f"{self.instead}={self.wanted} and no label {key}"
        else:
            has = f"no label {key}"
        return f"it selects {key}={self.wanted}, but {who} has {has}"

    @property
    def fix(self) -> str:
        """What to change, as a sentence."""
        side = f"give {self.carrier.kind} {self.carrier.name} the label {self.key}={self.wanted}"
        if self.found is not None:
            return f"Let the Service select {self.key}={self.found}, or {side}."
        if self.instead:
            return f"Let the Service select {self.instead}={self.wanted} in place of {self.key}, or {side}."
        return f"Take {self.key} out of the Service's selector, or {side}."


def near_miss(service: str, selector: Mapping[str, str], candidates: Iterable[Carrier]) -> NearMiss | None:
    """Find what a Service's selector selects but for one label.

    What no other Service selects is near where other labels agree, and else where the two values are alike, or the
    value stands under another key. Whatever others select, a carrier that is called like the Service is near.

    Args:
        service: The Service's name.
        selector: Its selector, which selects nothing.
        candidates: What it may have meant.

    Returns:
        The nearest; None where nothing comes near.
    """
    found: list[tuple[float, bool, str, str, NearMiss]] = []
    for one in candidates:
        unmet = [(key, value) for key, value in selector.items() if one.labels.get(key) != value]
        if len(unmet) != 1:
            continue
        key, wanted = unmet[0]
        instead = next((other for other, value in sorted(one.labels.items()) if value == wanted), "")
        miss = NearMiss(one, key, wanted, one.labels.get(key), instead)
        likeness = _likeness(service, miss)
        if likeness >= (_ALIKE if one.is_free else _NAMESAKE) or (len(selector) > 1 and one.is_free):
            found.append((-likeness, not one.is_free, one.kind, one.name, miss))
    return min(found, key=lambda entry: entry[:4])[4] if found else None


def _likeness(service: str, miss: NearMiss) -> float:
    if not stems(service).isdisjoint({miss.carrier.name, miss.found}):
        return _NAMESAKE
    if miss.instead:
        return 0.95
    return _alike(miss.wanted, miss.found) if miss.found else 0.0


def _alike(one: str, other: str) -> float:
    shorter, longer = sorted((one, other), key=len)
    ratio = SequenceMatcher(None, one, other, autojunk=False).ratio()
    begins = len(shorter) > 2 and longer.startswith(shorter)  # noqa: PLR2004 -- shorter ones begin all sorts of words
    return 0.8 + ratio / 10 if begins else ratio


def likest(name: str, others: Iterable[str]) -> str:
    """Find the name that another one is a slip of; empty where none is like it."""
    found = max(((_alike(name, other), other) for other in sorted(others)), default=(0.0, ""), key=lambda one: one[0])
    return found[1] if found[0] >= _ALIKE_NAMES else ""


def labels_of(workload: Workload) -> Mapping[str, str]:
    """Give the labels that the pods of a workload are made with; a ReplicaSet carries those of its pods itself."""
    return workload.metadata.labels if isinstance(workload, ReplicaSet) else workload.spec.template.metadata.labels


def selected(service: Service, workloads: Iterable[Workload]) -> list[Workload]:
    """List the workloads whose pods a Service selects. A ReplicaSet of a Deployment does not count beside it."""
    selector = service.spec.selector.items()
    return [one for one in workloads if selector <= labels_of(one).items() and not _is_of_deployment(one)]


def _is_of_deployment(one: Workload) -> bool:
    return isinstance(one, ReplicaSet) and one.controller is not None and one.controller.kind == "Deployment"


def carriers(
    service: Service, pods: Lookup[Pod], workloads: Iterable[Workload], services: Lookup[Service]
) -> list[Carrier] | None:
    """List what a Service that selects nothing may have meant: workloads, and pods that no workload here made.

    Args:
        service: The Service.
        pods: The pods; those are looked for that have all labels but one, or the Service's name.
        workloads: The workloads of its namespace.
        services: The Services, to see which of them select it already.

    Returns:
        The carriers; None where the Service waits for a pod that takes a role: where some pod has all its labels but
        one that was given while the pod ran, or is managed by a controller that is not one of Kubernetes.
    """
    others = [
        one.spec.selector.items()
        for one in services.in_namespace(service.namespace)
        if one.name != service.name and routes(one)
    ]
    templates = [(one, labels_of(one)) for one in workloads if not one.deleted]
    found = [Carrier(one.kind, one.name, labels, _is_free(labels, others)) for one, labels in templates]
    selector = service.spec.selector
    for pod in _nearby(service, pods):
        labels = pod.metadata.labels
        made = [given for _, given in templates if given and given.items() <= labels.items()]
        unmet = {key for key, value in selector.items() if labels.get(key) != value}
        is_near = len(selector) > len(unmet) == 1
        if is_near and pod.controller and pod.controller.kind not in _BUILT_IN:
            return None
        if is_near and any(key in labels and not any(key in given for given in made) for key in unmet) and made:
            return None
        if not made:
            found.append(Carrier("Pod", pod.name, labels, _is_free(labels, others)))
    return found


def _is_free(labels: Mapping[str, str], others: Iterable[Iterable[tuple[str, str]]]) -> bool:
    return not any(set(selector) <= labels.items() for selector in others)


def _nearby(service: Service, pods: Lookup[Pod]) -> list[Pod]:
    selector, namespace, name = service.spec.selector, service.namespace, service.name
    found: list[Pod] = []
    for key in selector:
        rest = {other: value for other, value in selector.items() if other != key}
        found.extend(pods.selected_by(rest or {key: name}, namespace))
    found.extend(filter(None, (pods.get(namespace, one) for one in sorted(stems(name)))))
    return living({pod.name: pod for pod in found}.values())
