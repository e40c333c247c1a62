"""ZoneDisruption."""

import math
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import awaited, condition_evidence, leaving
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Confidence, Finding, Ref, Severity, Step
from kubedx.core.inputs import Cluster, Lookup, Now, Settings, minutes
from kubedx.kube.meta import Condition
from kubedx.kube.views import Node

UNLABELLED = "(unlabelled)"
"""The zone of nodes without a zone label; not a value that a label can have."""

FEW = 3
"""Fewer nodes than this are a matter of each node, unless they are the whole zone."""

AT_ONCE = minutes(2)


class ZoneDisruptionSettings(Settings, frozen=True, rename="camel"):
    """Settings of ZoneDisruption."""

    percent: Annotated[
        int,
        Meta(ge=10, le=100, description="Percent of a zone's nodes that must be down, as --unhealthy-zone-threshold."),
    ] = 55
    at_once_percent: Annotated[
        int,
        Meta(ge=1, le=100, description="Percent of a zone's nodes whose silence within two minutes is suspicious."),
    ] = 10


Down = tuple[datetime, Node, Condition]
"""A node that is not ready: since when, which, and its Ready condition."""


@check(
    title="Zone has lost its nodes",
    message="{down} of {total} nodes of zone {name} are down, among them {example}",
    severity=Severity.CRITICAL,
    layer=0,
    raise_after=minutes(1),
    explains={
        "NodeUnreachable": join.same_node,
        "PodEvictedByTaint": join.same_node,
        "PodNodeLost": join.same_node,
    },
    steps=(
        Step("See which nodes are down.", "kubectl get nodes -L topology.kubernetes.io/zone -o wide"),
        Step("Look at your cloud's status page, and at network and firewalls between the zone and the control plane."),
        Step("Do not drain or delete nodes before you know that their machines are off: they may well be running."),
    ),
    since="0.1.0",
)
def zone_disruption(_: Cluster, nodes: Lookup[Node], settings: ZoneDisruptionSettings, now: Now) -> Answer:
    """Most nodes of a zone went down together, so the zone is at fault and not each node.

    ## Meaning
    The network to the zone is cut, or the zone has no power. A zone is what the nodes' label
    `topology.kubernetes.io/zone` names; nodes without it count as one zone.

    ## Impact
    Everything that runs only there is down. The control plane evicts pods from such a zone slowly (one node in 100 s)
    or, with up to 50 nodes in it, not at all; if all zones are down, it evicts nothing.

    ## Diagnosis
    Compare when the nodes fell silent: within a minute or two means a common cause.

    ## Mitigation
    Mend the network or wait for the provider. Do not drain the zone at once; add capacity in other zones.

    ## Limitations
    A zone of a single node is never reported. At least half of the nodes that are down must be silent: nodes whose
    kubelets report a fault have checks of their own. Several nodes, but not most, that fall silent within two minutes
    are only a suspicion, a warning. Zones of one name in two regions count as one.

    ## References
    - `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (ComputeZoneState), 1.4 to 1.36: more than two nodes
      and 55 % of them not ready, or all.
    - https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction
    """
    zones: dict[str, list[Node]] = {}
    for node in nodes.all():
        if not leaving(node):
            zones.setdefault(node.zone or UNLABELLED, []).append(node)
    for zone, members in sorted(zones.items()):
        found = _together(_down(members, now), len(members), settings)
        if found:
            down, since, severity = found
            yield Finding(
                Ref("Zone", "", zone),
                since=since,
                severity=severity,
                confidence=None if severity is Severity.CRITICAL else Confidence.PROBABLE,
                evidence=tuple(condition_evidence(node, ready) for _, node, ready in down[:5]),
                nodes=tuple(node.name for _, node, _ in down),
                down=len(down),
                total=len(members),
                example=down[0][1].name,
            )


def _down(members: list[Node], now: Now) -> list[Down]:
    found: list[Down] = []
    for node in members:
        ready = node.condition("Ready")
        if ready is None or ready.status == "True" or ready.last_transition_time is None:
            continue
        if not awaited(node, ready, now):
            found.append((ready.last_transition_time, node, ready))
    return sorted(found, key=lambda one: (one[0], one[1].name))


def _together(
    down: list[Down], total: int, settings: ZoneDisruptionSettings
) -> tuple[list[Down], datetime, Severity] | None:
    """The nodes that went down together, since when it were enough of them, and how bad that is."""
    silent = [one for one in down if one[2].status == "Unknown"]
    enough = max(min(total, FEW), math.ceil(total * settings.percent / 100))
    if total > 1 and len(down) >= enough and 2 * len(silent) >= len(down):
        return down, down[enough - 1][0], Severity.CRITICAL
    several = max(FEW, math.ceil(total * settings.at_once_percent / 100))
    for start, (first, last) in enumerate(zip(silent, silent[several - 1 :], strict=False)):
        if last[0] - first[0] <= AT_ONCE:
            return silent[start:], last[0], Severity.WARNING
    return None
