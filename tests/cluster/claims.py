"""The quickest fault to make and to mend: a claim for a class of storage that the cluster does not have."""

from tests.cluster.harness import Cluster
from tests.cluster.installation import diagnoses


def missing_class(cluster: Cluster, name: str) -> str:
    """Makes a claim that waits for a class of its own name.

    Args:
        cluster: The cluster.
        name: The name of both.

    Returns:
        What will be found, as `diagnoses` calls it.
    """
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "storageClassName": name,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    cluster.apply(claim)
    return f"StorageClassMissing StorageClass/{name}"


def mend(cluster: Cluster, name: str) -> None:
    """Takes the claim away; nobody asks for the class any more."""
    cluster.kubectl("delete", "persistentvolumeclaim", name, "--namespace=default", "--wait=false")


def state_of(cluster: Cluster, diagnosis: str) -> str:
    """The state of a diagnosis by its name in `diagnoses`; empty where there is none."""
    return str(diagnoses(cluster).get(diagnosis, {}).get("state", ""))
