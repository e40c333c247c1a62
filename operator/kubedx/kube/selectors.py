"""Label selectors, with the semantics of `k8s.io/apimachinery/pkg/labels`."""

from collections.abc import Mapping

from kubedx.kube.meta import NO_PAIRS, Struct
from kubedx.kube.slots import Labels


class Requirement(Struct, frozen=True):
    """One entry of a selector's `matchExpressions`."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet the requirement; an operator nobody knows matches nothing."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return False


class LabelSelector(Struct, frozen=True):
    """A metav1.LabelSelector: empty selects everything; a null one is None and selects nothing."""

    match_labels: Labels = NO_PAIRS
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
