"""Where each topic of the notes that kubedx began from has gone: to checks, to pages about what is unseen, or nowhere.

kubedx began from five sets of notes about failures of clusters, numbered 000 to 004; 000 is a later edition of the end
of 002. Their headings and the ids of all patterns in them are kept here, so that nothing is left out in silence.
"""

from collections.abc import Iterator

import msgspec

from kubedx.core.check import Registry
from kubedx.generate.banner import COMMENT
from kubedx.generate.unseen import BY_ID


class Topic(msgspec.Struct, frozen=True):
    """One heading of the notes.

    Attributes:
        where: The note and its lines.
        heading: What it is about.
        patterns: The ids of the patterns that it tells of.
        reason: Why it has no pattern, or none for all that it says.
    """

    where: str
    heading: str
    patterns: tuple[str, ...] = ()
    reason: str = ""


TOPICS = (
    Topic(
        "000 1-4, 002 209-216",
        "Failed to initialise top level QOS containers (kubernetes#43856, #44940)",
        ("KubeletCgroupInitFailed",),
    ),
    Topic(
        "000 5-13, 002 218-228", "FailedNodeAllocatableEnforcement each minute", ("NodeAllocatableEnforcementFailed",)
    ),
    Topic(
        "000 14-38, 002 228-251",
        "Node Allocatable, and the kubelet's flags for it",
        ("NodeReservedResourcesMissing", "NodeSystemOOM"),
    ),
    Topic("000 39-44, 002 253-259", "kube-proxy does not find conntrack in its PATH", ("KubeProxyConntrackMissing",)),
    Topic(
        "000 45-62, 002 261-282",
        "Dashboard without charts; Heapster is deprecated",
        ("DashboardNoMetrics", "MetricsServerMissing"),
    ),
    Topic(
        "000 63-87, 002 284-309",
        "HorizontalPodAutoscaler does not scale",
        ("HPAFailedGetResourceMetric", "MetricsServerMissing", "MetricsAPIUnavailable"),
    ),
    Topic(
        "000 88-96, 002 311-319",
        "Node out of storage: docker-gc, the biggest images",
        ("NodeDiskPressure", "NodeImageFootprintLarge", "NodeFreeDiskSpaceFailed"),
    ),
    Topic(
        "000 97-104, 002 321-330",
        "/sys/fs/cgroup is full, inotify watches run out",
        ("NodeCgroupFsFull", "NodeInotifyExhausted", "KubeletMemoryLeak"),
    ),
    Topic(
        "000 105-116, 002 332-348",
        "Many ConfigMaps and Secrets",
        ("KubeletSecretWatchPressure", "JobHistoryUnbounded", "PodConfigCacheSyncTimeout"),
    ),
    Topic("000 117-162, 002 350-395", "The kubelet leaks memory; metrics of its reflectors", ("KubeletMemoryLeak",)),
    Topic(
        "000 163-169",
        "FailedUpdateStatus of autoscalers after etcd was restored",
        ("HPAFailedUpdateStatus", "EtcdRestoreStaleCache"),
    ),
    Topic("000 170-171", "Stale reads (kubernetes#59848)", ("StaleReadsRisk", "StatefulSetPodOnLostNode")),
    Topic("000 172-175", "Links", (), reason="links; what they say is in the pages of the checks"),
    Topic("001 9-17", "Headless Services", ("HeadlessServiceNoLoadBalancing",)),
    Topic(
        "001 19-45",
        "Calling the API from a pod with curl",
        ("APIServerUnavailable", "ServiceAccountTokenInvalidated"),
        reason="how to do something, no failure; these are the failures on that way",
    ),
    Topic(
        "001 47-58, 688-715", "Environment from objects and from fields", ("PodEnvVarUnresolved", "PodConfigMissing")
    ),
    Topic(
        "001 60-79",
        "Limits: 110 pods, 1 MB an object, size of CRDs, 256 KB of annotations, names of 63, gRPC 4 MB, etcd 2 to 8 GB",
        (
            "NodePodDensityHigh",
            "ObjectSizeNearLimit",
            "AnnotationsSizeNearLimit",
            "NameLengthRisk",
            "GRPCMessageTooLarge",
            "EtcdDatabaseSpaceLow",
        ),
    ),
    Topic("001 81-84", "Operator or controller?", (), reason="an explanation of words"),
    Topic("001 86-89", "The CNI plugins come without flannel", ("CNIPluginBinaryMissing",)),
    Topic(
        "001 91, 513-522",
        "Limits and units of resources",
        ("ResourceUnitSuspicious", "PodOOMKilled", "ContainerCPUThrottled"),
    ),
    Topic(
        "001 93-95, 328-333",
        'k3s#396: "Initializing eviction metric for zone"',
        ("ZoneMetricInitBenign", "ZoneDisruption"),
    ),
    Topic("001 97-140", "The time zone of a pod", ("PodHostPathTypeCheckFailed",)),
    Topic(
        "001 142-159",
        "The disk-pressure taint, priority classes, df and df -i, thresholds of image clean-up",
        ("NodePressureTaintManual", "NodeDiskPressure", "CriticalAddonPriorityMissing", "NodeImageGCFailed"),
    ),
    Topic(
        "001 161-179",
        "Limits of a cluster, sizes of its masters",
        ("ClusterScaleLimit", "NodePodDensityHigh", "ControlPlaneUndersized"),
    ),
    Topic("001 181-190", "The kernel that is needed, check-config, Calico", ("NodeKernelTooOld",)),
    Topic("001 192-209", "Invalid capacity 0 on image filesystem", ("NodeInvalidDiskCapacity",)),
    Topic(
        "001 211-228",
        "Exporting objects without their status",
        ("AnnotationsSizeNearLimit",),
        reason="how to do something, no failure; what it leaves behind in annotations is looked at",
    ),
    Topic(
        "001 230-251",
        "Terminating pods and namespaces, finalizers",
        ("PodStuckTerminating", "NamespaceStuckTerminating", "ResourceFinalizerStuck"),
    ),
    Topic("001 253-290", "Namespaces that Rancher left", ("RancherFinalizersRemaining", "NamespaceStuckTerminating")),
    Topic("001 292-300", "x509: the certificate does not have this name", ("APIServerCertSANMismatch",)),
    Topic("001 302-322", "Sandbox timeouts, a sick master", ("PodSandboxTimeout", "PodSandboxCreateFailed")),
    Topic("001 324-326", "A root certificate together with the insecure flag", ("ClientInsecureTLSConfig",)),
    Topic("001 335", "Unbound immediate PersistentVolumeClaims", ("PodUnboundPVC", "PVCPending")),
    Topic(
        "001 337-354",
        'Server API list: broken pipe, "an error on the server"',
        ("APIDiscoveryPartial", "APIServiceUnavailable", "MetricsAPIUnavailable", "ClientConnectionUnstable"),
    ),
    Topic(
        "001 356-378",
        "DNS broken, 504 everywhere: node or Service?",
        ("ClusterDNSResolutionFailing", "ClusterDNSDown", "ServiceConnectivityBroken", "CrossNodeNetworkBroken"),
    ),
    Topic(
        "001 380-413",
        "Failed to sync secret cache; a sample of conditions",
        ("PodConfigCacheSyncTimeout", "PodNotReady"),
    ),
    Topic("001 415-419", "Swap", ("NodeSwapEnabled",)),
    Topic(
        "001 421-423, 509-511", "Free ports, host ports", ("PodHostPortConflict", "DeploymentRollingHostPortDeadlock")
    ),
    Topic("001 425-430", "Scaling to zero", ("HPAScaledToZeroOrDisabled",)),
    Topic(
        "001 432-434",
        "The provisioner of a StorageClass cannot be changed",
        ("StorageClassUpdateForbidden", "StorageProvisionerMissing"),
    ),
    Topic("001 436-451", "Reserving resources", ("NodeReservedResourcesMissing", "NodeAllocatableEnforcementFailed")),
    Topic("001 453-471, 482-486", "Volume node affinity conflict", ("PodVolumeNodeAffinityConflict",)),
    Topic("001 473-478", "Keeping the load balanced", ("WorkloadReplicasColocated",)),
    Topic(
        "001 480",
        'What the container "pause" is',
        ("ImageRegistryDeprecated", "PodSandboxCreateFailed"),
        reason="an explanation; it matters where its image comes from and where it cannot start",
    ),
    Topic("001 488-494", "Mountpoint for cpu not found", ("KubeletCgroupInitFailed",)),
    Topic("001 496-507", "Orphaned volumes of pods", ("KubeletOrphanedPodVolumes",)),
    Topic(
        "001 524-537",
        "Failed to reserve container name; zfs, iostat, pidstat",
        ("ContainerNameReserved", "NodeDiskIOSlow"),
    ),
    Topic("001 539", "Unable to find data in memory cache", ("NodeRuntimeStatsMissing",)),
    Topic("001 541", "Parent snapshot does not exist", ("ImageParentSnapshotMissing",)),
    Topic("001 543", "Token has been invalidated", ("ServiceAccountTokenInvalidated",)),
    Topic("001 545-617", "A pod as a shell on its node", ("PodHostNamespacePrivileged",)),
    Topic(
        "001 619-647",
        "Rotating certificates, and the list of them",
        ("CertificateExpiring", "KubeletClientCertExpiring", "CSRPendingOrDenied"),
    ),
    Topic("001 649-675", "eStargz", ("ImagePullSlow", "ImageParentSnapshotMissing")),
    Topic("001 677-681", "Server certificate: permission denied", ("PodSecretFilePermissionDenied",)),
    Topic(
        "001 683-686",
        'Usage of an emptyDir exceeds its limit of "1m"',
        ("PodEvictedEmptyDirLimit", "EmptyDirMemoryBacked", "ResourceUnitSuspicious"),
    ),
    Topic("001 717-720", "k8s.gcr.io", ("ImageRegistryDeprecated",)),
    Topic("001 722", "Port forwarding in the network namespace", ("PodPortForwardFailed",)),
    Topic(
        "001 724-735",
        "High availability and load balancers, MetalLB",
        ("ControlPlaneNotHA", "LoadBalancerPending", "LoadBalancerControllerMissing"),
    ),
    Topic(
        "002 1-12",
        "Overview of causes: machines down, a partition, services that did not start, lost data, mistakes",
        ("NodeUnreachable", "ZoneDisruption", "APIServerStaticPodUnhealthy", "PVCLost", "EtcdUnhealthy"),
    ),
    Topic(
        "002 13-31",
        "What fails when a component fails",
        (
            "APIServerUnavailable",
            "EtcdUnhealthy",
            "ControllerManagerDown",
            "SchedulerDown",
            "PodPendingNoScheduler",
            "CloudControllerManagerDown",
            "NodeNotReady",
            "PodStuckTerminating",
            "CrossNodeNetworkBroken",
        ),
    ),
    Topic(
        "002 33-39",
        "Recommendations: restart machines, save etcd, several masters, controllers instead of pods",
        ("ControlPlaneNotHA", "EtcdBackupMissing", "NakedPod", "NodeUnreachable"),
    ),
    Topic("002 41-48", "The status of nodes", ("NodeNotReady",)),
    Topic("002 50-100", "A Service for SSH", ("SSHServiceExposed",)),
    Topic(
        "002 102-162",
        "Where the logs are, and their labels",
        ("APIServerStaticPodUnhealthy", "KubeProxyDown", "ClusterDNSDown"),
    ),
    Topic(
        "002 164-192",
        "kube-dns or the dashboard crash; upstream and API timeouts; iptables FORWARD",
        ("ClusterDNSDown", "ClusterDNSUpstreamTimeout", "ClusterDNSAPIServerTimeout", "CrossNodeNetworkBroken"),
    ),
    Topic(
        "002 194-207",
        "Node NotReady, PLEG (kubernetes#45419), node problem detector",
        (
            "NodeNotReady",
            "NodePLEGUnhealthy",
            "NodeContainerRuntimeDown",
            "NodeCNINotReady",
            "NodeDiskPressure",
            "NodeKernelProblem",
            "NodeProblemDetectorMissing",
        ),
    ),
    Topic("003 4-38", "keycreate", ("PodSELinuxKeycreateDenied",)),
    Topic(
        "003 44-121", "The pids cgroup is missing", ("KubeletCgroupInitFailed", "NodeKernelTooOld", "NodePIDPressure")
    ),
    Topic("003 123-151", "A cgroup subsystem cannot be mounted", ("KubeletCgroupInitFailed",)),
    Topic(
        "003 153-268",
        'Eviction, admission under disk pressure, a pending GPU plugin, a full /var/log, "Failed to delete status"',
        (
            "PodEvictedNodePressure",
            "PodRejectedNodePressure",
            "NodeExtendedResourceZero",
            "NodeHostFilesFillDisk",
            "NodeEvictionThresholdMisconfigured",
            "EvictedPodsAccumulating",
        ),
    ),
    Topic(
        "003 270-330",
        "Errors on pulling images",
        ("ImagePullFailed", "ImagePullBackOff", "ImageRegistryHTTPvsHTTPS", "ImageRegistryAuthFailed"),
    ),
    Topic("003 332-348", "PersistentVolumeClaims that stay Terminating", ("PVCStuckTerminating",)),
    Topic(
        "004 7-28",
        "Deleting and maintaining nodes",
        ("NodeCordoned", "NodeDrainBlockedByPDB", "NodeGracefulDeleteMissing"),
    ),
    Topic("004 30-44", "ImageGCFailed", ("NodeImageGCFailed", "PodEphemeralStorageUnbounded")),
    Topic(
        "004 46-84",
        "DiskPressure, hostPath, and the Events of it",
        (
            "NodeDiskPressure",
            "NodeFreeDiskSpaceFailed",
            "NodeEvictionThresholdMet",
            "HostPathVolumeUsed",
            "NodeImageFootprintLarge",
        ),
    ),
    Topic("004 87-100", "CPU spikes, timeouts of image statistics", ("NodeCPUSaturated", "NodeImageStatsUnavailable")),
    Topic(
        "004 102-121",
        "Unknown nodes, PLEG, ContainerGCFailed, an image that crashes nodes",
        ("NodeUnreachable", "NodePLEGUnhealthy", "NodeContainerGCFailed", "PodNodeLost"),
    ),
    Topic("004 123-143", "SystemOOM, OomKillDisable", ("NodeSystemOOM", "PodOOMKilled")),
    Topic("004 145-159", "docker is stuck, exec probes", ("NodeContainerRuntimeDown", "PodExecProbeHeavy")),
    Topic(
        "004 163-180", "Frequent restarts", ("PodFrequentRestarts", "PodLivenessProbeFailing", "PodProbeTooAggressive")
    ),
    Topic(
        "004 182-190",
        "Limits reached, probes refused",
        ("PodOOMKilled", "ContainerCPUThrottled", "PodReadinessProbeFailing", "ProbeFailuresNodeWide"),
    ),
    Topic(
        "004 193-216",
        "Evicted: four causes",
        (
            "PodEvictedByTaint",
            "PodEvictedEmptyDirLimit",
            "PodEvictedContainerEphemeralLimit",
            "PodEvictedPodEphemeralLimit",
            "PodEvictedNodePressure",
        ),
    ),
    Topic("004 219-229", "exec fails", ("PodExecContainerNotFound", "PodProbesMissing")),
    Topic("004 232-236", "Virtual host names", ("HeadlessServiceNoLoadBalancing",)),
    Topic(
        "004 239-251",
        "Crash loops, CNI, pulling images, avalanches",
        ("PodCrashLoopBackOff", "PodSandboxCNIError", "ImagePullSlow", "WorkloadCascadingCrash", "HPAMissing"),
    ),
    Topic("004 253-257", "DNS is asked too much", ("DNSInefficiencyRisk",)),
    Topic(
        "004 261-265",
        "MinimumReplicationUnavailable, SecurityContextDeny",
        ("DeploymentMinimumReplicasUnavailable", "WorkloadPodCreateForbidden"),
    ),
    Topic("004 269-275", "A Service without pods", ("ServiceNoEndpoints",)),
    Topic(
        "004 278-284",
        "Connection refused",
        ("ServiceBackendsNotGated", "KubeProxyDown", "ServiceConnectivityBroken", "NodeConntrackFull"),
    ),
    Topic("004 287-338", "No load balancing", ("HeadlessServiceNoLoadBalancing",)),
    Topic("004 340-344", "ReplicationController does not update", ("LegacyReplicationController",)),
    Topic(
        "004 346-358", "StatefulSet stuck, or its pod unknown", ("StatefulSetRolloutStuck", "StatefulSetPodOnLostNode")
    ),
    Topic("004 360-371", "Manifests of kube-apiserver", ("APIServerStaticPodUnhealthy",)),
    Topic("004 375-388, 451-481", "Tuning of ingress, its defaults", ("IngressControllerConfigRisk",)),
    Topic(
        "004 390-400",
        "A load balancer without an address",
        ("LoadBalancerPending", "CloudControllerManagerDown", "LeaderElectionFlapping"),
    ),
    Topic("004 402-408", "Claims that a StatefulSet leaves", ("StatefulSetPVCOrphaned",)),
    Topic("004 410-420", "Allocatable dropped", ("NodeAllocatableDropped",)),
    Topic(
        "004 422-432",
        "NetworkUnavailable, quota of routes",
        ("NodeNetworkUnavailable", "NodeRouteQuotaExceeded", "NodeRouteCreationFailed"),
    ),
    Topic("004 434-441", "One load balancer, one port, two Services", ("LoadBalancerPortConflict",)),
    Topic("004 444-448", "Memory is shown too high", ("NodeMemoryCacheInflated",)),
    Topic(
        "004 483-494",
        "Process ids, node problem detector and eventer",
        ("PodCgroupProcsWriteFailed", "NodePIDPressure", "NodeKernelTooOld", "NodeProblemDetectorMissing"),
    ),
    Topic("004 496-506", "FailedMount with a flexvolume", ("FlexVolumeMountFailed",)),
    Topic(
        "004 508-514",
        "Links",
        ("PodOOMKilled", "PodRejectedAdmissionError"),
        reason="links; the topics behind them are in these checks",
    ),
)

