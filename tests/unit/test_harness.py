"""What the harness does without a cluster: ports, waiting, and telling orphans from clusters that are in use."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import harness


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBEDX_CACHE", str(tmp_path))
    return tmp_path


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = harness.free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_in_use_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken, free) = harness.free_ports(2)
    monkeypatch.setattr(harness, "PORTS", [taken, free])
    with socket.create_server(("127.0.0.1", taken)):
        assert harness.free_ports(1) == [free]


def test_a_machine_without_enough_ports_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "PORTS", range(20000, 20001))
    with pytest.raises(harness.ClusterError, match="no 2 free ports between 20000 and 20000"):
        harness.free_ports(2)


def test_waiting_ends_with_the_first_true_answer() -> None:
    answers = iter([0, 0, 7])
    assert harness.wait_for(lambda: next(answers), timeout=5, what="answer", every=0) == 7


def test_waiting_in_vain_says_for_what_and_what_was_seen_last() -> None:
    def failing() -> bool:
        raise harness.ClusterError("no such pod")

    with pytest.raises(TimeoutError, match=r"no running pod within 0\.1 s; last seen: .*no such pod"):
        harness.wait_for(failing, timeout=0.1, what="running pod", every=0.01)


def test_an_error_in_the_condition_itself_is_not_waited_out() -> None:
    answers: dict[str, bool] = {}
    with pytest.raises(KeyError):
        harness.wait_for(lambda: answers["typo"], timeout=5, what="answer")


def record(cache: Path, name: str, **changes: object) -> Path:
    """The folder of a cluster without processes, as a started one leaves it."""
    folder = cache / "clusters" / name
    folder.mkdir(parents=True)
    content = {"runtime": "binary", "kept": False, "checkout": str(harness.CHECKOUT), "boot": harness._boot()}
    (folder / "record.json").write_text(json.dumps({**content, **changes}))
    return folder


def test_a_cluster_whose_owner_lives_is_left_alone_until_the_owner_dies(cache: Path) -> None:
    folder = record(cache, "owned")
    owner = (
        "import sys, time; from pathlib import Path; from tests.cluster import harness;"
        "lock = harness._try_lock(Path(sys.argv[1])); print('locked', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", owner, str(folder)]
    with subprocess.Popen(command, cwd=harness.CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        assert harness.remove_orphans() == []
        process.kill()
    assert harness.remove_orphans() == ["owned"]
    assert not folder.exists()


def test_a_kept_cluster_stays_as_long_as_its_checkout_and_the_machine_do(cache: Path, tmp_path: Path) -> None:
    record(cache, "kept", kept=True)
    record(cache, "checkout-gone", kept=True, checkout=str(tmp_path / "gone"))
    record(cache, "before-restart", kept=True, boot="an earlier one")
    assert harness.remove_orphans() == ["before-restart", "checkout-gone"]
    assert [cluster.name for cluster in harness.list_clusters()] == ["kept"]


def test_process_numbers_from_before_a_restart_of_the_machine_are_not_trusted(cache: Path) -> None:
    folder = record(cache, "before-restart", boot="an earlier one")
    pids = folder / "kwok" / "clusters" / "before-restart" / "pids"
    pids.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (pids / "etcd.pid").write_text(str(bystander.pid))
        (pids.parent / "kwok.yaml").touch()
        removed: list[Path] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(harness, "_kwokctl", lambda *_: removed.append(pids))
            harness.remove_orphans()
        assert removed == [pids]
        assert not pids.exists()
        assert bystander.poll() is None
        bystander.kill()


def test_a_folder_that_a_crash_left_without_a_record_goes_too(cache: Path) -> None:
    (cache / "clusters" / "half-made").mkdir(parents=True)
    assert harness.list_clusters() == []
    assert harness.remove_orphans() == ["half-made"]


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(harness.ClusterError, match="'podman'; it can be `binary` or `kind`"):
        harness.start(runtime="podman")


def test_kind_without_a_docker_engine_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(harness.ClusterError, match="needs a Docker engine"):
        harness.start(runtime="kind")
    assert time.monotonic() - started < 5


def test_every_fault_example_says_what_kubedx_finds_and_how_it_is_mended() -> None:
    faults = harness.CHECKOUT / "examples" / "faults"
    named = [path for folder in (".", "alone", "simulated") for path in (faults / folder).glob("*.yaml")]
    assert len(named) > 20
    for fault in named:
        assert "# kubedx: " in fault.read_text(encoding="utf-8"), fault
        assert (faults / "mends" / fault.name).exists() or fault.parent.name == "simulated", fault
