"""A field that nobody reads is not kept: it costs memory, and each change of it wakes those who look at the object."""

import sys
from collections.abc import Iterator

import msgspec
import pytest

from kubedx.checks._support.pods import containers_unready_since
from kubedx.kube import meta, selectors, views
from kubedx.kube.views import Event, Pod, Taint
from kubedx.store.lookups import added_up
from kubedx.store.store import INDEXES, Store
from tests.checks import cases

COPIERS = ("slots.py", "decode.py", "forms.py")
"""What reads fields without a meaning to them."""

ELSEWHERE = {"ObjectMeta.resource_version": "the decoder gives it to the reflector, and no object keeps it"}
"""Fields that are for none of those who are shown views, and what they are for."""

POD = {
    "spec": {
        "volumes": [{"name": "v", "ephemeral": {}}],
        "tolerations": [{"key": "a", "operator": "Equal", "value": "b"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{
            "matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}],
            "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}],
        }]}}},
    },
}  # fmt: skip
EVENT = {
    "eventTime": "2026-01-01T00:00:00.000001Z",
    "series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00Z"},
    "involvedObject": {"kind": "Node", "name": "n"},
}


def structs() -> list[type[msgspec.Struct]]:
    found = {one for module in (meta, selectors, views) for one in vars(module).values() if isinstance(one, type)}
    return sorted((one for one in found if issubclass(one, meta.Struct)), key=lambda one: one.__name__)


def fields() -> Iterator[str]:
    for struct in structs():
        bases = [base for base in struct.__bases__ if issubclass(base, meta.Struct)]
        inherited = {name for base in bases for name in base.__struct_fields__}
        yield from (f"{struct.__name__}.{name}" for name in struct.__struct_fields__ if name not in inherited)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The fields that are read from now on."""
    found: set[str] = set()

    def noting(self: object, name: str) -> object:
        if not sys._getframe(1).f_code.co_filename.endswith(COPIERS):
            found.update(f"{one.__name__}.{name}" for one in type(self).__mro__)
        return object.__getattribute__(self, name)

    for struct in structs():
        monkeypatch.setattr(struct, "__getattribute__", noting)
    return found


def test_each_field_is_read_by_some_check_or_index(read: set[str]) -> None:
    for path in cases.paths():
        cases.run(cases.load(path))
    in_no_case(Store(views.KINDS))

    assert set(fields()) - read == set(ELSEWHERE)


def in_no_case(store: Store) -> None:
    """What checks read of objects that no case has."""
    for kind, body in (("Pod", POD), ("Event", EVENT)):
        store.put(cases.decode({"kind": kind, **body, "metadata": {"name": "a", "ownerReferences": [{"uid": "u"}]}}))
    for view in (Pod, Event):
        for row in store.table(view).rows.values():
            for index in INDEXES.values():
                list(index(row))
    (pod,), (event,) = store.table(Pod).find("all", ""), store.table(Event).find("all", "")
    containers_unready_since(pod)
    pod.spec.wants("n", {"zone": "z"})
    pod.spec.tolerations[0].tolerates(Taint(key="a", value="b"))
    added_up([event])