PATTERNS = {
    "Node health and kubelet": (
        "NodeNotReady",
        "NodeUnreachable",
        "NodeReadyFlapping",
        "NodePLEGUnhealthy",
        "NodeContainerRuntimeDown",
        "NodeCNINotReady",
        "NodeNetworkUnavailable",
        "NodeRouteQuotaExceeded",
        "NodeRouteCreationFailed",
        "NodeDiskPressure",
        "NodeMemoryPressure",
        "NodePIDPressure",
        "NodeEvictionThresholdMet",
        "NodeFreeDiskSpaceFailed",
        "NodeImageGCFailed",
        "NodeImageStatsUnavailable",
        "NodeContainerGCFailed",
        "NodeInvalidDiskCapacity",
        "NodeSystemOOM",
        "NodeCPUSaturated",
        "NodeDiskIOSlow",
        "NodeAllocatableEnforcementFailed",
        "NodeReservedResourcesMissing",
        "NodeAllocatableDropped",
        "NodeKernelTooOld",
        "NodeCgroupV1",
        "KubeletCgroupInitFailed",
        "KubeletSetupFailed",
        "KubeletRestartLoop",
        "NodeRuntimeStatsMissing",
        "NodeKernelProblem",
        "NodeProblemDetectorMissing",
        "NodeSwapEnabled",
        "NodePressureTaintManual",
        "NodeCordoned",
        "NodeInotifyExhausted",
        "NodeCgroupFsFull",
        "KubeletMemoryLeak",
        "KubeletSecretWatchPressure",
        "NodePodDensityHigh",
        "NodeExtendedResourceZero",
        "NodeMemoryCacheInflated",
        "KubeletOrphanedPodVolumes",
        "NodeHostFilesFillDisk",
        "NodeEvictionThresholdMisconfigured",
        "ZoneDisruption",
        "ZoneMetricInitBenign",
    ),
    "Pod sandbox, runtime and container start": (
        "PodSandboxCreateFailed",
        "PodSandboxCNIError",
        "CNIPluginBinaryMissing",
        "PodSandboxTimeout",
        "PodSELinuxKeycreateDenied",
        "PodCgroupProcsWriteFailed",
        "ContainerNameReserved",
        "ImageParentSnapshotMissing",
        "PodExecContainerNotFound",
        "PodPortForwardFailed",
    ),
    "Pod restarts, probes, resources": (
        "PodFrequentRestarts",
        "PodCrashLoopBackOff",
        "WorkloadCascadingCrash",
        "PodOOMKilled",
        "ContainerCPUThrottled",
        "PodLivenessProbeFailing",
        "PodReadinessProbeFailing",
        "ProbeFailuresNodeWide",
        "PodProbeTooAggressive",
        "PodExecProbeHeavy",
        "PodProbesMissing",
    ),
    "Eviction, lost and stuck pods": (
        "PodEvicted",
        "PodEvictedNodePressure",
        "PodEvictedEmptyDirLimit",
        "PodEvictedContainerEphemeralLimit",
        "PodEvictedPodEphemeralLimit",
        "PodEvictedByTaint",
        "PodRejectedNodePressure",
        "EvictedPodsAccumulating",
        "PodNodeLost",
        "StatefulSetPodOnLostNode",
        "PodStuckTerminating",
    ),
    "Hygiene of pods": (
        "PodEphemeralStorageUnbounded",
        "HostPathVolumeUsed",
        "EmptyDirMemoryBacked",
        "ResourceUnitSuspicious",
        "NakedPod",
        "PodHostNamespacePrivileged",
        "SSHServiceExposed",
        "PodHostPathTypeCheckFailed",
        "PodEnvVarUnresolved",
        "PodSecretFilePermissionDenied",
        "CriticalAddonPriorityMissing",
    ),
    "Images": (
        "ImagePullFailed",
        "ImagePullBackOff",
        "ImageRegistryHTTPvsHTTPS",
        "ImageRegistryAuthFailed",
        "ImagePullSlow",
        "ImageRegistryDeprecated",
        "NodeImageFootprintLarge",
    ),
    "Storage": (
        "PVCStuckTerminating",
        "PVCPending",
        "PodUnboundPVC",
        "PodVolumeNodeAffinityConflict",
        "StorageClassUpdateForbidden",
        "StorageProvisionerMissing",
        "PodVolumeMountFailed",
        "PodConfigCacheSyncTimeout",
        "FlexVolumeMountFailed",
        "StatefulSetPVCOrphaned",
    ),
    "Scheduling": (
        "PodUnschedulable",
        "PodHostPortConflict",
        "DeploymentRollingHostPortDeadlock",
        "PodPendingNoScheduler",
        "WorkloadReplicasColocated",
    ),
    "Network, Services, DNS": (
        "ServiceNoEndpoints",
        "ServiceNoReadyEndpoints",
        "ServiceBackendsNotGated",
        "KubeProxyDown",
        "KubeProxyConntrackMissing",
        "ServiceConnectivityBroken",
        "HeadlessServiceNoLoadBalancing",
        "ClusterDNSDown",
        "ClusterDNSUpstreamTimeout",
        "ClusterDNSAPIServerTimeout",
        "ClusterDNSResolutionFailing",
        "CrossNodeNetworkBroken",
        "DNSInefficiencyRisk",
        "LoadBalancerPending",
        "LoadBalancerSyncFailed",
        "LoadBalancerPortConflict",
        "CloudControllerManagerDown",
        "IngressControllerConfigRisk",
    ),
    "Autoscaling and metrics": (
        "HPAFailedGetResourceMetric",
        "MetricsServerMissing",
        "MetricsAPIUnavailable",
        "HPAFailedUpdateStatus",
        "HPAScaledToZeroOrDisabled",
        "DashboardNoMetrics",
    ),
    "Control plane": (
        "APIServerUnavailable",
        "APIServerStaticPodUnhealthy",
        "ControllerManagerDown",
        "SchedulerDown",
        "EtcdUnhealthy",
        "EtcdBackupMissing",
        "EtcdRestoreStaleCache",
        "StaleReadsRisk",
        "EtcdDatabaseSpaceLow",
        "ControlPlaneNotHA",
        "ControlPlaneUndersized",
        "APIDiscoveryPartial",
        "ClientConnectionUnstable",
        "ClientInsecureTLSConfig",
        "ServiceAccountTokenInvalidated",
    ),
    "Workloads": (
        "DeploymentMinimumReplicasUnavailable",
        "WorkloadPodCreateForbidden",
        "StatefulSetRolloutStuck",
        "LegacyReplicationController",
        "JobHistoryUnbounded",
    ),
    "Deletion": ("NamespaceStuckTerminating", "ResourceFinalizerStuck", "RancherFinalizersRemaining"),
    "Limits": (
        "ClusterScaleLimit",
        "ObjectSizeNearLimit",
        "AnnotationsSizeNearLimit",
        "NameLengthRisk",
        "GRPCMessageTooLarge",
    ),
    "Certificates": ("CertificateExpiring", "APIServerCertSANMismatch"),
}
"""The ids of all patterns in the notes, by what they are about."""

