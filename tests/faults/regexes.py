"""Every regular expression of the package, and texts that are hard for each of them."""

import ast
import collections
import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import kubedx

SIZES = (1 << 12, 1 << 14, 1 << 16)
"""Characters; each size is four times the one before, and the last is far beyond what a text may have."""

QUICK = 0.01
"""Seconds of CPU in which the longest text is searched, or else the time must grow as the text does."""

MOST_GROWTH = 9.0
"""What takes longer by more than this where the text is four times as long is not linear: a square gives sixteen."""

AT_ONE_PLACE = {"kubedx.watch.dump": ("_FLOAT", "_INTEGER", "_OCTAL", "_JSON"), "kubedx.generate.chart": ("_MATCHES",)}
"""Patterns that are tried at the beginning of a text only, by module: their time is that of one try."""

_PIECES = (" ", "a", "0", "-", '"', "\\", "=", "[", "a ", "1, ")
_LITERAL = re.compile(r"(?:\\[.\[\]()\"/-]|[\w \":,'/-]){2,}")
_IN_CLASS = re.compile(r"\[[^\]]+\]|\(\?[a-zA-Z<!=:P]+|\{[\d,]+\}|\\[bdswBDSWZA]")


def modules() -> Iterator[ModuleType]:
    """Every module of kubedx but the one that runs the command."""
    yield kubedx
    for found in pkgutil.walk_packages(kubedx.__path__, "kubedx."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    """The compiled patterns that modules hold, and those written where they are used, by where they stand."""
    found: dict[str, re.Pattern[Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(_within(value)):
                found.setdefault(f"{module.__name__}.{name}[{number}]", pattern)
        for line, source in _written_in_place(module):
            found[f"{module.__name__}:{line}"] = re.compile(source)
    unique = {(pattern.pattern, pattern.flags): where for where, pattern in reversed(found.items())}
    return {where: found[where] for where in sorted(unique.values())}


def _within(value: object, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | frozenset | set) and depth < 4:
        for inner in value:
            yield from _within(inner, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        for inner in value.values():
            yield from _within(inner, depth + 1)


def _written_in_place(module: ModuleType) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr="search" | "match" | "fullmatch" | "split" | "sub" |
                                   "findall" | "finditer"),
                args=[ast.Constant(value=str(source)), *_],
            ):  # fmt: skip
                yield node.lineno, source


def hard_texts(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str]]:
    """Beginnings that a pattern accepts, each with a piece to repeat after it: made of the pattern's own words."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    words = [re.sub(r"\\(.)", r"\1", word) for word in _LITERAL.findall(_IN_CLASS.sub("\0", source))]
    words = list(dict.fromkeys(words))[:6]
    pieces = dict.fromkeys([*_PIECES, *words, *(f"{word} " for word in words), "a".join(words), " ".join(words)])
    for beginning in dict.fromkeys(["", *words[:1], "a".join(words)]):
        for piece in filter(None, pieces):
            yield beginning, piece


def growth(where: str, pattern: re.Pattern[Any], beginning: str, piece: str) -> str:
    """Say how the time grows with the text, empty where it is linear."""
    module, _, name = where.rpartition(".")
    once = name.partition("[")[0] in AT_ONE_PLACE.get(module, ())
    before = 0.0
    for size in SIZES:
        text = (beginning + piece * (size // len(piece) + 1))[:size] + "\x01"
        took = _seconds(pattern, text, once=once)
        if took > QUICK and took / max(before, QUICK / 40) > MOST_GROWTH:
            before = _seconds(pattern, text[: size // 4], 3, once=once)
            took = min(took, _seconds(pattern, text, 3, once=once))
            if took > MOST_GROWTH * max(before, QUICK / 40):
                return f"{beginning[:60]!r} + {piece[:40]!r} repeated: {before:.4f} s, {took:.4f} s for four times that"
        before = took
    return ""


def _seconds(pattern: re.Pattern[Any], text: str, tries: int = 1, *, once: bool) -> float:
    subject = text if isinstance(pattern.pattern, str) else text.encode("latin-1")
    best = float("inf")
    for _ in range(tries):
        began = time.process_time()
        if once:
            pattern.fullmatch(subject)
            pattern.match(subject)
        else:
            collections.deque(pattern.finditer(subject), 0)
        best = min(best, time.process_time() - began)
    return best
