"""What a node finds outside of itself: the API server, a name server that knows no name, and registries with faults.

The node's network has no way out. This program listens in it, and answers or passes on from the machine's own network:

    python -m tests.node.outside PID API-PORT

PID is a process in the node's network. It runs until it is ended.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.cluster.harness import SERVICE_ADDRESS

API = (SERVICE_ADDRESS, 443)
"""Where pods look for the API server: the address of the Service `kubernetes`."""

REGISTRIES = {
    5401: "401 Unauthorized",
    5404: "404 Not Found",
    5429: "429 Too Many Requests",
}
"""The ports of registries of which each answers every request with one status."""

CLONE_NEWNET = 0x40000000
NXDOMAIN = b"\x81\x83"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def inside(pid: int, address: tuple[str, int], kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket that is bound in the network of another process, and stays there.

    Args:
        pid: The process.
        address: Where to bind it.
        kind: Its kind.

    Returns:
        The socket; a stream listens already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open("rb") as ours, Path(f"/proc/{pid}/ns/net").open("rb") as theirs:
        _enter(libc, theirs.fileno())
        try:
            bound = socket.socket(type=kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            if kind == socket.SOCK_STREAM:
                bound.listen()
        finally:
            _enter(libc, ours.fileno())
    return bound


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def passing_on(port: int) -> Handler:
    """Hands connections to a port of this machine."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()

    return handle


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


def refusing(status: str) -> Handler:
    """A registry that answers everything with one status."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    return handle


class NoName(asyncio.DatagramProtocol):
    """A name server that says of every name that there is none."""

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        """Keep the way back."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Repeat the question with the answer."""
        self.transport.sendto(data[:2] + NXDOMAIN + data[4:6] + bytes(6) + _question(data), addr)


def _question(data: bytes) -> bytes:
    end = data.index(0, 12) + 5
    return data[12:end]


async def serve(pid: int, api_port: int) -> None:
    """Listens in the node's network for ever."""
    await asyncio.start_server(passing_on(api_port), sock=inside(pid, API))
    for port, status in REGISTRIES.items():
        await asyncio.start_server(refusing(status), sock=inside(pid, ("127.0.0.1", port)))
    names = inside(pid, ("127.0.0.1", 53), socket.SOCK_DGRAM)
    names.settimeout(0)
    await asyncio.get_running_loop().create_datagram_endpoint(NoName, sock=names)
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
