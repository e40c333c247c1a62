"""ImageRegistryDeprecated."""

from kubedx.checks._support.images import PULL_REASONS, retired
from kubedx.checks._support.pods import status_path
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.views import Pod


@check(
    title="An image comes from a registry that was given up",
    message="Container {container} of pod {name} uses {image}: {place} {what}; its images are now in {instead}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.namespace,
    steps=(
        Step("See which pods of the namespace use it.", "kubectl -n {namespace} get pods -o wide"),
        Step("Put {instead} in place of {place} in the pod template, and check that the tag exists there."),
        Step("For the pause image also look at sandbox_image, or pinned_images, of the container runtime."),
    ),
    since="0.1.0",
)
def image_registry_deprecated(pod: Pod) -> Answer:
    """A container's image comes from a place that gets no new images and may be switched off.

    ## Meaning
    The image is named by a registry, or a part of one, that its owners gave up: `k8s.gcr.io` and older homes of
    Kubernetes' own images, the old home of flannel, the tagged versions of Bitnami on docker.io.

    ## Impact
    None while the node has the image or the old place still answers. New versions and corrections of security faults
    never appear there. On the day that it is gone, a new node cannot start the pod; while its pull fails it is a
    warning.

    ## Diagnosis
    The message names the image, its place and the new one.

    ## Mitigation
    Change the registry in the pod template, the chart's values or the manifest, with the next upgrade at the latest.

    ## Limitations
    The list of places is built in. Whether the image exists in the new place is not known. Images are named as the
    kubelet reports them, which for one image with several names may be another name than in the template. Findings
    stand together by namespace.

    ## References
    - https://kubernetes.io/blog/2023/02/06/k8s-gcr-io-freeze-announcement/
    - https://kubernetes.io/blog/2023/03/10/image-registry-redirect/
    - https://github.com/bitnami/containers/issues/83267
    """
    for container in () if pod.finished else pod.containers:
        place = retired(container.image)
        if place:
            waiting = container.state.waiting
            fails = waiting is not None and waiting.reason in PULL_REASONS
            yield Finding(
                pod,
                severity=Severity.WARNING if fails else Severity.INFO,
                evidence=(field(pod, f"{status_path(pod, container)}.image", container.image),),
                container=container.name,
                image=container.image,
                place=place.place,
                what=place.what,
                instead=place.instead,
            )
            return
