"""`kubedx suppress` and `unsuppress`: what a person silences, and how that is said, against a server in memory."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import kubedx.suppress as module
from kubedx.api import diagnosis, policy
from kubedx.checks import registry
from kubedx.cli import main
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import object_name
from kubedx.report.objects import MANAGED_BY
from kubedx.watch.client import ApiError
from tests.unit.toys import START

REGISTRY = registry()
CHECK = "PodCrashLoopBackOff"
WEB = Ref("Deployment", "shop", "web")
NAME = object_name(REGISTRY.by_id[CHECK], WEB)
Object = dict[str, Any]


def cluster_diagnosis(subject: Ref = WEB, **more: Any) -> Object:
    """The object of a crash loop, as the operator writes it."""
    name = object_name(REGISTRY.by_id[CHECK], subject)
    about = {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name}
    status = {
        "check": CHECK, "severity": "warning", "state": "Open", "confidence": "Confirmed", "subject": about,
        "subjectText": subject.text, "title": "t", "message": "m", "firstSeen": "2026-01-01T00:00:00Z",
        "lastTransition": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return {"metadata": {"name": name, "labels": MANAGED_BY, "resourceVersion": "1"}, "status": status, **more}


class Api:
    """An API server that is a dictionary by path, with versions and merge patches as the real one has them."""

    def __init__(self, *objects: Object, spec: Object | None = None, status: Object | None = None) -> None:
        self.objects = {f"{diagnosis.RESOURCE.path}/{one['metadata']['name']}": one for one in objects}
        if spec is not None:
            metadata = {"name": policy.NAME, "resourceVersion": "1"}
            self.objects[module._POLICY] = {"metadata": metadata, "spec": spec, "status": status or {}}
        self.refusals: dict[tuple[str, str], list[int]] = {}
        self.installed = True
        self.now = START
        self.before_patch: Callable[[], object] = lambda: None
        self.writes: list[tuple[str, str, Any]] = []

    def clock(self) -> datetime:
        return self.now

    def refuse(self, method: str, path: str, *statuses: int) -> None:
        """Have the next requests of this kind refused."""
        self.refusals[method, path] = list(statuses)

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "application/json") -> Any:
        await asyncio.sleep(0)
        waiting = self.refusals.get((method, path))
        if waiting:
            status = waiting.pop(0)
            raise ApiError(f"{method} {path}", status, {403: "Forbidden", 409: "Conflict"}.get(status, "Oops"), "no")
        if not self.installed:
            raise ApiError(f"{method} {path}", 404, "NotFound", "the server could not find the requested resource")
        return SimpleNamespace(body=copy.deepcopy(getattr(self, f"_{method.lower()}")(path, body, content_type)))

    def _get(self, path: str, _: Any, __: str) -> Object:
        if path == diagnosis.RESOURCE.path:
            return {"items": [one for at, one in self.objects.items() if at.startswith(f"{path}/")]}
        if path not in self.objects:
            raise ApiError(f"GET {path}", 404, "NotFound", f"{path} not found")
        return self.objects[path]

    def _post(self, path: str, body: Object, _: str) -> Object:
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            raise ApiError(f"POST {path}", 409, "AlreadyExists", "exists")
        self.writes.append(("POST", at, body))
        self.objects[at] = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        return self.objects[at]

    def _patch(self, path: str, body: Object, content_type: str) -> Object:
        assert content_type == "application/merge-patch+json"
        before, self.before_patch = self.before_patch, lambda: None
        before()
        found = self._get(path, None, "")
        version = found["metadata"]["resourceVersion"]
        if body.get("metadata", {}).get("resourceVersion", version) != version:
            raise ApiError(f"PATCH {path}", 409, "Conflict", "the object has been modified")
        self.writes.append(("PATCH", path, body))
        _merge(found, body)
        found["metadata"]["resourceVersion"] = str(int(version) + 1)
        return found

    def suppress_of(self, name: str = NAME) -> Any:
        return self.objects[f"{diagnosis.RESOURCE.path}/{name}"].get("spec", {}).get("suppress")

    @property
    def patterns(self) -> Any:
        return self.objects[module._POLICY].get("spec", {}).get("suppressions", [])


def _merge(into: Object, patch: Object) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


Typed = Callable[..., Result]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command against a server."""
    monkeypatch.setattr(module, "_REST", 0.001)

    def run(api: Api, *words: str) -> Result:
        def at(_: str | None, __: str | None, do: Callable[[Api], Awaitable[str]]) -> str:
            async def work() -> str:
                return await do(api)

            return asyncio.run(work())

        monkeypatch.setattr(module, "at", at)
        return CliRunner().invoke(main, list(words))

    return run


