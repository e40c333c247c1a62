"""The patterns that kubedx knows and cannot see, declared once: for `kubedx explain`, `kubedx checks --unseen`, docs/.

kubedx reads objects and Events. What stands only in a log, in a kubelet's or an API server's metrics, on the wire or in
somebody's terminal is not there to be read. No code looks for these patterns; their pages say so, which check comes
nearest, and what to type. In commands, names in braces are to be filled in by hand.
"""

from enum import Enum

import msgspec

from kubedx.core.finding import Step


class Detectability(Enum):
    """Where a pattern can be seen."""

    WATCHED = "watched objects"
    """In the objects and Events that kubedx watches: there is a check."""
    PROBE = "needs a probe"
    """In what somebody would have to ask for: logs, metrics, a connection."""
    OUTSIDE = "not visible from the API"
    """In nothing that a program in the cluster can ask for."""


class Unseen(msgspec.Struct, frozen=True):
    """One pattern that no check looks for.

    Attributes:
        id: Its name, unlike that of every check.
        title: The problem in one line.
        detectability: What it would take to see it.
        meaning: What is broken, and what words it is known by.
        why: Why kubedx does not see it.
        nearest: The checks that come nearest; those that this version does not have are not shown.
        signal: What can be seen instead.
        steps: How to look by hand, and what helps.
        references: Where to read on.
    """

    id: str
    title: str
    detectability: Detectability
    meaning: str
    why: str
    signal: str
    steps: tuple[Step, ...]
    nearest: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


_KUBELET = (
    "The kubelet tells it only to those who may ask it directly, through `nodes/proxy`. That right also allows to run "
    "commands in every pod of the node, so kubedx does not ask for it."
)
_LOGS = "It stands only in a log, and kubedx reads no logs."
_CLIENT = "The error arises in the client or is answered to it alone; no object in the cluster changes."
_CONNECTS = "Only a connection through the same network can tell, and kubedx connects to nothing but the API server."
_SUMMARY = "kubectl get --raw /api/v1/nodes/{node}/proxy/stats/summary"

