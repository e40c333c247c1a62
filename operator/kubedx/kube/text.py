"""Free text from the cluster, made harmless once, when it is decoded.

Anybody who may create a Pod or an Event chooses what its messages say, so a message may hold terminal escapes, forged
lines, right-to-left overrides or, by accident, credentials. Everything downstream may rely on a `Text` being printable,
bounded and masked.
"""

import re
from functools import lru_cache

LIMIT = 2048
"""The most characters that one text keeps."""

# Each of these takes time in proportion to the text: nothing is repeated that may match in more than one way, and what
# the next try may read again is bounded.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}://)(?P<userinfo>[^\s/@\"']{1,4096}@)?(?P<rest>[^\s?#\"']{0,4096})"
    r"(?P<query>[?#][^\s\"'…]+)?"
)
_SECRETS = (
    re.compile(r"(?i)(?P<keep>(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(
        r"(?i)(?P<keep>(?:password|passwd|secret|token|(?:api|access|secret|private)[_-]?key)[\"']?\s*[=:]\s*[\"']?)"
        r"[^\s\"',;&…]{4,}"
    ),
    # No \b in front of these: an escape such as \n or the end of a colour sets a letter there.
    re.compile(r"(?P<keep>)eyJ[A-Za-z0-9_-]{8,512}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(r"(?P<keep>)(?<![A-Z])(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"),
    re.compile(r"(?P<keep>)(?:gh[pousr]_[A-Za-z0-9]{20,}|xox[abp]-[A-Za-z0-9-]{10,})"),
)
_HINTS = re.compile(r"(?i)bearer|basic|passw|secret|token|key|eyJ|A[KS]IA|gh[pousr]_|xox")
MASK = "***"


class Text(str):
    """A string of the cluster that `clean` went over: printable, masked and at most `LIMIT` characters long."""

    __slots__ = ()


@lru_cache(maxsize=8192)
def clean(raw: str) -> Text:
    r"""Make a string of the cluster safe to show, log, and put in a label.

    Control characters, bidirectional overrides and lone surrogates become visible escapes such as ``\x1b``; user
    names, passwords and queries of URLs and token-shaped words become ``***``; what is beyond `LIMIT` is cut and
    counted.
    Applying it twice changes nothing more.

    Args:
        raw: The string as the API server sent it.

    Returns:
        The text to keep.
    """
    text = raw[: LIMIT * 2]
    if not text.isprintable():
        text = "".join(map(_visible, text))
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    if _HINTS.search(text):
        for pattern in _SECRETS:
            text = pattern.sub(lambda match: f"{match['keep']}{MASK}", text)
    hidden = len(raw) - len(raw[: LIMIT * 2])
    return Text(cut(text, LIMIT, hidden))


def cut(text: str, limit: int, hidden: int = 0) -> str:
    """Shorten a text to at most `limit` characters, saying how many were left out.

    Args:
        text: The text to shorten.
        limit: The most characters to return, at least 32.
        hidden: How many characters had been left out before.

    Returns:
        The text itself where it fits, else its beginning and ``… (+N characters)``.
    """
    if len(text) <= limit and not hidden:
        return text
    kept = text[: limit - 24].rstrip("*")  # Half a mask would look like the beginning of a secret.
    return f"{kept}… (+{len(text) - len(kept) + hidden} characters)"


def _visible(character: str) -> str:
    if character.isprintable() or character in "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}":
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _masked_url(match: re.Match[str]) -> str:
    user = f"{MASK}@" if match["userinfo"] else ""
    query = f"{match['query'][0]}{MASK}" if match["query"] else ""
    return f"{match['scheme']}{user}{match['rest']}{query}"
