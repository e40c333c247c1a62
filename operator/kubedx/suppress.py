"""What ``kubedx suppress`` and ``kubedx unsuppress`` do: they write what people may write, and nothing else.

That is ``spec.suppress`` of a diagnosis, by a merge patch that touches no field of the operator's, and the list of
suppressions in the DiagnosisPolicy, fenced by its resourceVersion. The operator follows both within seconds.
"""

import asyncio
import glob
import re
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, NoReturn, Protocol, TypeVar

from pydantic import ValidationError

from kubedx.api import diagnosis, policy
from kubedx.api.complaint import complaint
from kubedx.api.diagnosis import ClusterDiagnosis
from kubedx.api.model import API_VERSION, Json, Model, show_time
from kubedx.core.check import Registry
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import digest
from kubedx.kube.text import clean
from kubedx.report.objects import identity, is_ours
from kubedx.report.writer import Client
from kubedx.settings import resolve
from kubedx.watch.client import Api, ApiError, Login

TRIES = 5
"""How often a write is tried that others get in the way of."""

_REST = 0.1
_MERGE_PATCH = "application/merge-patch+json"
_POLICY = f"{policy.RESOURCE.path}/{policy.NAME}"
_FROM_CHART = "values."

T = TypeVar("T")


class NotDoneError(Exception):
    """What was asked for cannot be done; the message says why, and what to do instead."""


class Server(Client, Protocol):
    """The part of `kubedx.watch.client.Api` that is needed here."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """Gives the API server's time."""


def at(kubeconfig: str | None, context: str | None, do: Callable[[Api], Awaitable[str]]) -> str:
    """Do something with an API server.

    Args:
        kubeconfig: The file; None for the usual one, or the pod's own account.
        context: The context in it; None for the current one.
        do: What to do; gives what to tell.

    Returns:
        What to tell.

    Raises:
        UnreachableError: No answer came.
        ConfigError: The API server does not accept us.
        NotDoneError: It cannot be done.
    """

    async def work() -> str:
        async with Api(Login(kubeconfig, context)) as api:
            await api.check()
            return await do(api)

    return asyncio.run(work())


async def suppress(
    api: Server, name: str, reason: str, *, lasting: timedelta | None = None, until: datetime | None = None
) -> str:
    """Silence one diagnosis until a time, by its own object.

    Args:
        api: The client.
        name: The name of the object.
        reason: Why.
        lasting: How long, from now.
        until: Until when, if `lasting` does not say it.

    Returns:
        What to tell.

    Raises:
        NotDoneError: There is no such diagnosis, or it may not be written, or the time is over.
    """
    await _found(api, name)
    now = api.clock()
    end = now + lasting if lasting is not None else until
    if end is not None and end <= now:
        raise NotDoneError(f"--until {show_time(end)} is over: it is {show_time(now)} now. Give a later time.")
    wish = _valid(diagnosis.Suppress, {"reason": reason, "until": end})
    body = {"spec": {"suppress": wish.patch()}}
    await _patiently(lambda: _request(api, "PATCH", _path(name), body=body, content_type=_MERGE_PATCH))
    return f"{name} is silenced until {show_time(end) if end else 'you undo it'}: {clean(reason)}\n{_afterwards(name)}"


async def suppress_always(api: Server, name: str, reason: str) -> str:
    """Silence a diagnosis for good, by a pattern in the policy for its check and its subject.

    Args:
        api: The client.
        name: The name of its object.
        reason: Why.

    Returns:
        What to tell.

    Raises:
        NotDoneError: There is no such diagnosis, or the policy may not be written, or the chart has patterns of its own
            that a list in the policy would replace.
    """
    found = await _found(api, name)
    named = identity(found)
    if named is None:
        raise NotDoneError(f"{name} has no status yet, so it is not known what it is about. Try again in a moment.")
    check, subject = named
    escaped = glob.escape(subject.name)
    entry: Json = {"check": check, "kind": subject.kind, "namespace": subject.namespace or None, "name": escaped}
    wish = _valid(policy.SuppressionPolicy, {**entry, "reason": reason}).wire()

    async def add() -> None:
        body = await _policy(api)
        _spare_the_chart(body)
        await _write(api, body, [*(one for one in _listed(body) if not _is_of(one, name)), wish])

    await _patiently(add)
    return (
        f"{name} is silenced for good, also when it comes back: {clean(reason)}\n"
        f"The DiagnosisPolicy has a pattern for {check} about {subject.text} now. {_afterwards(name)}"
    )


