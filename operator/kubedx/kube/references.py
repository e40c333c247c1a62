"""Variables that containers refer to and that nothing sets. What environments hold is not kept, only such names are."""

import re
from collections.abc import Iterator

import msgspec

from kubedx.kube.views import Unresolved

_MARK, _DOLLAR = b"$(", b"$"

# Capital letters only: `$(date)` in a script is the shell's, and so is `$((1 + 1))`; `$$(NAME)` is meant to stay.
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[A-Z_][A-Z0-9_]*)\))")
_OF_SERVICES = re.compile(r"(?:_SERVICE_HOST|_SERVICE_PORT(?:_[A-Z0-9_]{1,63})?|_PORT(?:_[0-9]{1,5}_[A-Z_]{1,16})?)$")
"""What the kubelet sets for each Service of the namespace."""


class _Variable(msgspec.Struct, frozen=True):
    name: str = ""
    value: str = ""


class _Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[_Variable, ...] = ()
    env_from: tuple[msgspec.Raw, ...] = ()


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    init_containers: tuple[_Container, ...] = ()
    containers: tuple[_Container, ...] = ()


class _Pod(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


class _Read(_Pod, frozen=True):
    """A pod, or a line of a watch with one in it."""

    object: _Pod = _Pod()


_read = msgspec.json.Decoder(_Read).decode


def unresolved(raw: bytes | memoryview | msgspec.Raw) -> tuple[Unresolved, ...]:
    """Find the references of a pod's containers that the kubelet leaves as they are.

    A reference is to a variable that the container's environment sets; within the environment, to one that it sets
    further up (`pkg/kubelet/container/helpers.go`, `third_party/forked/golang/expansion`).

    Args:
        raw: The pod as JSON, or a line of a watch with it.

    Returns:
        The references, each once; none of a container whose environment comes from a ConfigMap or a Secret as a whole,
        as what that sets is not known.
    """
    try:
        read = _read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    specs = (read.spec, read.object.spec)
    containers = [one for spec in specs for one in (*spec.init_containers, *spec.containers) if not one.env_from]
    return tuple(dict.fromkeys(found for one in containers for found in _of(one)))


def may_refer(raw: bytes | memoryview | msgspec.Raw) -> bool:
    """Whether a pod may have references at all: quickly, as most have none.

    Args:
        raw: The pod as JSON, or a line of a watch with it.

    Returns:
        False only if it has none.
    """
    read = bytes(raw)
    return _DOLLAR in read and _MARK in read  # One byte is found many times faster than two.


def _of(container: _Container) -> Iterator[Unresolved]:
    known: set[str] = set()
    for variable in container.env:
        for name in _missing(variable.value, known):
            yield Unresolved(container=container.name, where=f"env[{variable.name}]", variable=name)
        known.add(variable.name)
    for where, texts in (("command", container.command), ("args", container.args)):
        for name in (name for text in texts for name in _missing(text, known)):
            yield Unresolved(container=container.name, where=where, variable=name)


def _missing(text: str, known: set[str]) -> Iterator[str]:
    for match in _REFERENCE.finditer(text):
        name = match["name"]
        if name and name not in known and not _OF_SERVICES.search(name):
            yield name
