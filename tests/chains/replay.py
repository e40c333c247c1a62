"""Chains of causes, replayed as they happen: objects of real clusters through decoder, store, engine and ledger.

A story is a YAML file. Each step of it has a time, `at`, and tells which objects appear or change then:

    put      whole objects
    change   for Kind/namespace/name what is different from then on, as a JSON merge patch (RFC 7386)
    delete   the objects that go, each as Kind/namespace/name
    each     words; the step is told once for each of them, in place of $each
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kubedx.core.finding import Ref
from kubedx.diagnosis import diagnosis as model
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.diagnosis.group import Group
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND, KINDS
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.checks.cases import REGISTRY, decode

HERE = Path(__file__).parent
SETTINGS = resolve(None, None, REGISTRY)

Object = dict[str, Any]


@dataclass(frozen=True)
class News:
    """Something that a watch tells.

    Attributes:
        at: When it happened.
        about: The object.
        body: What it is from then on; None for gone.
    """

    at: datetime
    about: Ref
    body: Object | None


@dataclass(frozen=True, eq=False)
class Story:
    """One file.

    Attributes:
        path: The file.
        chain: The number of the chain in `chains.yaml` that it tells; None for one that shows other relations.
        news: What happens, in order.
        until: When it is judged.
        expect: By the text of its root, what each diagnosis must say: state, path, and what it explains.
    """

    path: Path
    chain: int | None
    news: tuple[News, ...]
    until: datetime
    expect: Mapping[str, Mapping[str, Any]]


def stories() -> list[Story]:
    return [_load(path) for path in sorted(HERE.glob("*.yaml")) if path.name not in {"chains.yaml", "untold.yaml"}]


def _load(path: Path) -> Story:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(body) | {"chain"} == {"chain", "story", "until", "expect"}, f"{path.name} needs story, until, expect"
    known: dict[Ref, Object] = {}
    news = [one for step in body["story"] for told in _each(step) for one in _news(told, known)]
    assert news == sorted(news, key=lambda one: one.at), f"{path.name} is not in the order of time"
    return Story(path, body.get("chain"), tuple(news), body["until"], body["expect"])


def _each(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    words = step.pop("each", [""])
    unknown = set(step) - {"at", "put", "change", "delete"}
    assert not unknown, f"no step has {unknown}"
    for word in words:
        yield _with(step, word)


def _with(part: Any, word: str) -> Any:
    if isinstance(part, dict):
        return {_with(key, word): _with(value, word) for key, value in part.items()}
    if isinstance(part, list):
        return [_with(value, word) for value in part]
    return part.replace("$each", word) if isinstance(part, str) else part


def _news(step: Mapping[str, Any], known: dict[Ref, Object]) -> Iterator[News]:
    for body in step.get("put", ()):
        known[_about(body)] = body
        yield News(step["at"], _about(body), body)
    for text, patch in step.get("change", {}).items():
        about = _named(text)
        known[about] = _merged(known[about], patch)
        yield News(step["at"], about, known[about])
    for text in step.get("delete", ()):
        del known[_named(text)]
        yield News(step["at"], _named(text), None)


def _about(body: Object) -> Ref:
    return Ref(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _named(text: str) -> Ref:
    kind, *namespace, name = text.split("/")
    return Ref(kind, "".join(namespace), name)


def _merged(body: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(body) if isinstance(body, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def shuffled(news: tuple[News, ...], seed: int) -> list[News]:
    """The same news as streams may bring them: those about one object in their order, all others in any.

    What is there before anything happens is listed first.
    """
    chance = random.Random(seed)  # noqa: S311 -- the same orders each time
    first = [one for one in news if one.at == news[0].at]
    chance.shuffle(first)
    later = [one for one in news if one.at != news[0].at]
    order = [one.about for one in later]
    chance.shuffle(order)
    ahead = {about: iter([one for one in later if one.about == about]) for about in order}
    return [*first, *(next(ahead[about]) for about in order)]


class Replay:
    """An operator without streams and writer, from before the first news on."""

    def __init__(self, story: Story) -> None:
        self.now = story.news[0].at - timedelta(seconds=1)
        self.store = Store(KINDS, REGISTRY.event_reasons, since=self.now - timedelta(days=1))
        for table in self.store.tables.values():
            table.state = State.SYNCED
        self.engine = Engine(REGISTRY, self.store, SETTINGS, self.now)
        self.ledger = Ledger(REGISTRY, SETTINGS, self._exists)
        self.said: set[str] = set()
        """Which diagnoses had an object at some time."""

    def play(self, news: list[News], until: datetime) -> None:
        """Hear all news, each when it happened or later, and let time pass between them.

        What is there in the beginning is read as a whole before anything is said.
        """
        for one in news:
            if one.at != news[0].at:
                self._wait(max(self.now, one.at))
            self._hear(one)
        self._wait(max(self.now, until))

    def _hear(self, one: News) -> None:
        if one.body is None:
            change = self.store.remove(BY_KIND[one.about.kind], key_of(one.about.namespace, one.about.name))
        else:
            change = self.store.put(decode(one.body))
        if change is not None:
            self.engine.changed(change)

    def _wait(self, until: datetime) -> None:
        """Take in what was heard, let time pass, and what is due in it happen."""
        self._settle()
        while due := min(filter(None, (self.engine.next_wake(), self.ledger.next_deadline())), default=None):
            if due > until:
                break
            self.now = max(self.now, due)
            self._settle()
        self.now = until
        self._settle()

    def _settle(self) -> None:
        assert self.engine.run(self.now)
        self.ledger.feed(dict(self.engine.drain()), self.engine.outcomes(), self.now)
        told = (one for one in self.ledger.diagnoses() if one.settled and one.state is not model.State.RESOLVED)
        self.said.update(map(_title, told))

    def _exists(self, ref: Ref) -> bool | None:
        view = BY_KIND.get(ref.kind)
        return None if view is None else key_of(ref.namespace, ref.name) in self.store.table(view).rows

    def told(self) -> dict[str, dict[str, Any]]:
        """What there are objects of at the end, as a story expects it."""
        return {
            _title(one): {
                "state": one.state.value,
                "confidence": one.confidence.text,
                "path": one.path,
                "explains": {explained.check: explained.count for explained in one.explains},
            }
            for one in self.ledger.diagnoses()
            if one.state is not model.State.RESOLVED or _title(one) in self.said
        }

    def links(self) -> set[tuple[str, str]]:
        """Which checks were cause and symptom in one diagnosis, by relations that hold between their findings."""
        groups = [entry.group for entry in self.ledger._entries.values() if entry.group.is_in]
        return {
            (cause.check.id, symptom.check.id)
            for symptom in groups
            for cause in groups
            if _root(cause) is _root(symptom) and symptom.is_folded and _meet(cause, symptom)
        }


def _title(one: Diagnosis) -> str:
    return f"{one.check.id} {'/'.join(filter(None, (one.subject.namespace, one.subject.name)))}"


def _root(group: Group) -> Group:
    return _root(group.parent) if group.parent else group


def _meet(cause: Group, symptom: Group) -> bool:
    join = cause.check.explains.get(symptom.check.id)
    if join is None:
        return False
    keys = {key for member in cause.members for key in member.finding.keys.get(join.name, ())}
    return any(
        keys & {*member.finding.keys.get(join.name, ())}
        and all(member.finding.params.get(name) == value for name, value in join.narrowing.items())
        for member in symptom.members
    )


def replayed(story: Story, news: list[News] | None = None) -> Replay:
    """Replay a story, in its own order unless another is given."""
    replay = Replay(story)
    replay.play(list(story.news) if news is None else news, story.until)
    return replay


def as_json(body: Any) -> Any:
    """YAML knows times, JSON does not."""
    return msgspec.json.decode(msgspec.json.encode(body))
