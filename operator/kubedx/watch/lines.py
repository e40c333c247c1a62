"""Splits a stream of bytes into lines, bounded."""

from collections.abc import Iterator

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

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes of the stream.

        Args:
            chunk: The bytes.

        Yields:
            Each line that they complete, without its newline. Empty lines are left out.
        """
        *complete, rest = chunk.split(b"\n")
        for line in complete:
            if self._skipping:
                self._skipping = False
                continue
            if self._rest:
                self._rest += line
                whole = bytes(self._rest)
                self._rest.clear()
            else:
                whole = line
            if len(whole) > self._longest:
                self.dropped += 1
            elif whole:
                yield whole
        if not self._skipping:
            self._rest += rest
            if len(self._rest) > self._longest:
                self._rest.clear()
                self._skipping = True
                self.dropped += 1
