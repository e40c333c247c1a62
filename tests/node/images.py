"""The images of the tests' pods, made on the spot from static programs, as archives that containerd imports."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = "localhost/busybox:1"
APPLETS = (
    "sh",
    "true",
    "false",
    "sleep",
    "tail",
    "cat",
    "dd",
    "httpd",
    "nc",
    "touch",
    "rm",
    "id",
    "ls",
    "wget",
    "mkdir",
)


def busybox(program: Path, archive: Path) -> None:
    """Writes an image with a shell; its container sleeps until it is told otherwise.

    Args:
        program: A statically linked busybox.
        archive: The file to write, in the format of `docker save`.
    """
    _write(archive, BUSYBOX, program, APPLETS, ["/bin/sleep", "2147483647"])


def single(program: Path, name: str, archive: Path) -> None:
    """Writes an image of one statically linked program, which its container runs as nobody.

    Args:
        program: The program.
        name: What the image is called.
        archive: The file to write, in the format of `docker save`.
    """
    _write(archive, name, program, (), [f"/bin/{program.name}"], user="65534")


def _write(
    archive: Path, name: str, program: Path, applets: tuple[str, ...], entrypoint: list[str], user: str = ""
) -> None:
    layer = _layer(program, applets)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": entrypoint, "User": user},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as out:
        _add(out, "layer.tar", layer)
        _add(out, "config.json", json.dumps(config).encode())
        _add(out, "manifest.json", json.dumps(manifest).encode())


def _layer(program: Path, applets: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for folder in ("bin", "tmp", "etc"):
            _add(out, folder, b"", kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(out, f"bin/{program.name}", program.read_bytes(), mode=0o755)
        _add(out, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, program.name
            out.addfile(entry)
    return buffer.getvalue()


def _add(out: tarfile.TarFile, name: str, data: bytes, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, len(data)
    out.addfile(entry, io.BytesIO(data))