async def unsuppress(api: Server, registry: Registry, name: str) -> str:
    """Take back what `suppress` and `suppress_always` did.

    Args:
        api: The client.
        registry: The checks.
        name: The name of the object. It may be gone, if a pattern in the policy is about it.

    Returns:
        What to tell: what was taken back, and by which pattern it is silenced all the same.

    Raises:
        NotDoneError: There is no such diagnosis, or something may not be written.
    """
    raw = await _get(api, _path(name))
    done = []
    if raw is not None and (raw.get("spec") or {}).get("suppress") is not None:
        body = {"spec": {"suppress": None}}
        await _patiently(lambda: _request(api, "PATCH", _path(name), body=body, content_type=_MERGE_PATCH))
        done.append("its own silence was taken back")

    async def remove() -> bool:
        body = await _policy(api)
        kept = [one for one in _listed(body) if not _is_of(one, name)]
        if len(kept) == len(_listed(body)):
            return False
        await _write(api, body, kept)
        return True

    still = []
    try:
        if await _patiently(remove):
            done.append("its pattern was taken out of the DiagnosisPolicy")
        if raw is not None:
            still = _still_silenced(raw, await _policy(api), registry, api.clock())
    except NotDoneError as error:
        if not done:
            raise
        still = [f"Whether a pattern silences it too cannot be seen: {error}"]
    if raw is None and not done:
        await _explain_absence(api, name)
    said = f"{name}: {' and '.join(done) if done else 'it had no silence of its own; nothing was changed'}."
    return "\n".join([said, *still])


def _still_silenced(raw: Mapping[str, Any], body: Mapping[str, Any], registry: Registry, now: datetime) -> list[str]:
    named = identity(diagnosis.read(raw))
    check = registry.by_id.get(named[0]) if named else None
    if named is None or check is None:
        return []
    said = []
    for one in resolve(None, body, registry).in_force(now):
        labels = one.policy.labels or {}
        if one.matches(check, named[1], labels):
            given = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
            until = f" until {show_time(one.until)}" if one.until else ""
            where = f"{one.field} of the DiagnosisPolicy ({one.pattern}){until}"
            said.append(f"It is still silenced by {where}{f', if it has the labels {given}' if given else ''}.")
    if said:
        said.append("To change that: kubectl edit diagnosispolicy cluster")
    elif _chart_patterns(body):
        look = "kubectl get clusterdiagnosis -o wide"
        said.append(f"The chart's values silence by pattern too; whether one of them fits, it shows soon in: {look}")
    return said


def _spare_the_chart(body: Mapping[str, Any]) -> None:
    """See to it that a first entry in the policy does not put those of the chart's values out of force."""
    patterns = _chart_patterns(body)
    if patterns:
        raise NotDoneError(
            f"the chart's values silence {len(patterns)} patterns, and a list in the DiagnosisPolicy would replace "
            f"them ({'; '.join(patterns)}). Add yours to policy.suppressions of the chart's values, or copy theirs "
            "into the policy first: kubectl edit diagnosispolicy cluster"
        )


def _chart_patterns(body: Mapping[str, Any]) -> list[str]:
    """Give the patterns that are in force by the chart's values, as the policy's status tells."""
    status = policy.read_status(body)
    return [one.pattern for one in status.suppressions if one.field.startswith(_FROM_CHART)]


