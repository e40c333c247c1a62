"""The values of the Helm chart, declared once; `values.yaml` and `values.schema.json` follow from these models."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from kubedx.api.policy import PolicySpec
from kubedx.core.check import Check
from kubedx.core.finding import Severity
from kubedx.generate import alerts
from kubedx.generate.banner import BANNER
from kubedx.kube.duration import PATTERN

Json = dict[str, Any]
"""A JSON schema, or an object of Kubernetes that is passed on as it is."""

Resource = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(\.[a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|[smhdwy]))+$")]
DnsName = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=63)]


def _alerts_as_keys(schema: Json) -> None:
    # A key for each alert instead of any key: a wrong name is refused by name.
    each = schema.pop("additionalProperties")
    schema |= {"properties": {alert.name: each for alert in alerts.ALERTS}, "additionalProperties": False}


ByAlert = Field(json_schema_extra=_alerts_as_keys)


class _Values(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra=lambda schema: schema.pop("title", None),
    )


class _Image(_Values):
    repository: str = Field(
        default="", description="Where the image is, without its tag. There is no default: docs/install.md."
    )
    tag: str = Field(default="", description="The image's tag; the chart's appVersion if empty.")
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = Field(
        default="",
        description="The image's digest, as sha256:…; it is pulled by the digest instead of the tag if given.",
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When the kubelet pulls the image: Always, IfNotPresent or Never."
    )
    pull_secrets: list[Json] = Field(default=[], description="The Secrets to pull with, as a list of {name: …}.")


class _Crds(_Values):
    enabled: bool = Field(default=True, description="Whether the release brings the two CustomResourceDefinitions.")
    keep: bool = Field(
        default=True, description="Whether they, and all objects of their kinds, outlive `helm uninstall`."
    )


class _ServiceAccount(_Values):
    create: bool = Field(default=True, description="Whether the release brings the ServiceAccount.")
    name: DnsName = Field(default="", description="The ServiceAccount's name; the release's full name if empty.")
    annotations: dict[str, str] = Field(default={}, description="Annotations of the ServiceAccount.")


class _Rbac(_Values):
    create: bool = Field(
        default=True, description="Whether the release brings the operator's roles and their bindings."
    )
    viewer: bool = Field(
        default=False,
        description="Whether to add the ClusterRole `…-viewer`, to be bound to people who may read all diagnoses. "
        "It is not aggregated to `view`: a diagnosis quotes messages from all namespaces.",
    )


class _Finalizers(_Values):
    resources: list[Resource] = Field(
        default=[],
        description="Further kinds, as `plural.group` such as certificates.cert-manager.io, whose metadata the check "
        "ResourceFinalizerStuck may list and watch. Secrets are refused.",
        max_length=100,
    )


class _Service(_Values):
    enabled: bool = Field(default=True, description="Whether to create the Service for /metrics.")
    port: Port = Field(default=8080, description="The Service's port.")
    annotations: dict[str, str] = Field(default={}, description="Annotations of the Service.")


class _ServiceMonitor(_Values):
    enabled: bool = Field(
        default=False, description="Whether to create a ServiceMonitor; needs the Prometheus operator."
    )
    labels: dict[str, str] = Field(default={}, description="Labels by which your Prometheus selects ServiceMonitors.")
    interval: Duration = Field(default="30s", description="How often Prometheus scrapes.")


class _PrometheusRule(_Values):
    enabled: bool = Field(default=False, description="Whether to create the alerts; needs the Prometheus operator.")
    labels: dict[str, str] = Field(default={}, description="Labels by which your Prometheus selects PrometheusRules.")
    runbook_base: str = Field(
        default="",
        description="What is put before the path of each alert's page, such as "
        "https://git.example.com/kubedx/blob/main/; ends with a slash.",
        pattern=r"^(https?://.+/)?$",
    )
    disabled: Annotated[dict[str, bool], ByAlert] = Field(
        default={}, description="Alerts to leave out, as {KubedxDropped: true}. docs/alerts.md lists them."
    )
    for_: Annotated[dict[str, Duration], ByAlert] = Field(
        default={},
        alias="for",
        description="How long an alert must hold before it fires, as {KubedxDiagnosisWarning: 30m}.",
    )
    severity: Annotated[dict[str, str], ByAlert] = Field(
        default={}, description="Other severities for alerts, as {KubedxDown: page}."
    )


class _Egress(_Values):
    enabled: bool = Field(
        default=False,
        description="Whether to limit what the operator may connect to. A wrong CIDR or port here cuts it off from the "
        "API server: see docs/install.md.",
    )
    cidrs: list[Cidr] = Field(
        default=[],
        description="The API server's addresses: its endpoints, and for some network plugins its cluster IP too.",
    )
    ports: list[Port] = Field(default=[443, 6443], description="The API server's ports.")


class _NetworkPolicy(_Values):
    enabled: bool = Field(default=True, description="Whether to let nothing reach the operator but its metrics port.")
    ingress_from: list[Json] = Field(
        default=[], description="Who may reach the metrics port, as NetworkPolicyPeers; everybody if empty."
    )
    egress: _Egress = Field(default=_Egress(), description="Limits on outgoing connections, off by default.")


class _Resources(_Values):
    requests: dict[str, str | int | float] = Field(
        default={"cpu": "50m", "memory": "128Mi"},
        description="What is set aside. Reading the cluster at the start takes most; after that, little is used.",
    )
    limits: dict[str, str | int | float] = Field(
        default={"memory": "512Mi"},
        description="What may not be exceeded. The goal is 320 MiB at most for 150,000 pods, so this leaves a reserve. "
        "No limit on CPU: it would only make diagnoses late.",
    )


class _PodDisruptionBudget(_Values):
    enabled: bool = Field(default=True, description="Whether to create it where there are two replicas or more.")
    max_unavailable: int | str = Field(default=1, description="How many replicas a drain may take at a time.")


class Values(_Values):
    """Everything that a user of the chart can set."""

    name_override: DnsName = Field(default="", description="Replaces the chart's name in the names of objects.")
    fullname_override: DnsName = Field(default="", description="Replaces the whole name of all objects.")
    image: _Image = Field(default=_Image(), description="The operator's image.")
    replicas: Annotated[int, Field(ge=0, le=5)] = Field(
        default=1,
        description="How many replicas run. One leads, the others stand by. 0 installs everything but pods.",
    )
    policy: Json = Field(
        default={},
        description="The defaults of the policy, in the shape of DiagnosisPolicy.spec: checks, profiles, namespaces, "
        "suppressions, retention, limits. The object `cluster` overrides them field by field.",
    )
    finalizers: _Finalizers = Field(
        default=_Finalizers(), description="What the check of stuck finalizers may look at."
    )
    crds: _Crds = Field(default=_Crds(), description="The kinds ClusterDiagnosis and DiagnosisPolicy.")
    service_account: _ServiceAccount = Field(
        default=_ServiceAccount(), description="Who the operator is for the API server."
    )
    rbac: _Rbac = Field(
        default=_Rbac(), description="What it may do: list and watch; write its own two kinds and its Lease."
    )
    service: _Service = Field(default=_Service(), description="Where Prometheus finds it.")
    service_monitor: _ServiceMonitor = Field(default=_ServiceMonitor(), description="How Prometheus scrapes it.")
    prometheus_rule: _PrometheusRule = Field(
        default=_PrometheusRule(), description="Alerts on root problems and on the operator's own blindness."
    )
    network_policy: _NetworkPolicy = Field(
        default=_NetworkPolicy(), description="What the operator's pods may talk to."
    )
    pod_disruption_budget: _PodDisruptionBudget = Field(
        default=_PodDisruptionBudget(), description="What a drain may take."
    )
    resources: _Resources = Field(default=_Resources(), description="CPU and memory of a replica.")
    strategy: Json = Field(
        default={}, description="How pods are replaced on an upgrade; Kubernetes' own default if empty."
    )
    pod_labels: dict[str, str] = Field(default={}, description="Further labels of the pods.")
    pod_annotations: dict[str, str] = Field(default={}, description="Annotations of the pods.")
    priority_class_name: str = Field(
        default="", description="The pods' PriorityClass, such as system-cluster-critical to outlive what is diagnosed."
    )
    node_selector: dict[str, str] = Field(default={}, description="Labels of the nodes that the pods may run on.")
    tolerations: list[Json] = Field(default=[], description="Taints that the pods tolerate.")
    affinity: Json = Field(default={}, description="The pods' affinity.")
    topology_spread_constraints: list[Json] = Field(
        default=[], description="How the pods are spread over nodes and zones."
    )
    extra_args: list[str] = Field(default=[], description="Further arguments of `kubedx run`.")
    extra_env: list[Json] = Field(default=[], description="Further environment variables, as a list of EnvVar.")
    extra_objects: list[Json | str] = Field(
        default=[], description="Further objects to install; they may use templates."
    )


def values() -> str:
    """Write the chart's values.

    Returns:
        `values.yaml`: each key with its default, below a sentence that says what it is for.
    """
    return BANNER + "\n".join(_lines(Values(), ""))


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        yield from (f"{indent}# {line}" for line in _wrapped(field, 118 - len(indent)))
        if isinstance(value, BaseModel):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"
        if not indent:
            yield ""


def _wrapped(field: FieldInfo, width: int) -> Iterator[str]:
    line = ""
    for word in (field.description or "").split():
        if line and len(line) + len(word) >= width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    yield line


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 -- asked for each field, always no
        return False


def schema(checks: Iterable[Check]) -> str:
    """Write the schema that helm holds the values against.

    Args:
        checks: All checks, in any order; they make the keys of `policy.checks`.

    Returns:
        `values.schema.json`. A key that it does not know is an error.
    """
    found = Values.model_json_schema(by_alias=True, schema_generator=_Untitled)
    policy = _for_helm(PolicySpec.model_json_schema(by_alias=True, schema_generator=_Untitled))
    policy["properties"]["checks"]["additionalProperties"] = False
    policy["properties"]["checks"]["properties"] = {check.id: _check(check) for check in checks}
    found["$defs"] |= policy.pop("$defs")
    found["properties"]["policy"] = policy | found["properties"]["policy"] | {"additionalProperties": False}
    found["properties"]["global"] = {"type": "object", "description": "Set by helm for charts inside charts; unused."}
    found["$comment"] = BANNER.removeprefix("# ").rstrip()
    found["$schema"] = "http://json-schema.org/draft-07/schema#"
    return json.dumps(found, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


_MATCHES = re.compile(r"self\.matches\('(.*)'\)")


def _for_helm(schema: Any) -> Any:  # noqa: ANN401 -- any part of a JSON schema
    # Helm knows no CEL: a rule that matches a pattern becomes the pattern, what else is for the API server goes.
    if isinstance(schema, list):
        return [_for_helm(part) for part in schema]
    if isinstance(schema, dict):
        kept = {key: _for_helm(part) for key, part in schema.items() if not key.startswith("x-kubernetes-")}
        for rule in schema.get("x-kubernetes-validations", ()):
            if matches := _MATCHES.fullmatch(rule["rule"]):
                kept["pattern"] = matches[1]
        return kept
    return schema


def _check(check: Check) -> Json:
    duration = {"type": "string", "pattern": PATTERN}
    settings = msgspec.json.schema(check.settings_type)["$defs"][check.settings_type.__name__]["properties"]
    settings |= {
        "raiseAfter": duration | {"description": "How long it must be true before it is said, such as 90s or 5m."},
        "clearAfter": duration | {"description": "How long it must be false before it is withdrawn."},
    }
    return {
        "type": "object",
        "description": check.title,
        "additionalProperties": False,
        "properties": {
            "enabled": {"type": "boolean", "description": "Whether the check is run."},
            "severity": {
                "enum": [severity.text for severity in Severity],
                "description": "The most severe that its findings may be.",
            },
            "settings": {"type": "object", "additionalProperties": False, "properties": settings},
        },
    }
