"""Splits a stream of bytes into lines, bounded."""

LONGEST = 8 << 20
"""Bytes of the longest line that is read. An object in etcd is 1.5 MiB at most, so a longer line is none of ours."""


class Splitter:
    """Cuts chunks into lines; an over-long line is dropped without being kept in memory.

    Attributes:
        dropped: How many lines were too long.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.dropped = 0
        self._longest = longest
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the stream.

        Args:
            chunk: The bytes.

        Returns:
            The lines that they complete, without their newlines. Empty lines are left out.
        """
        lines: list[bytes] = []
        begin = 0
        # `bytes.split` looks at one byte after the other, `find` at many at once: a third of the time for lines as long
        # as an object is.
        while (end := chunk.find(b"\n", begin)) >= 0:
            lines.append(chunk[begin:end])
            begin = end + 1
        if lines:
            lines[0] = self._first(lines[0])
        self._keep(chunk[begin:])
        longest = self._longest
        if any(len(line) > longest for line in lines):
            self.dropped += sum(len(line) > longest for line in lines)
            return [line for line in lines if 0 < len(line) <= longest]
        return [line for line in lines if line]

    def _first(self, end: bytes) -> bytes:
        """The line of which the beginning came earlier; empty where it is being skipped."""
        if self._skipping:
            self._skipping = False
            return b""
        if not self._rest:
            return end
        self._rest += end
        whole = bytes(self._rest)
        self._rest.clear()
        return whole

    def _keep(self, rest: bytes) -> None:
        if self._skipping:
            return
        self._rest += rest
        if len(self._rest) > self._longest:
            self._rest.clear()
            self._skipping = True
            self.dropped += 1
