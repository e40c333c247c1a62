"""What people get wrong on the command line: a message with the fix, the right exit code, and no stack trace."""

import base64
import copy
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import yaml

from tests.cluster.harness import Cluster, Manifest, free_ports
from tests.cluster.installation import KUBEDX

USAGE, UNREACHABLE = 2, 3
COMMANDS = {"run": ("run", "--listen=127.0.0.1:0"), "scan": ("scan", "--live")}


def kubedx(*args: str) -> tuple[int, str]:
    """Runs the command; gives its exit code and what it said on the standard error."""
    done = subprocess.run([str(KUBEDX), *args], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def config_of(cluster: Cluster) -> Manifest:
    config: Manifest = yaml.safe_load(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten"))
    return config


def write(config: object, folder: Path) -> str:
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config), encoding="utf-8")
    return f"--kubeconfig={path}"


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return COMMANDS[request.param]


def test_a_missing_kubeconfig(command: tuple[str, ...], tmp_path: Path) -> None:
    code, said = kubedx(*command, f"--kubeconfig={tmp_path}/none")
    assert code == USAGE
    assert f"no kubeconfig at {tmp_path}/none" in said
    assert "--kubeconfig" in said


def test_a_kubeconfig_that_is_no_yaml(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text("clusters: [", encoding="utf-8")
    code, said = kubedx(*command, f"--kubeconfig={tmp_path}/kubeconfig")
    assert code == USAGE
    assert f"{tmp_path}/kubeconfig is not valid YAML" in said


def test_an_unknown_context(cluster: Cluster, command: tuple[str, ...]) -> None:
    known = config_of(cluster)["current-context"]
    code, said = kubedx(*command, f"--kubeconfig={cluster.kubeconfig}", "--context=production")
    assert code == USAGE
    assert "has no context 'production'" in said
    assert f"It knows: {known}" in said


def test_a_server_that_does_not_answer(cluster: Cluster, command: tuple[str, ...], tmp_path: Path) -> None:
    config = config_of(cluster)
    port = free_ports(1)[0]
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    code, said = kubedx(*command, write(config, tmp_path))
    assert code == UNREACHABLE
    assert f"127.0.0.1:{port}" in said


def test_a_server_whose_name_nobody_knows(cluster: Cluster, command: tuple[str, ...], tmp_path: Path) -> None:
    config = config_of(cluster)
    config["clusters"][0]["cluster"]["server"] = "https://cluster.invalid:6443"
    code, said = kubedx(*command, write(config, tmp_path))
    assert code == UNREACHABLE
    assert "cluster.invalid" in said


def another_authority(config: Manifest) -> None:
    pem = trustme.CA().cert_pem.bytes()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(pem).decode()


def no_certificate(config: Manifest) -> None:
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(b"hello").decode()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (another_authority, "is not trusted: unable to get local issuer certificate. Check certificate-authority"),
        (no_certificate, "Check certificate-authority(-data) of this cluster in the kubeconfig"),
    ],
    ids=["of another authority", "that is none"],
)
def test_a_wrong_certificate(
    cluster: Cluster, command: tuple[str, ...], tmp_path: Path, spoil: Callable[[Manifest], None], message: str
) -> None:
    config = copy.deepcopy(config_of(cluster))
    spoil(config)
    code, said = kubedx(*command, write(config, tmp_path))
    assert code == USAGE, "the server answers: the configuration is wrong"
    assert message in said


def test_credentials_that_the_server_refuses(cluster: Cluster, command: tuple[str, ...], tmp_path: Path) -> None:
    config = config_of(cluster)
    config["users"][0]["user"] = {"token": "long-expired"}
    code, said = kubedx(*command, write(config, tmp_path))
    assert code == USAGE, said
    assert "401" in said
    assert "long-expired" not in said


def test_a_port_in_use(cluster: Cluster) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        code, said = kubedx("run", f"--kubeconfig={cluster.kubeconfig}", f"--listen={taken}")
    assert code == USAGE
    assert f"Cannot listen on {taken}: Address already in use. Choose another with --listen." in said


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1:http", "127.0.0.1:99999", "nowhere.invalid:8080"])
def test_an_address_that_is_none(cluster: Cluster, listen: str) -> None:
    code, said = kubedx("run", f"--kubeconfig={cluster.kubeconfig}", f"--listen={listen}")
    assert code == USAGE, said
    assert "--listen" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("a: [", "cannot be read as YAML"), ("- a\n- b\n", "must hold a map"), ("\x00", "YAML")],
    ids=["missing", "broken", "a list", "binary"],
)
def test_wrong_defaults(cluster: Cluster, tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    code, said = kubedx("run", f"--kubeconfig={cluster.kubeconfig}", f"--defaults={path}")
    assert code == USAGE
    assert str(path) in said
    assert message in said


def test_a_policy_for_a_scan_that_is_no_yaml(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("a: [", encoding="utf-8")
    code, said = kubedx("scan", "--live", f"--kubeconfig={cluster.kubeconfig}", f"--policy={path}")
    assert code == USAGE
    assert f"{path} cannot be read as YAML" in said
