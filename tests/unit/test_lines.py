"""Lines of a stream, however it is cut."""

from hypothesis import given
from hypothesis import strategies as st

from kubedx.watch.lines import Splitter


def lines(chunks: list[bytes], longest: int = 1000) -> tuple[list[bytes], int]:
    splitter = Splitter(longest)
    found = [line for chunk in chunks for line in splitter.feed(chunk)]
    return found, splitter.dropped


@given(st.lists(st.binary(max_size=8), max_size=30))
def test_the_lines_do_not_depend_on_how_the_stream_is_cut(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)

    assert lines(chunks)[0] == [line for line in whole.split(b"\n")[:-1] if line]


@given(st.lists(st.sampled_from((b"\n", b"a", b"aaa", b"a\n", b"aaaa\na")), max_size=40), st.integers(1, 6))
def test_lines_that_are_too_long_are_dropped_and_counted_wherever_they_are_cut(
    chunks: list[bytes], longest: int
) -> None:
    whole = b"".join(chunks).split(b"\n")
    found, dropped = lines(chunks, longest)

    assert found == [line for line in whole[:-1] if 0 < len(line) <= longest]
    assert dropped == sum(len(line) > longest for line in whole)


def test_an_endless_line_is_not_kept() -> None:
    splitter = Splitter(1000)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 1000)) == []

    assert len(splitter._rest) <= 2000
    assert list(splitter.feed(b"\nnext\n")) == [b"next"]
    assert splitter.dropped == 1
