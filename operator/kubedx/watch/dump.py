"""Reads the Kubernetes objects that people have lying around in files.

A dump is a folder, a tar archive or a single file, compressed or not, of JSON or YAML: what `kubectl get -o json`,
`kubectl cluster-info dump`, must-gather and their like write. Content decides what a file is; only logs are known by
their names. Nothing in a dump is trusted: one bad file costs that file and is named.
"""

import bz2
import codecs
import contextlib
import functools
import gzip
import io
import lzma
import mmap
import re
import stat
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import msgspec
import yaml

from kubedx.kube.text import clean

T = TypeVar("T")

Wanted = Callable[[str, str], bool]
"""Takes the apiVersion and the kind; says whether objects of it are to be kept."""

Buffer = bytes | mmap.mmap | msgspec.Raw
Content = bytes | mmap.mmap

Decode = Callable[[str, str, bytes | msgspec.Raw], T]
"""Takes the apiVersion, the kind and the object as JSON; makes of it what is kept. A ValueError leaves the object out
and is reported."""

IN_MEMORY = 16 << 20
"""Bytes up to which content is held in memory; more is mapped from the disk."""

MOST_BYTES = 8 << 30
"""Bytes that one file may have once it is unpacked."""

DEEPEST = 100
"""Levels of nesting in YAML. The libyaml composer takes the process down somewhere beyond 10,000."""

MOST_LAYERS = 4
"""How often a file may be packed into another."""

BLOCK = 1 << 20

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ITEM_LEVEL = 3
"""So many containers are open around an item: the root, the document, the list."""

_JSON = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\]\"\d])")
_LOG = re.compile(r"(\.log|(^|[/!])logs\.txt)(\.[^/!]*)?$")
_YAML_NAME = re.compile(r"\.ya?ml(\.[^/!]*)?$")
_OTHER_PACKING = re.compile(r"\.(zip|7z|zst|rar)$")
_OBJECT_KEY = re.compile(rb"(?m)^(?:- )?[\"']?(?:apiVersion|kind)[\"']?[ \t]*:|\A\s*[\[{]")
_YAML_MARK = re.compile(rb"(?m)^---(?=[ \t\r\n]|\Z)")
_YAML_HEAD = re.compile(rb"(?m)^(?P<key>apiVersion|kind):[ \t]+(?P<value>[\w./-]+)[ \t]*\r?$")
_YAML_BODY = re.compile(rb"(?m)^(?:metadata|items):")
_DOCUMENT_START = re.compile(rb"(?m)^[ \t]*(?:[{\[]|==== START(?P<log> logs for container [^\n]*))")
_DOCUMENT_END = re.compile(rb"(?m)^[}\]][ \t\r]*$")

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17}|0x[0-9a-fA-F]{1,15}|0o[0-7]{1,20})")
_LONGEST_SCALAR = 64
"""Characters up to which text may be a number or a truth: more than any of the patterns here takes but `_FLOAT`."""

_OCTAL = re.compile(r"[-+]?0[0-7]{1,20}")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,3})?")

_SECRETS = frozenset({"Secret", "SecretList"})
_TROUBLE = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, ValueError, RecursionError, MemoryError)


class DumpError(Exception):
    """There is nothing to read at all; the message says why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read.

    Attributes:
        source: The file, and the place in it.
        reason: Why, as the end of a sentence.
    """

    source: str
    reason: str

    def __str__(self) -> str:
        """One line for people. Names of files and objects are chosen by whoever made the dump."""
        return clean(f"{self.source}: {self.reason}")


@dataclass(frozen=True, slots=True)
class DumpedObject(Generic[T]):
    """One object that was asked for.

    Attributes:
        api_version: Its apiVersion, taken from its list where it names none.
        kind: Its kind, likewise.
        source: The file it came from.
        value: What `decode` made of it.
    """

    api_version: str
    kind: str
    source: str
    value: T


@dataclass(frozen=True, slots=True)
class Dump(Generic[T]):
    """What was found.

    Attributes:
        objects: The wanted objects, each once, in the order of their first appearance.
        kinds: Each (apiVersion, kind) that was looked at when the dump was made, that of an empty list included.
        problems: What could not be read.
        passed_over: How many files hold no Kubernetes objects.
        duplicates: How many further copies of an object there were.
        newest: The newest time that the cluster itself wrote into an object: about when the dump was made.
    """

    objects: tuple[DumpedObject[T], ...]
    kinds: frozenset[tuple[str, str]]
    problems: tuple[Problem, ...]
    passed_over: int
    duplicates: int
    newest: datetime | None


