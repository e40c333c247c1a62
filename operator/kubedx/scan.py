"""One look: the full evaluation of a dump, or of the cluster, without history."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from kubedx.api import diagnosis
from kubedx.api.policy import NAME, RESOURCE
from kubedx.checks import registry as all_checks
from kubedx.core.check import Registry
from kubedx.diagnosis.diagnosis import State as DiagnosisState
from kubedx.diagnosis.diagnosis import Suppression
from kubedx.diagnosis.group import Identity
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.decode import Decoder
from kubedx.kube.meta import View
from kubedx.kube.text import clean
from kubedx.report.objects import identity, suppression
from kubedx.report.text import Report
from kubedx.settings import Settings, resolve
from kubedx.store.forms import Row
from kubedx.store.store import State, Store
from kubedx.watch import dump
from kubedx.watch.client import Api, ApiError, Login
from kubedx.watch.reflector import Reflector, Server


def scan_dump(path: str, policy: Mapping[str, Any] | None, now: datetime | None) -> Report:
    """Diagnose a dump.

    Args:
        path: What `kubedx.watch.dump.read` takes.
        policy: The policy to follow, None for the defaults.
        now: The time to judge ages by; None for the newest time in the dump.

    Returns:
        What there is to say.

    Raises:
        DumpError: There is nothing to read.
    """
    registry = all_checks()
    views = _views(registry)
    by_kind = {(view.resource.api_version, view.resource.kind): view for view in views}
    decoders = {key: Decoder(view) for key, view in by_kind.items()}

    def wanted(api_version: str, kind: str) -> bool:
        return (api_version, kind) in by_kind

    store = Store(views, registry.event_reasons)

    def decode(api_version: str, kind: str, raw: dump.Buffer) -> Row:
        return store.row(decoders[api_version, kind].decode(memoryview(raw)))

    found = dump.read(path, wanted, decode)
    at = now or found.newest or datetime.now(UTC)
    settings = resolve(None, policy, registry)
    for key, view in by_kind.items():
        store.table(view).state = State.SYNCED if key in found.kinds else State.SYNCING
    for one in found.objects:
        store.keep(one.value)
    return _report(registry, store, settings, at, [str(problem) for problem in found.problems], found.passed_over)


def scan_live(login: Login, policy: Mapping[str, Any] | None, now: datetime | None) -> Report:
    """Diagnose the cluster as it is.

    Args:
        login: How to log in.
        policy: The policy to follow; None for the cluster's own, or the defaults where it has none.
        now: The time to judge ages by; None for now.

    Returns:
        What there is to say.

    Raises:
        UnreachableError: No answer came.
        ConfigError: The API server does not accept us.
    """
    return asyncio.run(_scan_live(login, policy, now))


async def _scan_live(login: Login, policy: Mapping[str, Any] | None, now: datetime | None) -> Report:
    registry = all_checks()
    store = Store(_views(registry), registry.event_reasons)
    async with Api(login) as api:
        await api.check()
        server = Server()
        reflectors = [
            Reflector(api, store, view, server=server, changed=lambda _: None, turned=lambda: None)
            for view in store.tables
        ]
        problems = [problem for problem in await asyncio.gather(*map(_read, reflectors)) if problem]
        settings = resolve(None, policy if policy is not None else await _own_policy(api), registry)
        silenced = await _silenced(api)
    return _report(registry, store, settings, now or api.clock(), problems, 0, silenced)


async def _read(reflector: Reflector) -> str:
    """Read a kind once; returns why that was refused, where it was for no reason that the store knows."""
    try:
        await reflector.read_once()
    except ApiError as error:
        return str(error)
    return ""


async def _own_policy(api: Api) -> Mapping[str, Any] | None:
    try:
        body: Mapping[str, Any] = (await api.request("GET", f"{RESOURCE.path}/{NAME}")).body
    except ApiError:
        return None  # Not installed there, or not for us to read: the defaults do.
    return body


async def _silenced(api: Api) -> dict[Identity, Suppression]:
    """Read which diagnoses people have silenced, each by the spec of its own object."""
    try:
        answer = (await api.request("GET", diagnosis.RESOURCE.path)).body
    except ApiError:
        return {}  # As above: then nobody silenced anything.
    found = map(diagnosis.read, answer.get("items") or [])
    return {named: told for one in found if (named := identity(one)) and (told := suppression(one))}


def _views(registry: Registry) -> Iterable[type[View]]:
    views = {view for check in registry for view in registry.kinds(check)}
    return sorted(views, key=lambda view: view.resource.kind)


def _report(
    registry: Registry,
    store: Store,
    settings: Settings,
    now: datetime,
    problems: list[str],
    passed_over: int,
    silenced: Mapping[Identity, Suppression] = MappingProxyType({}),
) -> Report:
    engine = Engine(registry, store, settings, now)
    engine.run(now)
    ledger = Ledger(registry, settings, lambda _: True, one_shot=True)
    outcomes = engine.outcomes()
    for named, told in silenced.items():
        ledger.suppress(named, told)
    ledger.feed(dict(engine.drain()), outcomes, now)
    said = [problem.text for problem in (*settings.problems, *settings.expired(now))]
    return Report(
        now=now,
        diagnoses=tuple(one for one in ledger.diagnoses() if one.state is DiagnosisState.OPEN),
        outcomes=outcomes,
        problems=tuple(map(clean, (*said, *problems))),
        passed_over=passed_over,
        undecided=engine.undecided(),
        objects={view.resource.kind: len(table.rows) for view, table in store.tables.items() if table.rows},
    )
