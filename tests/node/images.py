"""The one image of the tests' pods, made on the spot: a static busybox, as an archive that containerd imports."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

NAME = "localhost/busybox:1"
APPLETS = ("sh", "true", "false", "sleep", "tail", "cat", "dd", "httpd", "nc", "touch", "rm", "id", "ls", "wget", "kill", "trap", "mkdir")


def busybox(program: Path, archive: Path) -> None:
    """Writes the image; its container sleeps until it is told otherwise.

    Args:
        program: A statically linked busybox.
        archive: The file to write, in the format of `docker save`.
    """
    layer = _layer(program)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep"], "Cmd": ["2147483647"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as out:
        _add(out, "layer.tar", layer)
        _add(out, "config.json", json.dumps(config).encode())
        _add(out, "manifest.json", json.dumps(manifest).encode())


def _layer(program: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for folder in ("bin", "tmp", "etc"):
            _add(out, folder, b"", kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(out, "bin/busybox", program.read_bytes(), mode=0o755)
        _add(out, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            out.addfile(entry)
    return buffer.getvalue()


def _add(out: tarfile.TarFile, name: str, data: bytes, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, len(data)
    out.addfile(entry, io.BytesIO(data))
