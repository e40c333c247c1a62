"""Checks that exist only in tests, and findings of theirs made by hand: for laws that hold whatever a check says."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from kubedx.core.check import SECTIONS, Answer, Check, Registry, check
from kubedx.core.finding import Confidence, Evidence, Ref, Severity, Step
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Pair
from kubedx.engine.verdict import Outcome, RawFinding, Verdict
from kubedx.kube.views import Node, Pod
from kubedx.settings import Settings, resolve

START = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENTATION = "A toy.\n" + "".join(f"\n## {name}\nNothing.\n" for name in SECTIONS)


def toy(name: str, *, layer: int = 5, **declaration: Any) -> Check:
    """Declare a check that never says anything by itself."""

    def run(_: Pod) -> Answer:
        return iter(())

    run.__name__, run.__doc__ = name, DOCUMENTATION
    asked = {"clear_after": timedelta(0)} | declaration
    step = Step("See what it says.", "kubectl get {kind} {name}")
    return check(title="A toy", message="{name} is broken", layer=layer, steps=(step,), since="0.1.0", **asked)(run)


def declared(function: Any, **declaration: Any) -> Check:
    """Declare a function as a check."""
    function.__doc__ = DOCUMENTATION
    step = Step("See.", "kubectl get {kind} {name}")
    return check(title="A toy", message="{name}", layer=5, steps=(step,), since="0.1.0", **declaration)(function)


def pod(name: str, namespace: str = "x") -> Ref:
    return Ref("Pod", namespace, name)


def finding(  # noqa: PLR0913 -- keywords with defaults, each the name of what it sets
    says: Check,
    subject: Ref,
    *,
    group: Ref | None = None,
    since: datetime | None = None,
    severity: Severity = Severity.WARNING,
    keys: str | tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
    source: str = "status.phase",
) -> RawFinding:
    """A finding; `keys` are those that every join of the check's gives."""
    found = frozenset((keys,) if isinstance(keys, str) else keys)
    return RawFinding(
        check=says, member=subject, subject=subject, uid=f"uid-of-{subject.text}", labels=labels or {},
        group=group or subject, since=since, severity=severity, confidence=Confidence.CONFIRMED,
        evidence=(Evidence(f"{subject.text} {source}", "Failed", since),),
        own_params={},
        keys=dict.fromkeys(("itself", "same_node", "same_owner", "service_behind", "cluster", "component"), found),
    )  # fmt: skip


class Story:
    """A ledger, what is said to it, and the time, which only `later` moves."""

    def __init__(self, *checks: Check, policy: Mapping[str, Any] | None = None, now: datetime = START) -> None:
        self.registry = Registry(checks)
        self.now = now
        self.gone: set[Ref] = set()
        self.unseen: set[Ref] = set()
        self.outcomes: dict[Check, Outcome] = {one: Outcome() for one in checks}
        self.ledger = Ledger(self.registry, self.settings(policy), self._exists)

    def settings(self, policy: Mapping[str, Any] | None) -> Settings:
        found = resolve(None, {"spec": policy or {}}, self.registry)
        assert found.problems == ()
        return found

    def _exists(self, ref: Ref) -> bool | None:
        return None if ref in self.unseen else ref not in self.gone

    def says(self, *findings: RawFinding) -> None:
        """Each finding is what its check says about its subject."""
        self._feed({_pair(one.check, one.subject): Verdict((one,)) for one in findings})

    def silent(self, about: Check, *subjects: Ref) -> None:
        self._feed({_pair(about, subject): Verdict() for subject in subjects})

    def cannot_tell(self, about: Check, subject: Ref) -> None:
        self._feed({_pair(about, subject): Verdict(unknowns=((subject, "It cannot be seen."),))})

    def goes(self, about: Check, outcome: Outcome) -> None:
        self.outcomes = {**self.outcomes, about: outcome}
        self._feed({})

    def configured(self, policy: Mapping[str, Any]) -> None:
        self.ledger.configure(self.settings(policy))
        self._feed({})

    def later(self, **time: float) -> bool:
        """Let time pass without any change of the cluster; returns whether anything may be different."""
        self.now += timedelta(**time)
        return self._feed({})

    def _feed(self, verdicts: dict[Pair, Verdict]) -> bool:
        return self.ledger.feed(verdicts, self.outcomes, self.now)

    def diagnoses(self) -> list[Diagnosis]:
        return list(self.ledger.diagnoses())

    def one(self) -> Diagnosis:
        (found,) = self.diagnoses()
        return found

    def states(self) -> dict[str, str]:
        """The state of each diagnosis that is told, by check and name of the subject."""
        return {f"{one.check.id} {one.subject.name}": one.state.value for one in self.diagnoses()}


def _pair(says: Check, subject: Ref) -> Pair:
    return (says, (Node if subject.kind == "Node" else Pod, (subject.namespace, subject.name)))
