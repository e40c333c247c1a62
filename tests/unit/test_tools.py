"""The builder of the cluster tools, with a small program in the place of Go."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.tools import build

FAKE_GO = """\
#!/bin/sh
if [ "$1" = env ]; then echo "${FAKE_VERSION:-go1.99}"; exit 0; fi
echo run >> "$FAKE_LOG"
echo "go: downloading example.com/module v1.0.0" >&2
echo "example.com/package" >&2
echo program > "$GOBIN/helm"
touch "$FAKE_LOG.started"
sleep "${FAKE_SECONDS:-0}"
exit "${FAKE_EXIT:-0}"
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Puts the fake Go on the PATH and an empty cache in place; tells how often it has built."""
    programs = tmp_path / "bin"
    programs.mkdir()
    go = programs / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("KUBEDX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_LOG", str(log))
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


def cached(tmp_path: Path) -> list[str]:
    """What the cache holds besides its locks."""
    folder = tmp_path / "cache" / "tools"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_a_set_is_built_once_and_found_again(runs: Callable[[], int]) -> None:
    first = build.ensure("helm")
    assert (first / "helm").read_text() == "program\n"
    assert build.ensure("helm") == first
    assert runs() == 1


def test_the_cache_is_outside_the_checkout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEDX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert build.cache_root() == Path("/somewhere/kubedx")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert build.cache_root() == Path.home() / ".cache" / "kubedx"


def test_a_failed_build_leaves_nothing_and_shows_what_go_said(
    runs: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_EXIT", "1")
    with pytest.raises(build.ToolsUnavailable, match=r"example\.com/package"):
        build.ensure("helm")
    assert cached(tmp_path) == []
    monkeypatch.setenv("FAKE_EXIT", "0")
    build.ensure("helm")
    assert runs() == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing_that_a_later_run_takes_for_finished(
    runs: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "5")
    with subprocess.Popen([sys.executable, build.__file__, "helm"], stderr=subprocess.DEVNULL) as builder:
        wait_until((tmp_path / "log.started").exists)
        builder.send_signal(number)
        assert builder.wait(10) != 0
    if number != signal.SIGKILL:  # nothing can tidy up after that, so the next run does
        assert cached(tmp_path) == []
    assert not list((tmp_path / "cache" / "tools").glob("helm-*"))

    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert build.ensure("helm").is_dir()
    assert len(cached(tmp_path)) == 1
    assert runs() == 2


def test_two_runs_at_once_build_once(runs: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "1")
    said: list[str] = []
    with subprocess.Popen([sys.executable, build.__file__, "helm"], stdout=subprocess.DEVNULL) as first:
        wait_until((tmp_path / "log.started").exists)
        build.ensure("helm", say=said.append)
    assert first.returncode == 0
    assert runs() == 1
    assert ["waiting for it" in line for line in said] == [True]


def test_progress_is_shown_while_go_prints_nothing(runs: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PROGRESS_SECONDS", 0.2)
    monkeypatch.setenv("FAKE_SECONDS", "1")
    said: list[str] = []
    build.ensure("helm", say=said.append)
    assert "about 2 minutes" in said[0]
    assert "1 modules fetched, 1 packages compiled, at example.com/package" in said[2]
    assert "done after" in said[-1]
    assert runs() == 1


def test_the_key_follows_the_pins_the_flags_and_the_compiler(
    runs: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm = build.SETS["helm"]
    module = tmp_path / "module"
    shutil.copytree(build.HERE / "helm", module)
    keys = [build.cache_key(helm, module)]
    (module / "go.sum").write_text("changed")
    keys.append(build.cache_key(helm, module))
    (module / "go.mod").write_text("changed")
    keys.append(build.cache_key(helm, module))
    keys.append(build.cache_key(dataclasses.replace(helm, ldflags="-s"), module))
    monkeypatch.setenv("FAKE_VERSION", "go2.0")
    keys.append(build.cache_key(helm, module))
    assert len(set(keys)) == len(keys)
    assert build.cache_key(helm, module) == keys[-1]
    assert runs() == 0


def test_a_missing_go_is_named_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEDX_CACHE", str(tmp_path / "cache"))
    with pytest.raises(build.ToolsUnavailable, match=r"Go is missing.*https://go\.dev/dl/"):
        build.ensure("helm")


def test_an_unknown_set_is_named_with_those_there_are() -> None:
    with pytest.raises(build.ToolsUnavailable, match=r"'helmet'; there are kubernetes, helm, kind, .*promtool"):
        build.ensure("helmet")


def test_a_promtool_on_the_path_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.ensure("promtool") == tmp_path


def test_without_debian_promtool_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEDX_CACHE", str(tmp_path / "cache"))
    with pytest.raises(build.ToolsUnavailable, match="promtool is missing"):
        build.ensure("promtool")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