def read(path: str, wanted: Wanted, decode: Decode[T]) -> Dump[T]:
    """Read a dump.

    Files are read one after another, in the order of their names, and only what `decode` returns is kept. Secrets are
    never handed to it. Of several copies of an object the one with the highest resourceVersion counts.

    Args:
        path: A folder, which is read with everything below it, a file, or ``-`` for the standard input.
        wanted: Which kinds to keep.
        decode: What to keep of an object.

    Returns:
        The dump.

    Raises:
        DumpError: There is nothing at `path`, or it holds no Kubernetes object.
    """
    reader = _Reader(path, wanted, decode)
    if path == "-":
        reader.stream("standard input", sys.stdin.buffer)
    else:
        _read_path(reader, Path(path))
    dump = reader.dump()
    if not dump.kinds:
        raise DumpError(_nothing(path, dump))
    return dump


def _nothing(path: str, dump: Dump[Any]) -> str:
    name = "the standard input" if path == "-" else path
    if not dump.problems and not dump.passed_over:
        return f"{name} is empty. Fill it with: kubectl cluster-info dump --all-namespaces --output-directory=DIRECTORY"
    first = "".join(f"\n  {problem}" for problem in dump.problems[:3])
    return (
        f"There is no Kubernetes object in {name}: {dump.passed_over} files of other content were passed over, "
        f"{len(dump.problems)} could not be read.{first}"
    )


def _read_path(reader: "_Reader[Any]", path: Path) -> None:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            _read_folder(reader, path)
        elif stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                reader.file(str(path), file)
        else:  # A pipe of the shell, as in: kubedx scan <(kubectl get pods -A -o json)
            with path.open("rb") as file:
                reader.stream(str(path), file)
    except FileNotFoundError as error:
        raise DumpError(f"There is no file or folder {path}.") from error
    except OSError as error:
        raise DumpError(f"{path} cannot be read: {error.strerror}.") from error


def _read_folder(reader: "_Reader[Any]", top: Path) -> None:
    """Read every file below a folder once, whatever links lead to it."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        path = waiting.pop()
        name = str(path)
        try:
            found = path.stat()
            mark = (found.st_dev, found.st_ino)
            if mark in seen:
                continue
            seen.add(mark)
            if stat.S_ISDIR(found.st_mode):
                waiting.extend(sorted(path.iterdir(), reverse=True))
            elif stat.S_ISREG(found.st_mode):
                with path.open("rb") as file:
                    reader.file(name, file)
            else:
                reader.problem(name, "is no regular file")
        except OSError as error:
            reader.problem(name, error.strerror or str(error))


class _Name(msgspec.Struct, rename="camel"):
    """What tells objects and their copies apart."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Head(msgspec.Struct, rename="camel"):
    """What makes JSON a Kubernetes object, or a list of them."""

    api_version: str = ""
    kind: str = ""
    metadata: _Name | None = None
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


class _What(msgspec.Struct, rename="camel"):
    """What a malformed object says it is."""

    api_version: str = ""
    kind: str = ""


class _Moments(msgspec.Struct, rename="camel"):
    """Times that the API server, a controller or a kubelet writes into lists of an object."""

    last_heartbeat_time: str | None = None
    last_transition_time: str | None = None
    time: str | None = None


class _MetadataTimes(msgspec.Struct, rename="camel"):
    creation_timestamp: str | None = None
    managed_fields: list[_Moments] | None = None


class _StatusTimes(msgspec.Struct):
    conditions: list[_Moments] | None = None


class _SeriesTimes(msgspec.Struct, rename="camel"):
    last_observed_time: str | None = None


class _LeaseTimes(msgspec.Struct, rename="camel"):
    renew_time: str | None = None


class _Times(msgspec.Struct, rename="camel"):
    """The times of an object that say when the cluster was last awake."""

    metadata: _MetadataTimes | None = None
    status: _StatusTimes | None = None
    spec: _LeaseTimes | None = None
    series: _SeriesTimes | None = None
    last_timestamp: str | None = None
    event_time: str | None = None


_HEAD = msgspec.json.Decoder(_Head)
_TIMES = msgspec.json.Decoder(_Times)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_WHAT = msgspec.json.Decoder(_What)


