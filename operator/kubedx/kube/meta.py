"""What every Kubernetes object has: its metadata, its conditions, and how views of it are declared.

A view is a frozen struct of exactly the fields that some check reads; everything else in an object is skipped while it
is decoded. Fields have defaults, so that a bare object decodes. Free text is typed `Text`, whose decoding cleans it.
"""

from datetime import datetime
from typing import ClassVar

import msgspec

from kubedx.kube.slots import Labels, Message, Name, Pairs, Time, Uid, Version
from kubedx.kube.text import Text

EMPTY = Text()
NO_PAIRS = Pairs()


class Resource(msgspec.Struct, frozen=True):
    """How the API serves a kind.

    Attributes:
        group: The API group, empty for the core group.
        version: The version within the group, such as ``v1``.
        plural: The resource name in paths and in RBAC, such as ``pods``.
        kind: The kind's name, such as ``Pod``; with its group appended for kinds outside Kubernetes itself.
        namespaced: Whether objects live in a namespace.
        metadata_only: Whether only the metadata is asked for.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    metadata_only: bool = False

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of the kind's objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The path below which the API server lists all objects of the kind."""
        return (
            f"/apis/{self.group}/{self.version}/{self.plural}" if self.group else f"/api/{self.version}/{self.plural}"
        )


class Struct(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """Base of every part of a view: immutable, untracked by the garbage collector, camelCase on the wire."""


class OwnerReference(Struct, frozen=True):
    """The fields of metav1.OwnerReference that checks read."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Annotations(
    Struct,
    frozen=True,
    rename={
        "default_class": "storageclass.kubernetes.io/is-default-class",
        "beta_default_class": "storageclass.beta.kubernetes.io/is-default-class",
        "provisioned_by": "pv.kubernetes.io/provisioned-by",
        "balancer": "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id",
        "old_balancer": "service.beta.kubernetes.io/alicloud-loadbalancer-id",
    },
):
    """The few annotations that checks read; the others are skipped at decode (they may be 256 KiB an object)."""

    default_class: Text = EMPTY
    beta_default_class: Text = EMPTY
    provisioned_by: Text = EMPTY
    balancer: Text = EMPTY
    old_balancer: Text = EMPTY


class Weight(Struct, frozen=True):
    """How much of what is allowed a large object takes, in percent, rounded down to steps of five.

    Attributes:
        whole: The share of what etcd takes in one request, of the object as JSON.
        annotations: The share of what all annotations of an object may take.
        largest_annotation: The name of the one that takes most.
    """

    whole: int = 0
    annotations: int = 0
    largest_annotation: Text = EMPTY


class ObjectMeta(Struct, frozen=True):
    """The fields of metav1.ObjectMeta that checks read."""

    name: Name = ""
    namespace: str = ""
    uid: Uid = ""
    resource_version: Version = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Labels = NO_PAIRS
    annotations: Annotations = Annotations()
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    weight: Weight | None = msgspec.field(default=None, name="(weight)")
    """None for all but large objects. Weighed by the decoder: no field of an object has this name."""


class View(Struct, frozen=True):
    """A typed, read-only view of one object. Subclasses name the resource they show."""

    resource: ClassVar[Resource]

    metadata: ObjectMeta = ObjectMeta()

    @property
    def kind(self) -> str:
        """The kind, such as ``Pod``."""
        return self.resource.kind

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The object's namespace, empty for a cluster-scoped kind."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """The object's uid, empty in hand-written objects."""
        return self.metadata.uid

    @property
    def created(self) -> datetime | None:
        """When the object was created."""
        return self.metadata.creation_timestamp

    @property
    def deleted(self) -> datetime | None:
        """When the object's grace period ends or ended, None while nobody asked to delete it."""
        return self.metadata.deletion_timestamp

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object, if there is one."""
        return next((owner for owner in self.metadata.owner_references if owner.controller), None)


class Condition(Struct, frozen=True):
    """One entry of `status.conditions`, in the shape that all kinds share."""

    type: str = ""
    status: str = ""
    reason: Text = EMPTY
    message: Message = EMPTY
    last_transition_time: Time | None = None


def find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """Find a condition by its type.

    Args:
        conditions: The object's conditions.
        kind: The condition's type, such as ``Ready``.

    Returns:
        The first condition of that type, or None.
    """
    for condition in conditions:
        if condition.type == kind:
            return condition
    return None


def metadata_view(resource: Resource) -> type[View]:
    """Make a view of nothing but the metadata, for a kind that is known only at run time.

    Args:
        resource: How the API serves the kind.

    Returns:
        A view type whose objects are asked for as PartialObjectMetadata.
    """
    view: type[View] = msgspec.defstruct(  # type: ignore[assignment]  # the base is View
        resource.kind.replace(".", "_"),
        [],
        bases=(View,),
        frozen=True,
        gc=False,
        kw_only=True,
        rename="camel",
        namespace={"resource": msgspec.structs.replace(resource, metadata_only=True), "__doc__": View.__doc__},
    )
    return view
