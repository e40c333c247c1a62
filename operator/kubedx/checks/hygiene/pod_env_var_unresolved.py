"""PodEnvVarUnresolved."""

from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.bits import Bit
from kubedx.kube.views import ContainerStatus, Pod

_FAILS = frozenset({"CrashLoopBackOff", "RunContainerError", "CreateContainerError"})


@check(
    title="A container that fails refers to a variable that nothing sets",
    message="Container {container} of pod {name} fails, and gets $({variable}) in its {where} as it is, as nothing "
    "sets variable {variable} before",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    group=by.owner,
    when=Bit.WAITING | Bit.TERMINATED,
    explains={"PodCrashLoopBackOff": join.itself},
    steps=(
        Step(
            "Read what the container wrote.", "kubectl -n {namespace} logs {name} -c {container} --previous --tail=50"
        ),
        Step("See command, arguments and environment.", "kubectl -n {namespace} get pod {name} -o yaml"),
        Step(
            "Set {variable} in env of container {container}, above what refers to it; for values of the pod itself use "
            "valueFrom.fieldRef, such as status.podIP. Write $$( where the text is meant to stay."
        ),
    ),
    since="0.1.0",
)
def pod_env_var_unresolved(pod: Pod) -> Answer:
    """A container that fails has a reference such as `$(HOST)` that Kubernetes could not resolve.

    ## Meaning
    In `command`, `args` and the values of `env` Kubernetes puts the value of a variable in place of `$(NAME)`. It knows
    only what the container's own `env` sets, within `env` only what stands further up, and leaves all else as it is.

    ## Impact
    The program gets the letters `$(NAME)` in place of a host, a port or a path. It is good to know, as it may be why
    the container fails.

    ## Diagnosis
    Compare the names in command and arguments with those in `env`. Variables that the image sets do not count.

    ## Mitigation
    Set the variable, correct its name, or move it further up. Fields of the pod come by `fieldRef`, its requests and
    limits by `resourceFieldRef`.

    ## Limitations
    Only names in capital letters are looked at, as `$(date)` in a script is the shell's. A container with `envFrom` is
    left out, as what that sets is not known, and so are names such as `REDIS_SERVICE_HOST`, which Kubernetes sets for
    Services. Whether the container fails because of it is not known. Containers that run are not looked at.

    ## References
    - `third_party/forked/golang/expansion/expand.go`, unchanged from 1.5 to 1.36.
    - https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """
    if pod.deleted or pod.finished:
        return
    failing = {one.name: one for one in pod.containers if _fails(one)} if pod.spec.unresolved else {}
    for one in pod.spec.unresolved:
        container = failing.get(one.container)
        if container:
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                evidence=(
                    field(pod, f"spec.containers[{one.container}].{one.where}", f"$({one.variable})"),
                    field(pod, status_path(pod, container), "fails"),
                ),
                container=one.container,
                where=one.where,
                variable=one.variable,
            )
            return


def _fails(container: ContainerStatus) -> bool:
    waiting, ended = container.state.waiting, container.state.terminated
    return bool((waiting and waiting.reason in _FAILS) or (ended and ended.exit_code))
