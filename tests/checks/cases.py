"""The cases of checks: data, one file a story. What a case says is in docs/writing-checks.md."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kubedx.checks import registry
from kubedx.core.message import render
from kubedx.engine.engine import Engine
from kubedx.engine.verdict import Outcome, RawFinding
from kubedx.kube.decode import Decoded, Decoder
from kubedx.kube.meta import View
from kubedx.kube.views import BY_KIND, KINDS
from kubedx.settings import Settings, resolve
from kubedx.store.store import State, Store

HERE = Path(__file__).parent
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
REGISTRY = registry()
DECODERS: dict[type[View], Decoder[Any]] = {view: Decoder(view) for view in KINDS}


@dataclass(frozen=True)
class Case:
    """One file: objects, and what the check must say about them."""

    path: Path
    check: str
    polarity: str
    now: datetime
    settings: Mapping[str, Any]
    history: list[dict[str, Any]]
    forbidden: list[str]
    expect: list[dict[str, Any]]
    objects: list[dict[str, Any]]


@dataclass(frozen=True)
class Said:
    """What the check said."""

    outcome: Outcome
    findings: tuple[RawFinding, ...]
    unknowns: tuple[Any, ...]


def paths() -> Iterator[Path]:
    return iter(sorted(HERE.glob("*/*.yaml")))


def load(path: Path) -> Case:
    body = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 -- a safe loader
    unknown = set(body) - {"now", "settings", "history", "forbidden", "expect", "objects"}
    assert not unknown, f"{path.name} has keys that no case has: {unknown}"
    assert isinstance(body["now"], datetime), f"{path.name}: now must be a time"
    polarity = path.name.split(".")[0]
    return Case(path, path.parent.name, polarity, body["now"], body.get("settings") or {}, body.get("history") or [],
                body.get("forbidden") or [], body.get("expect") or [], body.get("objects") or [])  # fmt: skip


def decode(body: Mapping[str, Any]) -> Decoded[Any]:
    view = BY_KIND[body["kind"]]
    return DECODERS[view].decode(msgspec.json.encode(body))


def run(case: Case, objects: list[dict[str, Any]] | None = None) -> Said:
    """Ask the check of a case about its objects (or about others in their place)."""
    check = REGISTRY.by_id[case.check]
    store = Store(KINDS, since=case.history[0]["at"] if case.history else None)
    for table in store.tables.values():
        table.state = State.FORBIDDEN if table.view.resource.kind in case.forbidden else State.SYNCED
    for entry in case.history:
        store.put(decode(entry["object"]))
    for body in case.objects if objects is None else objects:
        store.put(decode(body))
    alone = {case.check: {"enabled": True, "settings": dict(case.settings)}}
    policy = {"spec": {"profiles": [], "checks": alone}}
    settings = resolve(None, policy, REGISTRY)
    assert settings.problems == (), "the case sets something that the check does not have"
    engine = Engine(REGISTRY, store, settings, case.now)
    engine.run(case.now)
    findings = [
        one for verdict in engine.verdicts.values() for one in verdict.findings if raised(one, settings, case.now)
    ]
    unknowns = tuple(one for verdict in engine.verdicts.values() for one in verdict.unknowns)
    return Said(engine.outcomes()[check], tuple(sorted(findings, key=lambda one: (one.subject, one.member))), unknowns)


def raised(finding: RawFinding, settings: Settings, now: datetime) -> bool:
    return finding.since is None or now - finding.since >= settings.raise_after(finding.check)


def shown(finding: RawFinding) -> dict[str, str]:
    where = "/".join(filter(None, (finding.subject.namespace, finding.subject.name)))
    message = render(finding.check.message, finding.params)
    return {"subject": f"{finding.subject.kind} {where}", "severity": finding.severity.text, "message": message}