def test_a_diagnosis_is_silenced_for_a_while_by_its_own_object_and_nothing_else_is_written(typed: Typed) -> None:
    api = Api(cluster_diagnosis())
    result = typed(api, "suppress", NAME, "--reason", "replaced on Monday", "--for", "1h30m")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"{NAME} is silenced until 2026-01-01T01:30:00Z: replaced on Monday\n")
    assert f"kubedx unsuppress {NAME}" in result.stdout
    assert api.suppress_of() == {"reason": "replaced on Monday", "until": "2026-01-01T01:30:00Z"}
    (write,) = api.writes
    assert set(write[2]) == {"spec"}, "no version and no status: nothing of the operator's is in the way"


def test_a_diagnosis_is_silenced_until_a_time(typed: Typed) -> None:
    api = Api(cluster_diagnosis(spec={"suppress": {"reason": "before"}}))
    name = f"clusterdiagnosis.kubedx.dev/{NAME}"  # As kubectl get -o name has it.
    result = typed(api, "suppress", name, "--reason", "x", "--until", "2030-01-31T18:00")

    assert result.exit_code == 0
    assert api.suppress_of() == {"reason": "x", "until": "2030-01-31T18:00:00Z"}


@pytest.mark.parametrize(("words", "said"), [
    (("--for", "2h"), "--reason is required: say why, for those who read it later."),
    (("--reason", " ", "--for", "2h"), "--reason is required"),
    (("--reason", "x"), "Give one of --for 2h, --until 2030-01-31T18:00:00Z and --always."),
    (("--reason", "x", "--for", "2h", "--always"), "Give one of --for 2h"),
    (("--reason", "x", "--for", "2x"), "Invalid value for '--for': '2x' is not a duration; write 90s, 5m, 1h30m or 2d"),
    (("--reason", "x", "--for", "90"), "write 90s, 90m or 90h"),
    (("--reason", "x", "--for", "0"), "Invalid value for '--for': is no time at all"),
    (("--reason", "x", "--until", "soon"), "Invalid value for '--until': 'soon' is no time such as 2026-01-31T18:00"),
    (("--reason", "x", "--until", "2020-01-01T00:00:00Z"), "--until 2020-01-01T00:00:00Z is over: it is 2026-01-01T"),
    (("--reason", "x" * 513, "--for", "2h"), "--reason"),
])  # fmt: skip
def test_wrong_usage_names_the_option_and_what_to_write(typed: Typed, words: tuple[str, ...], said: str) -> None:
    api = Api(cluster_diagnosis())
    result = typed(api, "suppress", NAME, *words)

    assert result.exit_code == 2
    assert said in result.stderr
    assert api.writes == []


@pytest.mark.parametrize("command", [("suppress", "--reason", "x", "--for", "2h"), ("unsuppress",)])
def test_a_name_that_is_not_there_is_said_with_those_like_it(typed: Typed, command: tuple[str, ...]) -> None:
    other = cluster_diagnosis(Ref("Deployment", "a", "b"))
    result = typed(Api(cluster_diagnosis(), other, spec={}), command[0], NAME[:-3], *command[1:])
    nothing = typed(Api(), command[0], "zzz", *command[1:])

    assert (result.exit_code, nothing.exit_code) == (2, 2)
    assert f"Error: there is no diagnosis '{NAME[:-3]}'. Did you mean {NAME}" in result.stderr
    assert "These there are: kubectl get clusterdiagnoses" in nothing.stderr


def test_a_cluster_without_the_kind_is_told_from_one_without_the_object(typed: Typed) -> None:
    api = Api()
    api.installed = False
    result = typed(api, "suppress", NAME, "--reason", "x", "--for", "2h")

    assert "there is no kind ClusterDiagnosis in this cluster: kubedx is not installed here." in result.stderr


def test_what_a_person_made_is_not_silenced(typed: Typed) -> None:
    found = cluster_diagnosis()
    found["metadata"]["labels"] = {}
    result = typed(Api(found), "suppress", NAME, "--reason", "x", "--for", "2h")

    assert (result.exit_code, "was not made by the operator" in result.stderr) == (2, True)