def _is_of(entry: Mapping[str, Any], name: str) -> bool:
    """Whether an entry of the policy is about one diagnosis only, and that is the one with this name."""
    if entry.get("labels") or not entry.get("check"):
        return False
    plain = re.sub(r"\[([*?[])\]", r"\1", entry.get("name") or "")
    subject = Ref(entry.get("kind") or "", entry.get("namespace") or "", plain)
    return name.endswith(f"-{digest(entry['check'], subject)}")


def _afterwards(name: str) -> str:
    return f"It raises no alert, and is tracked and counted all the same. To undo that: kubedx unsuppress {name}"


# --- what is asked of the API server ---


def _path(name: str) -> str:
    return f"{diagnosis.RESOURCE.path}/{urllib.parse.quote(name, safe='')}"


async def _found(api: Server, name: str) -> ClusterDiagnosis:
    raw = await _get(api, _path(name))
    if raw is None:
        await _explain_absence(api, name)
    found = diagnosis.read(raw)
    if not is_ours(found):
        raise NotDoneError(f"{name} was not made by the operator, so there is nothing that it says.")
    return found


async def _explain_absence(api: Server, name: str) -> NoReturn:
    listed = await _get(api, diagnosis.RESOURCE.path)
    if listed is None:
        raise NotDoneError("there is no kind ClusterDiagnosis in this cluster: kubedx is not installed here.")
    names = [one["metadata"]["name"] for one in listed.get("items") or []]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    advised = f"Did you mean {' or '.join(near)}?" if near else "These there are: kubectl get clusterdiagnoses"
    raise NotDoneError(f"there is no diagnosis {name!r}. {advised}")


async def _policy(api: Server) -> Mapping[str, Any]:
    """Read the policy; empty where there is none yet."""
    return await _get(api, _POLICY) or {}


def _listed(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (body.get("spec") or {}).get("suppressions") or []


async def _write(api: Server, body: Mapping[str, Any], suppressions: Sequence[Mapping[str, Any]]) -> None:
    """Replace the policy's list, unless somebody else has written the policy since it was read."""
    spec = {"suppressions": list(suppressions)}
    if body:
        patch = {"metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}, "spec": spec}
        await _request(api, "PATCH", _POLICY, body=patch, content_type=_MERGE_PATCH)
    else:
        kind, metadata = policy.RESOURCE.kind, {"name": policy.NAME}
        new = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
        await _request(api, "POST", policy.RESOURCE.path, body=new)


async def _patiently(do: Callable[[], Awaitable[T]]) -> T:
    """Do something again as long as others write the same object meanwhile."""
    number = 0
    while True:
        number += 1
        try:
            return await do()
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise NotDoneError(f"it is gone: {error.message}") from error
            if number == TRIES:
                raise NotDoneError(f"others write the same object all the time: {error.message}. Try again.") from error
            await asyncio.sleep(number * _REST)


async def _get(api: Server, path: str) -> Any:  # noqa: ANN401 -- decoded JSON
    try:
        return await _request(api, "GET", path)
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


async def _request(api: Server, method: str, path: str, **given: Any) -> Any:  # noqa: ANN401 -- as `Client` has it
    """Ask the API server. A conflict and an absence are left to the caller; the rest is told to the person."""
    try:
        return (await api.request(method, path, **given)).body
    except ApiError as error:
        if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
            raise
        advised = ""
        if error.status == HTTPStatus.FORBIDDEN:
            verb = {"GET": "get", "PATCH": "patch", "POST": "create"}[method]
            what = "diagnosispolicy" if path.startswith(policy.RESOURCE.path) else "clusterdiagnoses"
            advised = f" Ask for the right, and look with: kubectl auth can-i {verb} {what}.kubedx.dev"
        raise NotDoneError(f"the API server refuses it ({error.reason}): {error.message}.{advised}") from error


M = TypeVar("M", bound=Model)


def _valid(model: type[M], given: Mapping[str, object]) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        said = "; ".join(complaint(one, "the suppression") for one in error.errors())
        raise NotDoneError(said.replace("the suppression.reason:", "--reason")) from None