CORRECTIONS = (
    (
        "A pod that is not ready is restarted.",
        "Only a liveness or startup probe restarts a container. A readiness probe takes the pod out of its Services.",
    ),
    (
        "`kubectl delete NODE`, `--delete-local-data`.",
        "`kubectl delete node NODE`; the option is called `--delete-emptydir-data`.",
    ),
    (
        "`kubectl patch pod '...' < pod > -p`.",
        "The arguments are in no valid order: `kubectl patch pod POD --type=merge -p '...'`.",
    ),
    (
        "Clear `metadata.finalizers` to free a namespace.",
        "A namespace waits for its `spec.finalizers` and for what is in it. Clearing the others changes nothing.",
    ),
    ("Remove the disk-pressure taint.", "The control plane puts it back while the condition lasts."),
    (
        "Swap: issue #3533.",
        "The issue is #53533. Swap works with cgroup v2: beta since 1.28, on by default since 1.30, final in 1.34.",
    ),
    ("100 pods a node.", "The documentation says 110."),
    (
        "Remove `/var/lib/kubelet/pods/UID` in a loop.",
        "That may delete the data of volumes that are still mounted. See that nothing is mounted first.",
    ),
    ("Switch eviction off.", "Then the disk fills up. Keep sane thresholds."),
    ("`SELINUX=disabled`.", "Update container-selinux. Without SELinux containers are less isolated."),
    (
        "Pipe a script from the internet into a root shell; set the gate SupportPodPidsLimit.",
        "The first is unsafe, the gate is gone.",
    ),
    ("SecurityContextDeny.", "Removed in 1.30."),
    ("Never use StatefulSets.", "An opinion."),
    ("Heapster, docker-gc, hyperkube.", "All of them are retired."),
    ("MinimumReplicationUnavailable.", "The reason is spelt `MinimumReplicasUnavailable`."),
    ("FailedCreateSandBox.", "The reason is spelt `FailedCreatePodSandBox`."),
)
"""What the notes say, and what is so."""