def test_a_right_that_is_missing_is_said_with_the_way_to_look(typed: Typed) -> None:
    api = Api(cluster_diagnosis())
    api.refuse("PATCH", f"{diagnosis.RESOURCE.path}/{NAME}", 403)
    result = typed(api, "suppress", NAME, "--reason", "x", "--for", "2h")

    assert result.exit_code == 2
    assert "kubectl auth can-i patch clusterdiagnoses.kubedx.dev" in result.stderr


def test_a_write_that_others_got_in_the_way_of_is_tried_again(typed: Typed) -> None:
    api = Api(cluster_diagnosis())
    api.refuse("PATCH", f"{diagnosis.RESOURCE.path}/{NAME}", 409, 409)
    assert typed(api, "suppress", NAME, "--reason", "x", "--for", "2h").exit_code == 0
    api.refuse("PATCH", f"{diagnosis.RESOURCE.path}/{NAME}", *[409] * 100)
    result = typed(api, "suppress", NAME, "--reason", "x", "--for", "2h")

    assert (result.exit_code, "others write the same object all the time" in result.stderr) == (2, True)


def test_an_object_that_vanishes_meanwhile_is_no_defect(typed: Typed) -> None:
    api = Api(cluster_diagnosis())
    api.refuse("PATCH", f"{diagnosis.RESOURCE.path}/{NAME}", 404)

    assert typed(api, "suppress", NAME, "--reason", "x", "--for", "2h").exit_code == 2


ALWAYS = {"check": CHECK, "kind": "Deployment", "namespace": "shop", "name": "web", "reason": "it is a test"}


@pytest.mark.parametrize("spec", [None, {}, {"retention": "2h"}], ids=["no policy", "empty", "without a list"])
def test_always_adds_a_pattern_for_the_check_and_its_subject(typed: Typed, spec: Object | None) -> None:
    api = Api(cluster_diagnosis(), spec=spec)
    result = typed(api, "suppress", NAME, "--reason", "it is a test", "--always")

    assert result.exit_code == 0
    assert f"a pattern for {CHECK} about {WEB.text} now." in result.stdout
    assert api.patterns == [ALWAYS]
    assert api.objects[module._POLICY]["spec"].get("retention") == (spec or {}).get("retention")


def test_always_adds_to_the_patterns_that_are_there_and_replaces_its_own(typed: Typed) -> None:
    other = {"check": "Node*", "reason": "lab"}
    api = Api(cluster_diagnosis(), spec={"suppressions": [ALWAYS | {"reason": "old"}, other]})
    typed(api, "suppress", NAME, "--reason", "it is a test", "--always")

    assert api.patterns == [other, ALWAYS]


def test_always_does_not_undo_what_somebody_else_writes_meanwhile(typed: Typed) -> None:
    api = Api(cluster_diagnosis(), spec={})
    theirs = {"check": "Node*", "reason": "lab"}
    late = {"spec": {"suppressions": [theirs]}}
    api.before_patch = lambda: api._patch(module._POLICY, late, module._MERGE_PATCH)
    assert typed(api, "suppress", NAME, "--reason", "it is a test", "--always").exit_code == 0

    assert api.patterns == [theirs, ALWAYS]


def test_always_does_not_put_the_chart_s_patterns_out_of_force(typed: Typed) -> None:
    chart = {"suppressions": [{"field": "values.policy.suppressions[0]", "pattern": "check=Node* name=lab-*"}]}
    api = Api(cluster_diagnosis(), spec={}, status=chart)
    result = typed(api, "suppress", NAME, "--reason", "x", "--always")

    assert result.exit_code == 2
    assert "would replace them (check=Node* name=lab-*)" in result.stderr
    assert api.writes == []


def test_a_name_with_wildcards_is_matched_as_it_is(typed: Typed) -> None:
    odd = Ref("Deployment", "shop", "web[1]*")
    name = object_name(REGISTRY.by_id[CHECK], odd)
    api = Api(cluster_diagnosis(odd), spec={})
    typed(api, "suppress", name, "--reason", "x", "--always")
    assert api.patterns[0]["name"] == "web[[]1][*]"

    assert typed(api, "unsuppress", name).exit_code == 0
    assert api.patterns == []


def test_unsuppress_takes_back_the_object_s_own_silence(typed: Typed) -> None:
    api = Api(cluster_diagnosis(spec={"suppress": {"reason": "x"}}), spec={})
    result = typed(api, "unsuppress", NAME)

    assert result.stdout == f"{NAME}: its own silence was taken back.\n"
    assert api.suppress_of() is None