def _times(raw: Buffer) -> Iterator[str | None]:
    try:
        times = _TIMES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    yield times.last_timestamp
    yield times.event_time
    if times.series:
        yield times.series.last_observed_time
    if times.spec:
        yield times.spec.renew_time
    moments = list(times.status.conditions or ()) if times.status else []
    if times.metadata:
        yield times.metadata.creation_timestamp
        moments += times.metadata.managed_fields or ()
    for moment in moments:
        yield from (moment.last_heartbeat_time, moment.last_transition_time, moment.time)


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: DumpedObject[T]
    version: str


class _Reader(Generic[T]):
    """Collects what the files of one dump hold."""

    def __init__(self, path: str, wanted: Wanted, decode: Decode[T]) -> None:
        self._path = path
        self._wanted = wanted
        self._decode = decode
        self._kept: dict[tuple[str, str, str, str], _Kept[T]] = {}
        self._by_uid: dict[str, tuple[str, str, str, str]] = {}
        self._kinds: set[tuple[str, str]] = set()
        self._problems: list[Problem] = []
        self._passed_over = 0
        self._duplicates = 0
        self._newest = ""
        # A time later than our own clock is forged or a planned one, and says nothing about the dump.
        self._latest = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.999Z")

    def dump(self) -> Dump[T]:
        return Dump(
            objects=tuple(kept.value for kept in self._kept.values()),
            kinds=frozenset(self._kinds),
            problems=tuple(self._problems),
            passed_over=self._passed_over,
            duplicates=self._duplicates,
            newest=datetime.fromisoformat(self._newest) if self._newest else None,
        )

    def problem(self, source: str, reason: str) -> None:
        self._problems.append(Problem(source, reason))

    def stream(self, source: str, stream: IO[bytes]) -> None:
        """Read what can only be read once, such as a pipe."""
        try:
            with _spooled(stream) as file:
                self.file(source, file)
        except _TROUBLE as error:
            self.problem(source, _why(error))

    def file(self, source: str, file: IO[bytes], layers: int = 0) -> None:
        """Read one file that can be rewound."""
        try:
            self._file(source, file, layers)
        except _TROUBLE as error:
            self.problem(source, _why(error))

    def _file(self, source: str, file: IO[bytes], layers: int) -> None:
        if layers > MOST_LAYERS:
            raise ValueError(f"is packed more than {MOST_LAYERS} times over")
        head = _peek(file)
        unpack = _unpacker(head)
        if unpack is None:
            if _is_tar(head):
                self._tar(source, file, layers)
            else:
                self._plain(source, file)
            return
        with unpack(file) as unpacked:
            if _is_tar(_peek(unpacked)):  # Not spooled as a whole: an archive can be far larger than what is in use.
                self._tar(source, unpacked, layers + 1)
                return
            with _spooled(unpacked) as plain:
                self.file(source, plain, layers + 1)

    def _tar(self, source: str, file: IO[bytes], layers: int) -> None:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None:
                    if not member.isdir():
                        self._passed_over += 1
                    continue
                with _spooled(content) as plain:
                    self.file(f"{source}!{member.name}", plain, layers + 1)

    def _plain(self, source: str, file: IO[bytes]) -> None:
        content = _content(file)
        before = len(self._problems)
        if source != self._path and _LOG.search(source):
            found = False  # Whoever runs a pod chooses what its log says, objects included.
        elif _OTHER_PACKING.search(source):
            raise ValueError("is packed in a way that is not read here; unpack it first")
        elif _JSON.match(content):
            found = self._json(source, content)
        else:
            found = self._yaml(source, content)
        if not found and len(self._problems) == before:
            self._passed_over += 1

    def _json(self, source: str, content: Content) -> bool:
        """Read one JSON document, or many one after another; False if there is no Kubernetes object."""
        try:
            return self._document(source, content)
        except ValueError:
            parts = _documents(content)
            found = self._document(source, next(parts, content))  # No part of many either: this says what is wrong.
        if not found:
            return False
        for part in parts:
            try:
                self._document(source, part)
            except ValueError as error:
                self.problem(source, str(error))
        return True

    def _yaml(self, source: str, content: Content) -> bool:
        found = False
        for part in _yaml_parts(content):
            head = _yaml_head(part)
            if head is not None and not self._asked_for(*head):
                self._kinds.add(head)
                found = True
            elif _OBJECT_KEY.search(part):
                try:
                    found |= self._document(source, _yaml_to_json(part))
                except yaml.YAMLError as error:
                    if not _YAML_NAME.search(source):
                        return found  # Prose with a line that looks like a field.
                    raise ValueError(f"is no valid YAML: {_one_line(error)}") from error
        return found

    def _asked_for(self, api_version: str, kind: str) -> bool:
        return kind not in _SECRETS and self._wanted(api_version, kind)

    def _document(self, source: str, raw: Buffer) -> bool:
        head = self._head(source, raw)
        if head is None:
            return False
        if isinstance(head.items, list) or (head.items is None and head.kind.endswith("List")):
            return self._list(source, head)
        return self._object(source, head, raw)

    def _head(self, source: str, raw: Buffer) -> _Head | None:
        try:
            return _HEAD.decode(raw)
        except msgspec.ValidationError as error:
            return self._odd(source, raw, error)
        except msgspec.DecodeError as error:
            raise ValueError(f"is no valid JSON: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"is no valid UTF-8: {error.reason} (byte {error.start})") from error
        except RecursionError as error:
            raise ValueError("is nested too deeply") from error

    def _odd(self, source: str, raw: Buffer, error: Exception) -> _Head | None:
        """What is valid JSON without the form of an object: an array of objects, a malformed object, anything else."""
        with contextlib.suppress(msgspec.ValidationError):
            return _Head(items=_ITEMS.decode(raw))
        with contextlib.suppress(msgspec.ValidationError):
            what = _WHAT.decode(raw)
            if what.kind and self._asked_for(what.api_version, what.kind):
                self.problem(source, f"holds a malformed {what.kind}: {error}")
        return None

    def _list(self, source: str, head: _Head) -> bool:
        kind = head.kind.removesuffix("List")
        typed = bool(head.api_version and kind and kind != head.kind)
        if typed:
            self._kinds.add((head.api_version, kind))
        found = typed
        for raw in head.items or ():
            item = self._head(source, raw)
            if item is not None:
                if typed:
                    item.api_version = item.api_version or head.api_version
                    item.kind = item.kind or kind
                found |= self._object(source, item, raw)
        return found

    def _object(self, source: str, head: _Head, raw: Buffer) -> bool:
        if not head.api_version or not head.kind:
            return False
        asked_for = self._asked_for(head.api_version, head.kind)
        if head.metadata is None or not head.metadata.name:
            if asked_for:
                self.problem(source, f"holds a {head.kind} without a metadata.name")
            return False
        self._kinds.add((head.api_version, head.kind))
        self._note_times(raw)
        if asked_for:
            self._keep(source, head, head.metadata, raw)
        return True

    def _keep(self, source: str, head: _Head, name: _Name, raw: Buffer) -> None:
        key = (head.api_version.rpartition("/")[0], head.kind, name.namespace, name.name)
        # One Event is served by two API groups: only its uid shows that it is one.
        key = self._by_uid.get(name.uid, key)
        before = self._kept.get(key)
        if before is not None:
            self._duplicates += 1
            if not _newer(name.resource_version, before.version):
                return
        try:
            value = self._decode(head.api_version, head.kind, raw[:] if isinstance(raw, mmap.mmap) else raw)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            where = f"{name.namespace}/{name.name}" if name.namespace else name.name
            self.problem(source, f"holds an unreadable {head.kind} {where}: {error}")
            return
        self._kept[key] = _Kept(DumpedObject(head.api_version, head.kind, source, value), name.resource_version)
        if name.uid:
            self._by_uid[name.uid] = key

    def _note_times(self, raw: Buffer) -> None:
        for text in _times(raw):
            if text and text.endswith("Z") and self._newest < text <= self._latest:
                with contextlib.suppress(ValueError):
                    datetime.fromisoformat(text)
                    self._newest = text


def _newer(one: str, other: str) -> bool:
    both_numbers = one.isascii() and one.isdigit() and other.isascii() and other.isdigit()
    return both_numbers and (len(one), one) > (len(other), other)


def _peek(file: IO[bytes]) -> bytes:
    head = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    return head


def _unpacker(head: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda file: gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]  # It reads like one.
    if head.startswith(b"BZh"):
        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    return None


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@contextlib.contextmanager
def _spooled(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Copy a stream to where it can be rewound: to memory while it is small, else to the disk."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        copied = 0
        while block := stream.read(BLOCK):
            copied += len(block)
            if copied > MOST_BYTES:
                raise ValueError(f"has more than {MOST_BYTES >> 30} GiB when unpacked")
            file.write(block)
        file.seek(0)
        yield file


def _content(file: IO[bytes]) -> Content:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size > IN_MEMORY else file.read()
    if content[:3] == codecs.BOM_UTF8:
        return content[3:]
    if content[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:  # What PowerShell writes for >.
        return content[:].decode("utf-16").encode()
    return content


def _documents(content: Content) -> Iterator[bytes]:
    """Cut JSON that has been written one document after another, each on its own lines.

    `kubectl cluster-info dump` without a folder puts the logs of pods in between, each between two marks.
    """
    start = 0
    while match := _DOCUMENT_START.search(content, start):
        if match["log"]:
            end = content.find(b"\n==== END" + match["log"], match.end())
            start = end + 1 if end >= 0 else len(content)
            continue
        line_end = content.find(b"\n", match.start())
        line = content[match.start() : line_end if line_end >= 0 else len(content)].rstrip()
        closing = None if line[-1:] in {b"}", b"]"} else _DOCUMENT_END.search(content, match.start())
        end = closing.end() if closing else match.start() + len(line)
        yield content[match.start() : end]
        start = end


def _yaml_parts(content: Content) -> Iterator[bytes]:
    """Cut YAML into its documents; a line that begins with three dashes can be nothing else."""
    start = 0
    for mark in _YAML_MARK.finditer(content):
        yield content[start : mark.start()]
        start = mark.end()
    yield content[start:]


def _yaml_head(part: bytes) -> tuple[str, str] | None:
    """The apiVersion and kind of a document, or of a list's items, where plain lines say them; saves the parsing."""
    found = {match["key"].decode(): match["value"].decode() for match in _YAML_HEAD.finditer(part)}
    api_version, kind = found.get("apiVersion"), found.get("kind", "").removesuffix("List")
    return (api_version, kind) if api_version and kind and _YAML_BODY.search(part) else None


def _yaml_to_json(part: bytes) -> bytes:
    """Turn one YAML document into JSON, as the API machinery would read it.

    Works on the stream of events, not with `yaml.load`: that recurses in C until the process dies, and expands aliases
    without end. The items of a list become bytes one by one, as their trees take fifty times the memory.
    """
    root: list[Any] = []
    stack: list[tuple[list[Any] | dict[str, Any], str | None]] = [(root, None)]
    for event in yaml.parse(part, Loader=_LOADER):
        match event:
            case yaml.ScalarEvent():
                _put(stack, _scalar(event.value) if event.implicit[0] else event.value)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(stack) > DEEPEST:
                    raise ValueError(f"is nested more than {DEEPEST} levels deep")
                stack.append(({} if isinstance(event, yaml.MappingStartEvent) else [], None))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                value = stack.pop()[0]
                in_items = len(stack) == _ITEM_LEVEL and stack[1][1] == "items"
                _put(stack, msgspec.Raw(msgspec.json.encode(value)) if in_items else value)
            case yaml.AliasEvent():
                raise ValueError("has YAML aliases, which no Kubernetes tool writes; put the values in their places")
    return msgspec.json.encode(root[0] if root else None)


def _put(stack: list[tuple[list[Any] | dict[str, Any], str | None]], value: object) -> None:
    container, key = stack[-1]
    if isinstance(container, list):
        container.append(value)
    elif key is not None:
        container[key] = value
        stack[-1] = (container, None)
    elif isinstance(value, dict | list):
        raise ValueError("has a YAML mapping whose key is no text")
    else:
        stack[-1] = (container, value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _scalar(text: str) -> str | float | bool | None:
    """A plain YAML 1.1 scalar as sigs.k8s.io/yaml reads it; dates stay text."""
    return text if len(text) > _LONGEST_SCALAR else _short_scalar(text)


@functools.lru_cache(maxsize=4096)
def _short_scalar(text: str) -> str | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _OCTAL.fullmatch(text):
        return int(text, 8)
    if _INTEGER.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _why(error: BaseException) -> str:
    meanings: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (EOFError, "is cut off: its compressed data ends too early"),
        (tarfile.TarError, f"is a damaged or truncated tar archive: {error}"),
        ((zlib.error, lzma.LZMAError, gzip.BadGzipFile), f"is damaged: {error}"),
        (RecursionError, "is nested too deeply"),
        (MemoryError, "is larger than the memory"),
        (OSError, f"cannot be read: {getattr(error, 'strerror', None) or error}"),
    )
    return next((meaning for types, meaning in meanings if isinstance(error, types)), str(error))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
