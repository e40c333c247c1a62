"""What `kubedx scan PATH` can read, and what it says about the rest."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import sys
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import pytest
import yaml

from kubedx.watch.dump import Dump, DumpError, read

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u1",
        "resourceVersion": "10",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {"nodeName": "node-1"},
}


Text = Callable[[object], str]
TarMode = Literal["w", "w:gz", "w:bz2", "w:xz"]


def pod(name: str = "web-0", uid: str = "u1", version: str = "10", **more: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": version}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **more}


def scan(path: Path | str, kinds: frozenset[str] = frozenset({"Pod", "Event", "Secret"})) -> Dump[dict[str, Any]]:
    return read(str(path), lambda _, kind: kind in kinds, lambda _a, _k, raw: json.loads(bytes(raw)))


def names(dump: Dump[dict[str, Any]]) -> list[str]:
    return [item.value["metadata"]["name"] for item in dump.objects]


def test_reads_an_object_from_json(tmp_path: Path) -> None:
    (tmp_path / "pod.json").write_text(json.dumps(POD))
    dump = scan(tmp_path / "pod.json")
    (item,) = dump.objects
    assert (item.api_version, item.kind, item.value) == ("v1", "Pod", POD)
    assert item.source == str(tmp_path / "pod.json")
    assert dump.kinds == {("v1", "Pod")}
    assert (dump.problems, dump.passed_over, dump.duplicates) == ((), 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(POD),
        json.dumps(POD, indent=4),
        json.dumps([POD]),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD]}),
        yaml.safe_dump(POD),
        yaml.safe_dump(POD, default_flow_style=True),
        "# a comment\n---\n" + yaml.safe_dump(POD) + "---\n",
        yaml.safe_dump([POD]),
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [POD]}),
        "a: 1\n---\n" + yaml.safe_dump(POD) + "...\n",
    ],
)
def test_any_form_of_the_same_object_reads_the_same(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    (item,) = scan(tmp_path).objects
    assert item.value == POD


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_reads_what_powershell_redirects_into_a_file(tmp_path: Path, encoding: str, dump: Text) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "pods.txt").write_text(mark + dump(POD), encoding=encoding)
    assert names(scan(tmp_path)) == ["web-0"]


def test_items_of_a_typed_list_inherit_its_kind(tmp_path: Path) -> None:
    bare = {"metadata": {"name": "web-0"}}
    pods = {"kind": "PodList", "apiVersion": "v1", "items": [bare]}
    (tmp_path / "pods.json").write_text(json.dumps(pods))
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump({**pods, "items": [{"metadata": {"name": "web-1"}}]}))
    dump = scan(tmp_path)
    assert [(item.api_version, item.kind) for item in dump.objects] == [("v1", "Pod")] * 2
    assert names(dump) == ["web-0", "web-1"]


@pytest.mark.parametrize("items", [[], None])
@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_an_empty_typed_list_says_that_its_kind_was_looked_at(
    tmp_path: Path, items: list[object] | None, dump: Text
) -> None:
    (tmp_path / "pods").write_text(dump({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
    found = scan(tmp_path)
    assert found.objects == ()
    assert found.kinds == {("v1", "Pod")}


def test_kinds_that_are_not_wanted_are_named_but_not_kept(tmp_path: Path) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    (tmp_path / "node.json").write_text(json.dumps(node))
    (tmp_path / "node.yaml").write_text(yaml.safe_dump(node))
    (tmp_path / "classes.yaml").write_text("apiVersion: storage.k8s.io/v1\nitems: []\nkind: StorageClassList\n")
    dump = scan(tmp_path)
    assert dump.objects == ()
    assert dump.kinds == {("v1", "Node"), ("storage.k8s.io/v1", "StorageClass")}


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_secrets_are_never_read_into_the_result_even_if_wanted(tmp_path: Path, dump: Text) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    bare = {key: secret[key] for key in ("metadata", "data")}
    for number, content in enumerate(
        (
            secret,
            {"apiVersion": "v1", "kind": "List", "items": [secret]},
            {**secret, "kind": "SecretList", "items": [bare]},
        )
    ):
        (tmp_path / str(number)).write_text(dump(content))
    result = scan(tmp_path)
    assert result.objects == ()
    assert "aHVudGVyMg" not in repr(result)


def test_json_lines_and_documents_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("\n".join(json.dumps(pod(f"l{n}", f"l{n}")) for n in range(3)))
    (tmp_path / "pretty").write_text("".join(json.dumps(pod(f"p{n}", f"p{n}"), indent=2) + "\n" for n in range(3)))
    assert names(scan(tmp_path)) == ["l0", "l1", "l2", "p0", "p1", "p2"]


def test_a_broken_line_among_json_lines_costs_that_line(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("\n".join([json.dumps(pod("a", "a")), '{"kind": ', json.dumps(pod("b", "b"))]))
    dump = scan(tmp_path)
    assert names(dump) == ["a", "b"]
    (problem,) = dump.problems
    assert "is no valid JSON" in str(problem)


def test_cluster_info_dump_on_the_standard_output_has_logs_in_between(tmp_path: Path) -> None:
    forged = json.dumps(pod("forged", "forged"))
    mark = "logs for container c of pod shop/web-0 ===="
    pods = json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [pod()]}, indent=4)
    nodes = json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": []}, indent=4)
    (tmp_path / "dump.txt").write_text(f"{pods}\n==== START {mark}\n{forged}\n==== END {mark}\n{nodes}\n")
    dump = scan(tmp_path)
    assert names(dump) == ["web-0"]
    assert dump.kinds == {("v1", "Pod"), ("v1", "Node")}


def test_logs_are_passed_over_because_whoever_runs_a_pod_chooses_their_content(tmp_path: Path) -> None:
    for name in ("shop/web-0/logs.txt", "logs/current.log", "logs/previous.log.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(POD).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": []}))
    dump = scan(tmp_path)
    assert dump.objects == ()
    assert dump.passed_over == 3


def gzip_twice(raw: bytes) -> bytes:
    return gzip.compress(gzip.compress(raw))


def test_a_log_that_is_named_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "dump.log").write_text(json.dumps(POD))
    assert names(scan(tmp_path / "dump.log")) == ["web-0"]


def test_a_folder_called_like_a_log_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.log.d").mkdir()
    (tmp_path / "x.log.d" / "pod.json").write_text(json.dumps(POD))
    assert names(scan(tmp_path)) == ["web-0"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, gzip_twice])
def test_reads_compressed_files_whatever_their_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "x").write_bytes(pack(json.dumps(POD).encode()))
    assert names(scan(tmp_path / "x")) == ["web-0"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_reads_archives_with_compressed_members_and_archives_within(
    tmp_path: Path, mode: Literal["w", "w:gz", "w:bz2", "w:xz"]
) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        add(archive, "inner/pod.yaml", yaml.safe_dump(pod("inner", "inner")).encode())
    path = tmp_path / "must-gather"
    with tarfile.open(path, mode=mode) as archive:
        add(archive, "m/core/pods.json", json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [pod()]}).encode())
        add(archive, "m/pod.json.gz", gzip.compress(json.dumps(pod("gz", "gz")).encode()))
        add(archive, "m/inner.tgz", inner.getvalue())
        add(archive, "m/version", b"4.18")
        link = tarfile.TarInfo("m/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    dump = scan(tmp_path)
    assert sorted(names(dump)) == ["gz", "inner", "web-0"]
    assert dump.objects[0].source.endswith("must-gather!m/core/pods.json")
    assert dump.passed_over == 2


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def test_reads_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(yaml.safe_dump(POD).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
    dump = scan("-")
    assert names(dump) == ["web-0"]
    assert dump.objects[0].source == "standard input"


def test_reads_a_pipe_that_is_named_as_the_path(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(json.dumps(POD)))
    writer.start()
    assert names(scan(pipe)) == ["web-0"]
    writer.join()


class TestDuplicates:
    def test_the_newest_version_counts_by_number_not_by_text(self, tmp_path: Path) -> None:
        for number, version in enumerate(("9", "100", "10")):
            (tmp_path / f"{number}.json").write_text(json.dumps(pod(version=version)))
        dump = scan(tmp_path)
        (item,) = dump.objects
        assert item.value["metadata"]["resourceVersion"] == "100"
        assert dump.duplicates == 2

    def test_the_first_counts_where_versions_cannot_be_compared(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text(json.dumps(pod(version="", spec={"nodeName": "first"})))
        (tmp_path / "b").write_text(json.dumps(pod(version="x", spec={"nodeName": "second"})))
        (item,) = scan(tmp_path).objects
        assert item.value["spec"] == {"nodeName": "first"}

    def test_without_uids_kind_namespace_and_name_tell_objects_apart(self, tmp_path: Path) -> None:
        objects = [pod(uid=""), pod(uid=""), pod("web-1", uid=""), {**pod(uid=""), "kind": "Event"}]
        (tmp_path / "x").write_text("\n".join(map(json.dumps, objects)))
        dump = scan(tmp_path)
        assert len(dump.objects) == 3
        assert dump.duplicates == 1

    def test_a_replaced_pod_of_the_same_name_gives_way_to_its_successor(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text(json.dumps(pod(uid="new", version="20")) + "\n" + json.dumps(pod(uid="old")))
        (item,) = scan(tmp_path).objects
        assert item.value["metadata"]["uid"] == "new"

    def test_an_event_from_both_its_api_groups_is_one(self, tmp_path: Path) -> None:
        event = {**pod("e", "e"), "kind": "Event"}
        (tmp_path / "x").write_text(
            "\n".join(json.dumps({**event, "apiVersion": v}) for v in ("v1", "events.k8s.io/v1"))
        )
        assert len(scan(tmp_path).objects) == 1

    def test_a_dump_full_of_them_stays_small(self, tmp_path: Path) -> None:
        line = json.dumps(pod(spec={"padding": "x" * 1000})) + "\n"
        (tmp_path / "x").write_text(line * 20_000)
        tracemalloc.start()
        dump = scan(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (len(dump.objects), dump.duplicates) == (1, 19_999)
        assert peak < 8 << 20


class TestBadInput:
    def test_a_missing_path_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DumpError, match=r"There is no file or folder .*/nowhere\."):
            scan(tmp_path / "nowhere")

    @pytest.mark.parametrize("content", [b"", b" \n\n", gzip.compress(b"")], ids=["nothing", "blanks", "packed"])
    def test_an_empty_file_holds_nothing(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(DumpError, match=r"There is no Kubernetes object in .*: 1 file"):
            scan(tmp_path)

    def test_an_empty_folder_says_how_to_fill_it(self, tmp_path: Path) -> None:
        with pytest.raises(DumpError, match=r"is empty\. Fill it with: kubectl cluster-info dump"):
            scan(tmp_path)

    def test_other_content_is_passed_over_and_counted(self, tmp_path: Path) -> None:
        contents = {
            "readme.md": b"# Title\nkind: of a readme\n",
            "values.yaml": b"image: {tag: 1}\n",
            "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0" + os.urandom(500),
            "log.json": b'{"level":"info","msg":"x"}\n{"level":"info"}\nnot json\n',
            "package.json": b'{"name": "x", "items": [1, {"kind": 3}]}',
            "number.json": b'{"kind": 1, "apiVersion": []}',
            "config": b"apiVersion: v1\nkind: Config\nusers: []\n",
            "array.json": b'[1, "two", [3]]',
        }
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / "pod.json").write_text(json.dumps(POD))
        dump = scan(tmp_path)
        assert names(dump) == ["web-0"]
        assert dump.problems == ()
        assert dump.passed_over == len(contents)

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.json", json.dumps(POD)[:-9].encode(), "is no valid JSON"),
            ("b.json", b'{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "\xff"}}', "is no valid"),
            ("c.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: [\n", "is no valid YAML"),
            ("d.json.gz", gzip.compress(os.urandom(5000))[:3000], "is cut off"),
            ("e.json.gz", gzip.compress(os.urandom(99))[:-8] + b"\xff" * 8, "is damaged"),
            ("f.json", b'{"a":' * 100_000, "is nested too deeply"),
            ("g.yaml", b"apiVersion: v1\nkind: Pod\nx: " + b"[" * 100_000, "is nested more than 100 levels deep"),
            ("h.yaml", b"apiVersion: v1\nkind: Pod\nx: " + b"- " * 100_000, "valid YAML|nested more than 100"),
            ("i.yaml", b"kind: Pod\na: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]\napiVersion: v1\n", "has YAML aliases"),
            ("j.yaml", b"apiVersion: v1\nkind: Pod\n{a: b}: 1\n", "valid YAML|no text"),
            ("k.json", b'{"kind": "Pod", "apiVersion": "v1", "metadata": {}}', "a Pod without a metadata.name"),
            ("l.json", b'{"kind": "Pod", "apiVersion": "v1", "metadata": 7}', "holds a malformed Pod: .*metadata"),
            (
                "m.json",
                b'{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": 7}}',
                r"malformed Pod: .*metadata\.name",
            ),
            ("n.tar", b"", "truncated"),
            ("o.zip", b"PK\x03\x04rest", "unpack it first"),
        ],
    )
    def test_an_unreadable_file_is_named_and_the_rest_is_read(
        self, tmp_path: Path, name: str, content: bytes, reason: str
    ) -> None:
        if name == "n.tar":
            whole = io.BytesIO()
            with tarfile.open(fileobj=whole, mode="w") as archive:
                add(archive, "x.json", b" " * 5000)
            content = whole.getvalue()[:2000]
        (tmp_path / name).write_bytes(content)
        (tmp_path / "pod.json").write_text(json.dumps(pod("good", "good")))
        started = time.monotonic()
        dump = scan(tmp_path)
        assert names(dump) == ["good"]
        (problem,) = dump.problems
        assert name in problem.source
        assert re.search(reason, problem.reason), problem
        assert time.monotonic() - started < 5

    def test_what_decode_refuses_is_named_with_its_object(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text(json.dumps(pod("a", "a")) + "\n" + json.dumps(pod("b", "b")))

        def refuse(_a: str, _k: str, raw: bytes | msgspec.Raw) -> str:
            if b'"a"' in bytes(raw):
                raise ValueError("spec is no map")
            return "kept"

        dump = read(str(tmp_path), lambda _a, _k: True, refuse)
        assert [item.value for item in dump.objects] == ["kept"]
        assert str(dump.problems[0]).endswith("x: holds an unreadable Pod shop/a: spec is no map")

    def test_links_in_a_circle_broken_links_and_pipes_do_not_stop_it(self, tmp_path: Path) -> None:
        (tmp_path / "pods").mkdir()
        (tmp_path / "pods" / "pod.json").write_text(json.dumps(POD))
        (tmp_path / "pods" / "up").symlink_to(tmp_path)
        (tmp_path / "again").symlink_to(tmp_path / "pods")
        (tmp_path / "self").symlink_to(tmp_path / "self")
        (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
        os.mkfifo(tmp_path / "pipe")
        dump = scan(tmp_path)
        assert len(dump.objects) == 1
        assert {(Path(problem.source).name, problem.reason) for problem in dump.problems} == {
            ("self", "Too many levels of symbolic links"),
            ("gone", "No such file or directory"),
            ("pipe", "is no regular file"),
        }

    def test_a_file_that_may_not_be_read_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "pod.json").write_text(json.dumps(POD))
        (tmp_path / "private").write_text("{}")
        opened = Path.open

        def guarded(path: Path, mode: Literal["rb"]) -> IO[bytes]:
            if path.name == "private":  # The tests may run as root, who may read anything.
                raise PermissionError(13, "Permission denied")
            return opened(path, mode)

        monkeypatch.setattr(Path, "open", guarded)
        dump = scan(tmp_path)
        assert names(dump) == ["web-0"]
        assert dump.problems[0].reason == "Permission denied"

    def test_one_file_alone_that_is_broken_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text('{"kind": "Pod"')
        with pytest.raises(DumpError, match=r"1 could not be read\.\n  .*x\.json: is no valid JSON"):
            scan(tmp_path / "x.json")

    def test_packing_without_end_is_given_up(self, tmp_path: Path) -> None:
        content = json.dumps(POD).encode()
        for _ in range(7):
            content = gzip.compress(content)
        (tmp_path / "x").write_bytes(content)
        (tmp_path / "pod").write_text(json.dumps(POD))
        assert "packed more than" in scan(tmp_path).problems[0].reason


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("yes", True), ("Off", False), ("~", None), ("null", None), ("", None), ("'yes'", "yes"), ("y", "y"),
            ("12", 12), ("-7", -7), ("0x1F", 31), ("0644", 420), ("1.5", 1.5), ("1e3", 1000.0),
            ("1.2.3", "1.2.3"), ('"12"', "12"),
            ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("10m", "10m"),
            ("12:30:45", "12:30:45"), ("=", "="), ("12345678901234567890", "12345678901234567890"),
            ("|\n  a\n  b", "a\nb\n"),
        ],
    )  # fmt: skip
    def test_scalars_are_what_kubernetes_takes_them_for(self, tmp_path: Path, text: str, value: object) -> None:
        (tmp_path / "x.yaml").write_text(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nvalue: {text}\n")
        (item,) = scan(tmp_path).objects
        assert item.value["value"] == value


class TestNewest:
    def test_is_the_newest_time_that_the_cluster_wrote(self, tmp_path: Path) -> None:
        conditions = [{"lastHeartbeatTime": "2026-01-03T00:00:00Z", "lastTransitionTime": "2026-01-02T00:00:00Z"}]
        event = {**pod("e", "e"), "kind": "Event", "lastTimestamp": None, "eventTime": "2026-01-04T00:00:00.000001Z"}
        (tmp_path / "a").write_text(json.dumps({**POD, "status": {"conditions": conditions}}))
        assert scan(tmp_path).newest == datetime(2026, 1, 3, tzinfo=UTC)
        (tmp_path / "b").write_text(json.dumps(event))
        assert scan(tmp_path).newest == datetime(2026, 1, 4, 0, 0, 0, 1, tzinfo=UTC)

    def test_ignores_the_future_and_what_is_no_time(self, tmp_path: Path) -> None:
        forged = [
            {"lastTransitionTime": text}
            for text in ("9999-01-01T00:00:00Z", "2026-99-99T00:00:00Z", "tomorrow", "2026-01-09")
        ]
        (tmp_path / "a").write_text(json.dumps({**POD, "status": {"conditions": forged}}))
        assert scan(tmp_path).newest == datetime(2026, 1, 1, tzinfo=UTC)

    def test_is_unknown_where_no_object_tells_a_time(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text(json.dumps(pod(status={"conditions": "wrong"})))
        assert scan(tmp_path).newest is None


@pytest.mark.parametrize("name", ["pods.json", "pods.json.gz"])
def test_a_huge_list_is_not_held_in_memory(tmp_path: Path, name: str) -> None:
    body = json.dumps({"metadata": {"name": "NAME", "namespace": "shop", "uid": "NAME"}, "spec": {"x": "x" * 8000}})
    path = tmp_path / name
    with gzip.open(path, "wt", compresslevel=1) if name.endswith("gz") else path.open("w") as file:
        file.write('{"kind": "PodList", "apiVersion": "v1", "items": [')
        file.writelines(f"{',' if number else ''}{body.replace('NAME', f'p{number}')}" for number in range(15_000))
        file.write("]}")
    tracemalloc.start()
    dump = read(str(path), lambda _, kind: kind == "Pod", lambda _a, _k, raw: len(bytes(raw)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(dump.objects) == 15_000
    assert sum(item.value for item in dump.objects) > 115 << 20
    assert peak < 40 << 20