def test_unsuppress_takes_back_the_pattern_that_always_made_even_where_the_object_is_gone(typed: Typed) -> None:
    other = {"check": CHECK, "namespace": "shop", "reason": "wide"}
    api = Api(spec={"suppressions": [other, ALWAYS]})
    result = typed(api, "unsuppress", NAME)

    assert result.stdout == f"{NAME}: its pattern was taken out of the DiagnosisPolicy.\n"
    assert api.patterns == [other]


def test_unsuppress_says_which_patterns_silence_it_all_the_same(typed: Typed) -> None:
    listed = [
        {"check": "Node*", "reason": "other"},
        {"check": "Pod*", "namespace": "sh*", "reason": "wide", "until": "2026-01-02T00:00:00Z"},
        {"kind": "Deployment", "labels": {"team": "lab"}, "reason": "lab"},
        {"kind": "Deployment", "reason": "over", "until": "2025-01-01T00:00:00Z"},
    ]
    silenced = cluster_diagnosis(spec={"suppress": {"reason": "x"}})
    result = typed(Api(silenced, spec={"suppressions": listed}), "unsuppress", NAME)

    own, second, third, advised = result.stdout.splitlines()
    still = "It is still silenced by spec.suppressions"
    assert own == f"{NAME}: its own silence was taken back."
    assert second.startswith(f"{still}[1] of the DiagnosisPolicy (check=Pod* namespace=sh*) until 2026-01-02T00:00:00Z")
    assert third.startswith(f"{still}[2] of the DiagnosisPolicy (kind=Deployment label:team=lab), if it has the labels")
    assert advised == "To change that: kubectl edit diagnosispolicy cluster"


def test_unsuppress_of_what_nobody_silenced_changes_nothing(typed: Typed) -> None:
    api = Api(cluster_diagnosis(), spec={})
    result = typed(api, "unsuppress", NAME)

    assert (result.exit_code, api.writes) == (0, [])
    assert "it had no silence of its own; nothing was changed." in result.stdout


def test_unsuppress_without_a_right_to_the_policy_does_what_it_may_and_says_the_rest(typed: Typed) -> None:
    silenced = cluster_diagnosis(spec={"suppress": {"reason": "x"}})
    api = Api(silenced, spec={})
    api.refuse("GET", module._POLICY, 403)
    result = typed(api, "unsuppress", NAME)

    assert (result.exit_code, api.suppress_of()) == (0, None)
    assert "Whether a pattern silences it too cannot be seen: the API server refuses it (Forbidden)" in result.stdout
    api.refuse("GET", module._POLICY, 403)
    assert typed(api, "unsuppress", NAME).exit_code == 2


def test_unsuppress_knows_that_the_chart_may_silence_too(typed: Typed) -> None:
    chart = {"suppressions": [{"field": "values.policy.suppressions[0]", "pattern": "check=Pod*"}]}
    result = typed(Api(cluster_diagnosis(), spec={}, status=chart), "unsuppress", NAME)

    assert "The chart's values silence by pattern too" in result.stdout


def test_what_the_server_says_cannot_forge_the_terminal(typed: Typed) -> None:
    forged = cluster_diagnosis()
    forged["metadata"]["name"] = f"{NAME}x\x1b[2J"
    result = typed(Api(forged), "suppress", NAME, "--reason", "x\x1b[2J", "--for", "2h")

    assert "\x1b" not in result.output


def test_a_server_that_cannot_be_reached_ends_with_three(tmp_path: Path) -> None:
    config = {
        "kind": "Config", "current-context": "other", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    words = ["unsuppress", NAME, "--kubeconfig", str(path), "--context"]
    result, wrong = (CliRunner().invoke(main, [*words, context]) for context in ("c", "other"))

    assert (result.exit_code, wrong.exit_code) == (3, 2)
    assert "127.0.0.1:1" in result.stderr


def test_the_duration_is_counted_from_the_server_s_time() -> None:
    api = Api(cluster_diagnosis())
    api.now = START + timedelta(days=1)
    asyncio.run(module.suppress(api, NAME, "x", lasting=timedelta(hours=2)))

    assert json.dumps(api.suppress_of()) == '{"reason": "x", "until": "2026-01-02T02:00:00Z"}'
