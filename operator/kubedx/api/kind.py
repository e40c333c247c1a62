"""How a kind of ours is declared, beside the models of its spec and status."""

from dataclasses import dataclass

from pydantic.config import JsonDict

from kubedx.api.model import Model
from kubedx.kube.meta import Resource


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``.

    Attributes:
        name: The heading.
        path: The JSONPath of the value.
        description: What it shows, in a sentence.
        type: ``string``, ``integer`` or ``date``; a date is shown as an age.
        wide: Whether it needs ``-o wide``.
    """

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds, as its CRD declares it.

    Attributes:
        resource: How the API serves it.
        singular: The name for one object on the command line.
        short: The short name on the command line.
        description: What an object of it is, in a sentence.
        spec: The model of what people write.
        status: The model of what the operator writes.
        columns: The columns of ``kubectl get`` after the name.
        selectable: The fields that ``--field-selector`` knows.
        rules: What the API server checks about the object as a whole.
    """

    resource: Resource
    singular: str
    short: str
    description: str
    spec: type[Model]
    status: type[Model]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    rules: tuple[JsonDict, ...] = ()
