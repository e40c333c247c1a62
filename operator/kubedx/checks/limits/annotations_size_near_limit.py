"""AnnotationsSizeNearLimit."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Object
from kubedx.kube.bits import Bit
from kubedx.kube.weight import MOST_ANNOTATIONS

_INFO, _WARNING = 80, 95
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@check(
    title="The annotations of an object are near their limit",
    message="The annotations of {kind} {name} take {percent} % or a little more of the {most} bytes that are allowed; "
    "the largest is {largest}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    group=by.owner,
    when=Bit.LARGE,
    steps=(
        Step(
            "See the size of each annotation.",
            "kubectl -n {namespace} get {kind} {name} -o json | jq '.metadata.annotations | map_values(length)'",
        ),
        Step(
            "If it is the copy that kubectl apply leaves: apply with --server-side from now on, and remove the copy "
            "with the next step. Otherwise make what is in annotation {largest} smaller, or keep it elsewhere."
        ),
        Step(
            "Remove the copy of kubectl apply. Whoever still applies without --server-side puts it back.",
            f"kubectl -n {{namespace}} annotate {{kind}} {{name}} {_APPLIED}-",
        ),
    ),
    since="0.1.0",
)
def annotations_size_near_limit(subject: Object) -> Answer:
    """The annotations of an object take four fifths of what they may take together.

    ## Meaning
    All annotations of an object may have 262,144 bytes together, names and values. Mostly one takes nearly all: the
    copy of the whole object that `kubectl apply` keeps in `kubectl.kubernetes.io/last-applied-configuration`.

    ## Impact
    None yet. The change that passes the limit is refused: `metadata.annotations: Too long`. From 95 % on it is a
    warning.

    ## Diagnosis
    The first step lists the size of each annotation.

    ## Mitigation
    `kubectl apply --server-side` keeps no copy. Controllers that write much should write into the status or into
    objects of their own.

    ## Limitations
    Only kinds that kubedx watches are looked at: ConfigMaps and custom resource definitions, which reach the limit most
    often, are mostly not among them. The share is known in steps of five percent.

    ## References
    - `Too long: may not be more than 262144 bytes` since 1.32, `must have at most 262144 bytes` before:
      `apimachinery/pkg/api/validation/objectmeta.go` (TotalAnnotationSizeLimitB).
    - https://kubernetes.io/docs/reference/using-api/server-side-apply/
    """
    weight = subject.metadata.weight
    if weight and weight.annotations >= _INFO:
        yield Finding(
            subject,
            severity=Severity.WARNING if weight.annotations >= _WARNING else Severity.INFO,
            evidence=(field(subject, "metadata.annotations", f"{weight.annotations} % of {MOST_ANNOTATIONS} bytes"),),
            percent=weight.annotations,
            most=MOST_ANNOTATIONS,
            largest=weight.largest_annotation,
        )