def waiting(registry: Registry) -> tuple[str, ...]:
    """List the patterns of the notes that have neither a check nor a page of their own yet."""
    named = {id_ for topic in TOPICS for id_ in topic.patterns}.union(*PATTERNS.values())
    return tuple(sorted(named - registry.by_id.keys() - BY_ID.keys()))


def page(registry: Registry) -> str:
    """Write the page that says where each topic of the notes has gone.

    Args:
        registry: All checks.

    Returns:
        Markdown, for the folder docs.
    """
    return COMMENT + "\n".join(_page(registry))


def _page(registry: Registry) -> Iterator[str]:
    yield "# Coverage\n"
    yield "kubedx began from five sets of notes about failures of clusters, numbered 000 to 004 (000 is a later edition"
    yield "of the end of 002). Nothing in them is left out in silence: each topic leads to the checks that look for it,"
    yield "to a page that says why it is unseen (*in italics*), or to the reason why there is neither.\n"
    yield "## Topics of the notes\n"
    yield "| note and lines | topic | checks |\n|---|---|---|"
    for topic in TOPICS:
        found = ", ".join(_named(id_, registry) for id_ in topic.patterns)
        told = "; ".join(filter(None, (found, topic.reason)))
        yield f"| {topic.where} | {topic.heading} | {told} |"
    yield "\n## Patterns in them\n"
    yield "| about | checks |\n|---|---|"
    for about, patterns in PATTERNS.items():
        yield f"| {about} | {', '.join(_named(id_, registry) for id_ in patterns)} |"
    yield "\n## What kubedx says otherwise\n"
    yield "Where the notes are wrong or out of date, kubedx does not repeat them.\n"
    yield "| the notes | what is so |\n|---|---|"
    yield from (f"| {said} | {fact} |" for said, fact in CORRECTIONS)
    yield ""


def _named(id_: str, registry: Registry) -> str:
    link = f"[{id_}](checks/{id_}.md)"
    if id_ in registry.by_id:
        return link
    return f"*{link}*" if id_ in BY_ID else f"{id_} (no check yet)"