_NODES = (
    Unseen(
        "NodeCPUSaturated",
        "Node has no processor time left",
        Detectability.PROBE,
        meaning="Pods and system daemons want more processor time than the machine has: more than nine tenths of what "
        "is allocatable for ten minutes, or a pressure (PSI) above 40 % over five minutes. Probes time out, the "
        "kubelet and the container runtime answer late.",
        why="Usage is measured by metrics-server or the kubelet, and is no field of any object.",
        nearest=("ProbeFailuresNodeWide", "NodePLEGUnhealthy", "NodeImageStatsUnavailable"),
        signal="Probes of many pods on one node fail at a time, or its kubelet complains that the runtime is slow.",
        steps=(
            Step("See which nodes and pods use most.", "kubectl top nodes; kubectl top pods -A --sort-by=cpu"),
            Step(
                "Read the pressure itself; Kubernetes 1.34 or newer with cgroup v2 has it at `node.cpu.psi`.", _SUMMARY
            ),
            Step("Spread the heavy pods or give them CPU limits, and reserve processor time for the system."),
        ),
        references=("https://kubernetes.io/docs/reference/instrumentation/understand-psi-metrics/",),
    ),
    Unseen(
        "NodeDiskIOSlow",
        "Node's disk is slow",
        Detectability.PROBE,
        meaning="Reads and writes wait for the disk. Containers take minutes to be created, the kubelet asks again "
        "while the first request still runs, and etcd on such a disk loses its leader.",
        why=f"Neither latency nor pressure of a disk is a field of any object. {_KUBELET}",
        nearest=("ContainerNameReserved", "PodSandboxTimeout", "NodeImageStatsUnavailable", "ImagePullSlow"),
        signal="Creating containers or sandboxes runs into its deadline for several pods of one node.",
        steps=(
            Step("On the machine, look for a device that is busy all the time.", "iostat -dx 1 5; pidstat -d 1 5"),
            Step("Or read the pressure at `node.io.psi`; Kubernetes 1.34 or newer with cgroup v2 has it.", _SUMMARY),
            Step("Put the data of the container runtime and of etcd on fast disks of their own."),
        ),
        references=("https://github.com/containerd/containerd/issues/4604",),
    ),
    Unseen(
        "KubeletCgroupInitFailed",
        "Kubelet cannot set up its control groups",
        Detectability.OUTSIDE,
        meaning="The kubelet ends right after its start, with `Failed to start ContainerManager` and one of `failed to "
        "initialize top level QOS containers`, `Following Cgroup subsystem not mounted`, `mountpoint for cpu not "
        "found`: the kernel or the system does not offer the cgroup controllers that it needs.",
        why="A kubelet that ends writes no Event and answers no request; its words stay in the machine's journal.",
        nearest=("NodeUnreachable", "KubeletSetupFailed", "NodeCgroupV1", "NodeKernelTooOld"),
        signal="The node stops reporting or never reports, often after a reboot, an upgrade or on an old kernel.",
        steps=(
            Step("On the machine, read why the kubelet ended.", "journalctl -u kubelet -b --no-pager | tail -50"),
            Step(
                "See which cgroup version and controllers there are; `cgroup2fs` is version 2.",
                "stat -fc %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers /proc/cgroups",
            ),
            Step(
                "Give the kubelet and the container runtime the same cgroup driver (systemd), mount the cgroups at "
                "boot, or upgrade the kernel. The feature gates SupportPodPidsLimit and SupportNodePidsLimit are "
                "gone; do not set them."
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/configure-cgroup-driver/",),
    ),
    Unseen(
        "NodeRuntimeStatsMissing",
        "Kubelet has no statistics of its machine",
        Detectability.PROBE,
        meaning="The kubelet's statistics answer `unable to find data in memory cache`. That is normal for two "
        "minutes after its start; later it means that it cannot read its cgroups or filesystems.",
        why=_KUBELET,
        nearest=("HPAFailedGetResourceMetric", "NodeInvalidDiskCapacity"),
        signal="Autoscalers get no metrics for the pods of that node, or the kubelet reports a disk with no capacity.",
        steps=(
            Step("See whether one node has no figures.", "kubectl top nodes"),
            Step("Ask its kubelet; an error 500 confirms it.", _SUMMARY),
            Step("Restart the kubelet on that machine. Its containers go on running.", "systemctl restart kubelet"),
        ),
        references=("https://kubernetes.io/docs/reference/instrumentation/node-metrics/",),
    ),
    Unseen(
        "KubeletMemoryLeak",
        "Kubelet's memory grows without end",
        Detectability.PROBE,
        meaning="The kubelet's own memory grows by the day: above 1.5 GiB, or three times what it was yesterday. Old "
        "versions kept a series of metrics for each watch that they had ever opened.",
        why=_KUBELET,
        nearest=("NodeMemoryPressure", "NodeSystemOOM"),
        signal="The node runs out of memory, or its kernel ends a process, although the pods stay within their limits.",
        steps=(
            Step("Read its working set: `node.systemContainers`, the entry `kubelet`.", _SUMMARY),
            Step("On the machine, see it directly.", "ps -o rss,etime,args -C kubelet"),
            Step("Restart the kubelet, and upgrade it.", "systemctl restart kubelet"),
        ),
        references=("https://github.com/kubernetes/kubernetes/issues/73587",),
    ),
    Unseen(
        "NodeMemoryCacheInflated",
        "Memory in use includes the page cache",
        Detectability.PROBE,
        meaning="A console shows a node's memory as nearly full, but much of it is cache of files that the kernel "
        "gives back on demand. Kubernetes counts the working set and evicts nobody for it. This is no fault.",
        why=f"Both figures come from the kubelet alone. {_KUBELET}",
        nearest=("NodeMemoryPressure",),
        signal="As long as no memory pressure is reported, the kubelet sees enough memory.",
        steps=(
            Step("See the working set, which counts.", "kubectl top nodes"),
            Step("Compare `usageBytes` with `workingSetBytes` at `node.memory`.", _SUMMARY),
            Step("Alert on the working set in place of the usage."),
        ),
        references=("https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",),
    ),
    Unseen(
        "KubeletOrphanedPodVolumes",
        "Kubelet cannot clean up the volumes of pods that are gone",
        Detectability.PROBE,
        meaning="The kubelet repeats every two seconds `orphaned pod ... found, but` an error about the volumes' "
        "folder. Something was left there, mostly after the machine went down hard. It fills the log, and may fill "
        "the disk.",
        why=f"It is in the kubelet's log and in its metric `kubelet_orphan_pod_cleaned_volumes_errors`. {_KUBELET}",
        nearest=("NodeDiskPressure", "PodStuckTerminating", "NodeUnreachable"),
        signal="The disk fills up, or pods of the node ended hard before.",
        steps=(
            Step(
                "On the machine, read which pods it names.", "journalctl -u kubelet --since -10min | grep 'rphaned pod'"
            ),
            Step(
                "Make sure that no such pod exists any more.",
                "kubectl get pods -A -o jsonpath='{..metadata.uid}' | tr ' ' '\\n' | grep {uid}",
            ),
            Step("On the machine, make sure that nothing is mounted there.", "findmnt | grep {uid}"),
            Step(
                "Remove single leftover files, such as `vol_data.json`, and let the kubelet do the rest. Never remove "
                "the folder recursively: where a volume is still mounted, that deletes its data.",
                "rm /var/lib/kubelet/pods/{uid}/volumes/{plugin}/{volume}/vol_data.json",
                danger=True,
            ),
        ),
        references=("https://github.com/kubernetes/kubernetes/issues/105536",),
    ),
    Unseen(
        "NodeEvictionThresholdMisconfigured",
        "Kubelet's eviction thresholds are off or too low",
        Detectability.PROBE,
        meaning="The kubelet evicts too late or never, as its `evictionHard` is empty, 0 %, or below 5 % of the disk "
        "or 100 MiB of memory. Setting one of the keys drops the defaults of all others, unless "
        "`mergeDefaultEvictionSettings` is true (since 1.33).",
        why=f"A kubelet's configuration is no object. {_KUBELET}",
        nearest=("NodeDiskPressure", "NodeSystemOOM", "NodeReservedResourcesMissing"),
        signal="The kernel ends processes, or a disk is full, before the kubelet reports any pressure.",
        steps=(
            Step(
                "Read the configuration in force.",
                "kubectl get --raw /api/v1/nodes/{node}/proxy/configz",
            ),
            Step(
                "Set all of them: memory.available 100Mi to 500Mi, nodefs.available 10%, imagefs.available 15%, "
                "nodefs.inodesFree 5%. Without eviction the disk just fills up."
            ),
        ),
        references=(
            "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#eviction-thresholds",
        ),
    ),
    Unseen(
        "ZoneMetricInitBenign",
        "Controller manager begins to count the nodes of a zone",
        Detectability.OUTSIDE,
        meaning="The controller manager logs `Initializing eviction metric for zone` when it first sees a node of a "
        "zone. This is no fault, and there is nothing to do.",
        why=_LOGS,
        nearest=("ZoneDisruption",),
        signal="If nodes of a zone really fail together, that is said.",
        steps=(Step("See that the nodes are ready.", "kubectl get nodes -L topology.kubernetes.io/zone"),),
        references=("https://github.com/k3s-io/k3s/issues/396",),
    ),
)

_PODS = (
    Unseen(
        "PodExecContainerNotFound",
        "`kubectl exec` does not find the container",
        Detectability.OUTSIDE,
        meaning="`kubectl exec` ends with `container not found` or `unable to upgrade connection`, although the pod "
        "is shown as Running: the container ended a moment ago, or kubelet and container runtime disagree about it.",
        why=_CLIENT,
        nearest=("PodNotReady", "PodProbesMissing"),
        signal="The pod is not ready, or has no probe that would tell that its container is dead.",
        steps=(
            Step("See what the kubelet knows about the containers.", "kubectl -n {namespace} describe pod {pod}"),
            Step("Ask the runtime on the machine.", "crictl ps -a --label io.kubernetes.pod.name={pod}"),
            Step("Let the controller make another pod.", "kubectl -n {namespace} delete pod {pod}", danger=True),
        ),
        references=(
            "https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/",
        ),
    ),
    Unseen(
        "PodPortForwardFailed",
        "`kubectl port-forward` cannot connect in the pod",
        Detectability.OUTSIDE,
        meaning="`kubectl port-forward` ends with `failed to execute portforward in network namespace` and mostly "
        "`connection refused`: nothing in the pod listens on that port of its loopback address.",
        why=_CLIENT,
        nearest=("PodNotReady",),
        signal="The pod is not ready, so its process may not listen yet.",
        steps=(
            Step(
                "See on which addresses and ports the process listens.", "kubectl -n {namespace} exec {pod} -- ss -lnt"
            ),
            Step("Use a port that listens on 127.0.0.1 or on all addresses; the pod's own address does not do."),
            Step("Machines with an old containerd need `socat`.", "command -v socat"),
        ),
        references=(
            "https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/",
        ),
    ),
    Unseen(
        "ContainerCPUThrottled",
        "Container is slowed down by its CPU limit",
        Detectability.PROBE,
        meaning="The kernel stops the container in more than a quarter of its scheduling periods, as it used up its "
        "limit. It answers late, and probes with a short timeout fail.",
        why=f"It is counted in the kubelet's metrics only. {_KUBELET}",
        nearest=("PodLivenessProbeFailing", "PodReadinessProbeFailing"),
        signal="Probes of a pod with a CPU limit fail by timeout.",
        steps=(
            Step("See how much it uses, against its limit.", "kubectl -n {namespace} top pod {pod} --containers"),
            Step(
                "Count the periods in which it was stopped.",
                "kubectl get --raw /api/v1/nodes/{node}/proxy/metrics/cadvisor | grep cfs_throttled_periods | grep "
                "{pod}",
            ),
            Step("Raise or remove the CPU limit, or give the process fewer threads."),
        ),
        references=("https://runbooks.prometheus-operator.dev/runbooks/kubernetes/cputhrottlinghigh/",),
    ),
    Unseen(
        "PodSecretFilePermissionDenied",
        "Process may not read a mounted Secret",
        Detectability.PROBE,
        meaning="A container that does not run as root ends with `Permission denied` for a file that is mounted from "
        "a Secret or ConfigMap, or with `private key file ... has group or world access`: the files belong to root, "
        "and the pod sets neither a fitting `fsGroup` nor a fitting `defaultMode`.",
        why=f"{_LOGS} Only a container with `terminationMessagePolicy: FallbackToLogsOnError` has it in its status.",
        nearest=("PodCrashLoopBackOff",),
        signal="The container crashes again and again.",
        steps=(
            Step("Read what it said before it ended.", "kubectl -n {namespace} logs {pod} --previous --tail=20"),
            Step(
                "See who it runs as, and how the files are mounted.",
                "kubectl -n {namespace} get pod {pod} -o yaml | grep -E 'runAsUser|fsGroup|defaultMode'",
            ),
            Step("Set the pod's `securityContext.fsGroup` to the group of the process, and `defaultMode: 0440`."),
        ),
        references=("https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",),
    ),
    Unseen(
        "StorageClassUpdateForbidden",
        "StorageClass cannot be changed",
        Detectability.OUTSIDE,
        meaning="Somebody tried to change a StorageClass and was answered `updates to provisioner are forbidden`. Its "
        "provisioner and parameters are fixed for good.",
        why=_CLIENT,
        nearest=("StorageProvisionerMissing", "PVCPending"),
        signal="The class keeps its old provisioner, and if nothing provides it, claims stay pending.",
        steps=(
            Step("See what the class says.", "kubectl get storageclass {class} -o yaml"),
            Step(
                "Make a class with another name. Or make it anew: volumes that exist do not need their class.",
                "kubectl replace --force -f storageclass.yaml",
                danger=True,
            ),
        ),
        references=("https://kubernetes.io/docs/concepts/storage/storage-classes/",),
    ),
)

_NETWORK = (
    Unseen(
        "KubeProxyConntrackMissing",
        "kube-proxy does not find the program conntrack",
        Detectability.PROBE,
        meaning="kube-proxy up to 1.31, started without its image, logs `error looking for path of conntrack`. It "
        "cannot forget connections to pods that are gone, so UDP, and DNS above all, fails now and then. Since 1.32 "
        "it needs no program.",
        why=_LOGS,
        nearest=("KubeProxyDown",),
        signal="None while kube-proxy runs: it goes on without it.",
        steps=(
            Step("Look for it.", "kubectl -n kube-system logs -l k8s-app=kube-proxy --tail=-1 | grep -i conntrack"),
            Step("Install it on the machines, then restart kube-proxy.", "apt-get install conntrack"),
        ),
        references=("https://kubernetes.io/docs/reference/networking/virtual-ips/",),
    ),
    Unseen(
        "ServiceConnectivityBroken",
        "Service's address does not answer although its pods do",
        Detectability.PROBE,
        meaning="Connections to a Service's cluster address are refused or time out from some nodes, while its pods "
        "answer directly: the rules that kube-proxy or the network plugin should have written are missing or old.",
        why=_CONNECTS,
        nearest=("KubeProxyDown", "ServiceNoReadyEndpoints", "ServiceBackendsNotGated"),
        signal="kube-proxy is not ready on a node, the Service has no ready pod, or the table of connections is full.",
        steps=(
            Step(
                "Compare the Service with one of its pods, from a pod on the node at fault.",
                "kubectl -n {namespace} exec {pod} -- wget -qO- -T 3 http://{service}:{port}",
            ),
            Step(
                "See which addresses should answer.",
                "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={service}",
            ),
            Step(
                "Only the Service fails: look at kube-proxy of that node. Both fail: look at the network between the "
                "nodes."
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/",),
    ),
    Unseen(
        "ClusterDNSUpstreamTimeout",
        "Cluster DNS gets no answer from its upstream",
        Detectability.PROBE,
        meaning="CoreDNS logs `plugin/errors: 2 ... i/o timeout` with the address of an upstream server, kube-dns "
        "`failure to forward request`. Names outside the cluster do not resolve. A single line about HINFO at the "
        "start is its test for loops and no fault.",
        why=_LOGS,
        nearest=("ClusterDNSDown",),
        signal="None while its pods are ready: they answer, if only with an error.",
        steps=(
            Step(
                "Count the errors.", "kubectl -n kube-system logs -l k8s-app=kube-dns --since=5m | grep plugin/errors"
            ),
            Step("On the node of that pod, ask the upstream server.", "dig @{upstream} example.com"),
            Step(
                "Let UDP and TCP port 53 through, and see that the kubelet's `resolvConf` names a real resolver, such "
                "as /run/systemd/resolve/resolv.conf.",
                "sysctl net.ipv4.ip_forward; cat /run/systemd/resolve/resolv.conf",
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",),
    ),
    Unseen(
        "ClusterDNSAPIServerTimeout",
        "Cluster DNS does not reach the API server",
        Detectability.PROBE,
        meaning="CoreDNS logs `Failed to list *v1.EndpointSlice` with `i/o timeout`, `no route to host` or "
        "`connection refused`, or starts `with unsynced Kubernetes API`. From its node the API server's Service does "
        "not answer.",
        why=_LOGS,
        nearest=("ClusterDNSDown", "KubeProxyDown", "NodeCNINotReady"),
        signal="Its pods do not become ready, or the network of their node is not.",
        steps=(
            Step(
                "Read it.", "kubectl -n kube-system logs -l k8s-app=kube-dns --since=5m | grep -E 'Failed to|unsynced'"
            ),
            Step(
                "On that node, ask the API server by its Service's address. Any answer, even 401, means that it is "
                "reached.",
                "curl -k -m 3 https://{address}/livez",
            ),
            Step("Look at kube-proxy and at the network plugin of that node, then at firewalls between the nodes."),
        ),
        references=("https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/",),
    ),
    Unseen(
        "ClusterDNSResolutionFailing",
        "Names do not resolve in pods",
        Detectability.PROBE,
        meaning="Pods get no or wrong answers for names, from some nodes or from all.",
        why=_CONNECTS,
        nearest=("ClusterDNSDown", "KubeProxyDown", "DNSInefficiencyRisk"),
        signal="The DNS pods are not ready, kube-proxy is down on a node, or pods ask far too often.",
        steps=(
            Step(
                "Ask from a pod on the node at fault, by the Service's address.",
                "kubectl -n {namespace} exec {pod} -- nslookup kubernetes.default.svc.cluster.local "
                "{dns-service-address}",
            ),
            Step(
                "Ask each DNS pod by its own address.",
                "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide",
            ),
            Step(
                "Only the Service's address fails: kube-proxy. One pod fails: the network to its node. All fail: "
                "CoreDNS. Only names outside the cluster fail: its upstream."
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/",),
    ),
    Unseen(
        "CrossNodeNetworkBroken",
        "Pods of different nodes do not reach each other",
        Detectability.PROBE,
        meaning="Traffic between pods works within a node and not between some nodes, although all are Ready: tunnels "
        "(UDP 8472, 4789 or 6081) are blocked, the plugin uses the wrong interface, or the MTU does not fit.",
        why=_CONNECTS,
        nearest=("NodeNetworkUnavailable", "NodeCNINotReady", "MetricsAPIUnavailable", "AdmissionWebhookUnreachable"),
        signal="Webhooks or aggregated APIs whose pods run on one node run into timeouts, while others answer.",
        steps=(
            Step(
                "From a pod on one node, reach a pod on another by its address.",
                "kubectl -n {namespace} exec {pod} -- wget -qO- -T 3 http://{address}:{port}",
            ),
            Step(
                "See which node's plugin complains.",
                "kubectl get pods -A -o wide | grep -E 'calico|cilium|flannel|antrea'",
            ),
            Step("Open the tunnel's port between all nodes, then restart the plugin's pod of the node at fault."),
        ),
        references=("https://kubernetes.io/docs/concepts/cluster-administration/networking/",),
    ),
)

_CONTROL_PLANE = (
    Unseen(
        "APIServerUnavailable",
        "API server does not answer",
        Detectability.PROBE,
        meaning="Requests to the API server are refused, time out or end with 5xx. What runs goes on running; nothing "
        "can be changed, and nothing that fails is replaced.",
        why="A diagnosis is an object, and is written through the very API server. While it does not answer, kubedx "
        "keeps what it knew, counts its failed watches and writes, and its metrics say so.",
        nearest=("APIServerStaticPodUnhealthy",),
        signal="The alerts KubedxInputsMissing and KubedxWritesFailing fire. Of several API servers, the pod of the "
        "one that is down is not ready.",
        steps=(
            Step("Ask which of its own checks fails.", "kubectl get --raw '/readyz?verbose'"),
            Step(
                "On a machine of the control plane, see whether it runs and what it says.",
                "crictl ps -a --name kube-apiserver; crictl logs --tail 50 $(crictl ps -aq --name kube-apiserver | "
                "head -1)",
            ),
            Step("Then look at etcd, at the certificates, at the disk, and at /etc/kubernetes/manifests."),
        ),
        references=("https://kubernetes.io/docs/reference/using-api/health-checks/",),
    ),
    Unseen(
        "EtcdUnhealthy",
        "etcd is slow or has no leader",
        Detectability.PROBE,
        meaning="The API server answers `etcdserver: request timed out`, `leader changed` or `no leader`, or "
        "`/readyz` says `[-]etcd failed`. Reads become slow, writes fail.",
        why="Only the API server and etcd itself measure it, in metrics and health checks.",
        nearest=("APIServerStaticPodUnhealthy",),
        signal="The pod of an etcd member is not ready or restarts, where etcd runs as pods.",
        steps=(
            Step("Ask the API server about it.", "kubectl get --raw '/readyz?verbose' | grep etcd"),
            Step(
                "On a machine of the control plane, ask all members.",
                "etcdctl endpoint status --cluster -w table; etcdctl endpoint health --cluster",
            ),
            Step("Give it a fast disk of its own and an odd number of members; defragment one member at a time."),
        ),
        references=("https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/",),
    ),
    Unseen(
        "EtcdBackupMissing",
        "Nobody saves etcd",
        Detectability.OUTSIDE,
        meaning="Without a copy of etcd that is kept elsewhere and was restored once for a test, all objects are lost "
        "with its disks. Providers of managed control planes keep one.",
        why="A backup may be made by a timer on a machine, by the provider or by a CronJob of any name; that there is "
        "none cannot be read from objects.",
        signal="None.",
        steps=(
            Step("Look for something that saves it.", "kubectl get cronjobs -A; kubectl get schedules.velero.io -A"),
            Step(
                "On a machine of the control plane, save it once, and copy the file away.",
                "etcdctl snapshot save /var/tmp/etcd.db",
            ),
            Step("Restore the copy on another machine, to know that it works."),
        ),
        references=(
            "https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/#backing-up-an-etcd-cluster",
        ),
    ),
    Unseen(
        "StaleReadsRisk",
        "API server may answer from an old state",
        Detectability.OUTSIDE,
        meaning="With several API servers, one that is behind may show objects as they were. A component that "
        "reconnects to it could act on a pod that was deleted, and two pods of a StatefulSet may run at a time. "
        "Consistent reads from the cache (on by default since 1.31, final in 1.34) end this.",
        why="No object shows how old an answer was.",
        nearest=("StatefulSetPodOnLostNode",),
        signal="Kubelets or API servers older than 1.31 are in the cluster.",
        steps=(
            Step("See the versions.", "kubectl version; kubectl get nodes"),
            Step("Upgrade to 1.34 or newer, and do not force the deletion of pods on nodes that may still run."),
        ),
        references=(
            "https://github.com/kubernetes/kubernetes/issues/59848",
            "https://github.com/kubernetes/enhancements/issues/2340",
        ),
    ),
    Unseen(
        "EtcdDatabaseSpaceLow",
        "etcd's database nears its quota",
        Detectability.PROBE,
        meaning="etcd refuses all writes with `mvcc: database space exceeded` once its file reaches the quota: 2 GiB "
        "unless `--quota-backend-bytes` says otherwise, 8 GiB at most by its own advice.",
        why="The size is a metric of the API server and of etcd. Once the quota is reached, nothing can write an "
        "object that would say so, kubedx included.",
        nearest=("JobHistoryUnbounded", "ObjectSizeNearLimit", "WorkloadPodCreateFailed"),
        signal="What usually fills it is seen: very many finished Jobs, very large objects.",
        steps=(
            Step(
                "Read the size.",
                "kubectl get --raw /metrics | grep -E '^(apiserver_storage_size_bytes|apiserver_storage_db_total)'",
            ),
            Step(
                "See which kind has most objects.",
                "kubectl get --raw /metrics | grep -E '^apiserver_(storage|resource)_objects' | sort -k2 -g | tail",
            ),
            Step(
                "On a machine of the control plane, give space back, one member at a time, and clear the alarm.",
                "etcdctl defrag; etcdctl alarm disarm",
            ),
            Step("Delete what nobody needs, or raise the quota."),
        ),
        references=("https://etcd.io/docs/latest/op-guide/maintenance/#space-quota",),
    ),
    Unseen(
        "ClientConnectionUnstable",
        "Connection from a workstation to the API server breaks",
        Detectability.OUTSIDE,
        meaning="kubectl ends with `broken pipe`, `connection reset` or a lost watch: a VPN, a tunnel or a load "
        "balancer on the way ends connections that are idle.",
        why=_CLIENT,
        signal="None: clients in the cluster do not take that way.",
        steps=(
            Step("See where it stops.", "kubectl get --raw /livez -v=8"),
            Step(
                "Use a tunnel that keeps itself alive.",
                "ssh -N -o ExitOnForwardFailure=yes -o ServerAliveInterval=15 -L 6443:{apiserver}:6443 {bastion}",
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster/",),
    ),
    Unseen(
        "ClientInsecureTLSConfig",
        "kubeconfig both trusts a certificate and trusts anybody",
        Detectability.OUTSIDE,
        meaning="A client refuses its own kubeconfig: `specifying a root certificates file with the insecure flag is "
        "not allowed`.",
        why=_CLIENT,
        signal="None.",
        steps=(
            Step("See both settings.", "kubectl config view --minify"),
            Step("Keep the certificate.", "kubectl config set-cluster {cluster} --insecure-skip-tls-verify=false"),
        ),
        references=("https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/",),
    ),
    Unseen(
        "ServiceAccountTokenInvalidated",
        "Token of a service account is no longer valid",
        Detectability.PROBE,
        meaning="A client gets 401 with `invalid bearer token, Token has been invalidated` or `service account token "
        "has been invalidated`: its ServiceAccount, Secret, pod or node is gone, or the token was a Secret that "
        "nobody had used for a year (cleaned up since 1.29).",
        why="The mark is a label of a Secret, and kubedx may not read Secrets, not even their names.",
        nearest=("PodCrashLoopBackOff",),
        signal="A pod with an old token may crash again and again.",
        steps=(
            Step(
                "Find marked tokens.",
                "kubectl get secrets -A -l kubernetes.io/legacy-token-invalid-since -L "
                "kubernetes.io/legacy-token-invalid-since",
            ),
            Step("Use a token with an end in its place.", "kubectl -n {namespace} create token {serviceaccount}"),
            Step(
                "Until then, make the old one valid again.",
                "kubectl -n {namespace} label secret {secret} kubernetes.io/legacy-token-invalid-since-",
            ),
        ),
        references=("https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",),
    ),
    Unseen(
        "CertificateExpiring",
        "Certificate of the cluster ends soon",
        Detectability.PROBE,
        meaning="A serving or client certificate of the API server, of a kubelet, of etcd or of a webhook ends soon "
        "or has ended. kubeadm's last a year, k3s's a year too; both are renewed by an upgrade or a restart at the "
        "right time only.",
        why="When a certificate ends is seen by connecting, in metrics, or in a Secret; kubedx does none of these.",
        nearest=(
            "AdmissionWebhookUnreachable",
            "MetricsAPIUnavailable",
        ),
        signal="Requests for new certificates wait or are denied, and once one has ended, its server counts as "
        "unreachable.",
        steps=(
            Step("On a machine of the control plane, list them.", "kubeadm certs check-expiration"),
            Step(
                "Or look at the one that a server shows.",
                "openssl s_client -connect {host}:6443 </dev/null 2>/dev/null | openssl x509 -noout -enddate",
            ),
            Step(
                "Renew them, then restart the components of the control plane one by one.",
                "kubeadm certs renew all",
                danger=True,
            ),
        ),
        references=("https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/",),
    ),
    Unseen(
        "APIServerCertSANMismatch",
        "API server's certificate does not have the name that clients use",
        Detectability.OUTSIDE,
        meaning="A client ends with `x509: certificate is valid for ..., not ...`: it uses an address or name that "
        "the certificate does not list, often that of a new load balancer.",
        why="The client hangs up before it says anything; the server sees a failed handshake.",
        signal="None.",
        steps=(
            Step(
                "See the names in the certificate.",
                "openssl s_client -connect {host}:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext "
                "subjectAltName",
            ),
            Step(
                "Use a name that is there. Or add yours to `apiServer.certSANs`.",
                "kubectl -n kube-system edit configmap kubeadm-config",
            ),
            Step(
                "Then, on each machine of the control plane, save the old pair away, make it anew, and restart the "
                "API server.",
                "kubeadm init phase certs apiserver --config kubeadm.yaml",
                danger=True,
            ),
        ),
        references=("https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-init-phase/",),
    ),
)

UNSEEN = tuple(sorted((*_NODES, *_PODS, *_NETWORK, *_CONTROL_PLANE), key=lambda one: one.id))
"""All patterns without a check, in the order of their ids."""

BY_ID = {one.id: one for one in UNSEEN}
