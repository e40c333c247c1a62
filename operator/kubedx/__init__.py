"""kubedx: recognises known failure patterns in a Kubernetes cluster and tells cause from symptom."""

from importlib.metadata import version

__version__ = version("kubedx")
