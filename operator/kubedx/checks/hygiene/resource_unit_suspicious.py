"""ResourceUnitSuspicious."""

from typing import Annotated

from kubedx.checks._support.units import TOO_MANY_CORES, Suspect, largest_node, most_cores, too_small
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Now, minutes
from kubedx.kube.views import Pod

_TIMES_THE_LARGEST = 10
_HUNDREDS = 200
"""Cores that hardly any machine has; for one that has fewer the autoscaler is given time."""

_PATIENCE = minutes(10)


@check(
    title="An amount of memory, disk or CPU has a suspicious unit",
    message="In pod {name} the {where} is {written}, which means {means}; {guess} was probably meant",
    profile=Profile.RISK,
    layer=0,
    group=by.owner,
    explains={
        "PodEvictedEmptyDirLimit": join.same_owner,  # The evicted pod is a record, its successor says it.
        "PodOOMKilled": join.itself.where(limit_is="suspicious"),
        "PodUnschedulable": join.itself.where(binding="insufficient resources"),
    },
    steps=(
        Step("Read the amounts as Kubernetes understands them.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Correct the unit in the pod template. CPU: 1 is one core, 500m half of one. Memory and disk: Ki, Mi and "
            "Gi are powers of 1024, k, M and G of 1000, m is a thousandth, and no unit means bytes."
        ),
    ),
    since="0.1.0",
)
def resource_unit_suspicious(pod: Pod, largest: Annotated[float, largest_node], now: Now) -> Answer:
    """A container states an amount that hardly anybody means, such as a tenth of a byte of memory.

    ## Meaning
    A unit is wrong or missing: `memory: 100m` is a tenth of a byte, `memory: 512` is 512 bytes, `cpu: 500` is five
    hundred cores. Kubernetes takes all of them as they are.

    ## Impact
    A container whose memory limit is that small is killed as it starts or cannot be created. A request for so many
    cores fits no node. A volume with such a size limit gets its pod evicted with the first file. A request for so
    little memory lets the node be overfilled, and makes the pod the first to go; that is only good to know.

    ## Diagnosis
    `kubectl describe pod` shows limits and requests. The message says how much the amount really is.

    ## Mitigation
    Correct the unit in the pod template, the chart's values, or the LimitRange that gave the amount.

    ## Limitations
    Only pods are looked at: a workload whose pods are not created is not seen. `128974848000m` is what Kubernetes
    makes of a fraction of a mebibyte and is left alone, as are amounts of memory from 1 MiB and of disk from 4 KiB on.
    A request for CPU of a pod that has no node counts from 1000 cores on; from 200 on if that is more than ten times
    the largest node; and from 100 on if it is so for ten minutes. Of several such amounts the first is named.

    ## References
    - `fractional byte value "100m" is invalid, must be an integer`: the warning of the API server, `pkg/api/pod/
      warnings.go`, 1.23 to 1.36.
    - https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    if pod.deleted or pod.finished:
        return
    small, large = next(too_small(pod), None), most_cores(pod)
    if small and pod.spec.node_name:
        yield _finding(pod, small, small.means, small.guess)
    elif large and not pod.spec.node_name:
        fits_nowhere = 0 < _TIMES_THE_LARGEST * largest < large.value
        is_sure = large.value >= _HUNDREDS or now.older(pod.created, _PATIENCE)
        if large.value >= TOO_MANY_CORES or (fits_nowhere and is_sure):
            means = f"{large.value:g} cores, while the largest node has {largest:g}"
            yield _finding(pod, large, means, f"{large.written}m")


def _finding(pod: Pod, suspect: Suspect, means: str, guess: str) -> Finding:
    return Finding(
        pod,
        since=pod.created,
        severity=Severity.WARNING if suspect.is_limit else Severity.INFO,
        evidence=(field(pod, suspect.path, suspect.written),),
        where=suspect.where,
        written=suspect.written,
        means=means,
        guess=guess,
    )
