"""Free text from the cluster, made harmless once, when it is decoded.

Anybody who may create a Pod or an Event chooses what its messages say, so a message may hold terminal escapes, forged
lines, right-to-left overrides or, by accident, credentials. Everything downstream may rely on a `Text` being printable,
bounded and masked.
"""

import re
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase

LIMIT = 2048
"""The most characters that one text keeps."""

# Printable to Python and invisible to people: fillers, joiners and variation selectors (Default_Ignorable_Code_Point
# of Unicode's DerivedCoreProperties). U+FE0F is left out, as it makes ordinary signs of colourful ones.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)

# Each of these takes time in proportion to the text: nothing is repeated that may match in more than one way, and what
# the next try may read again is bounded.
_USER = re.compile(r"://[^\s/?#\"']{1,4096}@")
_QUERY = re.compile(r"(?P<keep>://[^\s?#\"']*+[?#])[^\s\"'…]+|://[^\s?#\"']*+")
# The names of what holds a secret, to be found in lower case; what follows one is masked.
_KEY = re.compile(
    r"(?P<password>pass(?:word|wd|phrase|code)|(?<![a-z])pwd)"
    r"|(?:access|account|api|encryption|private|secret|shared|signing)[_-]?key"
    r"|authorization|cookie|credentials?|dockerc(?:fg|onfigjson)|secret|token|(?<![a-z])(?:auth|sig(?:nature)?)"
)
_WORDS = ("auth", "cookie", "credential", "dockerc", "key", "pass", "pwd", "secret", "sig", "token")
_QUOTE = r"\\{0,8}[\"']"
_IS = r"\s{0,8}+[=:]\s{0,8}+"
_NOT_MASKED = r"(?!\*\*\*(?:[\s\"',;&…\\]|$))"
_VALUE = rf"{_NOT_MASKED}[^\s\"',;&…]{{4,}}"
# Sentences are kept: `failed to fetch token: serviceaccounts "x" not found`, `volume "password" : secret not found`.
_NO_WORD = r"(?![A-Z]?[a-z'-]+[:.,]*[ …])"
_NO_WORD_AFTER_QUOTE = r"(?![A-Za-z'-]{1,24}[:.,]*[ …])"
_AFTER_KEY = (
    re.compile(rf"(?P<keep>(?:{_QUOTE})?{_IS}\"){_NOT_MASKED}(?:[^\"\\…]|\\[^…]){{4,}}"),
    re.compile(rf"(?P<keep>(?:{_QUOTE})?{_IS}'){_NOT_MASKED}[^'…]{{4,}}"),
    re.compile(rf"(?P<keep>(?:(?:{_QUOTE})?=|{_QUOTE}{_IS}{_NO_WORD_AFTER_QUOTE})(?:{_QUOTE})?){_VALUE}"),
    # Long, of all kinds of letters, and so no name of a Kubernetes object.
    re.compile(
        r"(?P<keep>s?[\"']?\s{1,8})(?=[a-z0-9+/_-]*[A-Z])(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{40,}={0,2}",
    ),
)
_AFTER_PASSWORD = re.compile(rf"(?P<keep>{_IS}(?:{_QUOTE})?){_VALUE}")
_AFTER_OTHER_KEY = re.compile(rf"(?P<keep>{_IS}{_NO_WORD}(?:{_QUOTE})?){_VALUE}")
_FLAG_BEGINS = re.compile(r"(?:^|[^-])--[a-z-]{0,40}$")
_AFTER_FLAG = re.compile(
    rf"(?P<keep>[a-z-]{{0,40}}\s{{1,8}}(?![-:=]|(?:must|cannot|should|flag|requires) ))(?:{_QUOTE})?{_VALUE}"
)
_TOKENS = (
    ("-----BEGIN ", re.compile(r"(?P<keep>-----BEGIN [A-Z0-9 ]{1,40}-----)(?!\*\*\*)(?:[^-…]|-(?!----END))+")),
    ("@", re.compile(r"(?P<keep>:)[^\s@:/…\"']{1,4096}(?=@(?:tcp|udp|unix)6?\()")),
    # No \b in front of these: an escape such as \n or the end of a colour sets a letter there.
    ("eyJ", re.compile(r"(?P<keep>)eyJ[A-Za-z0-9_-]{8,512}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*")),
    ("IA", re.compile(r"(?P<keep>)(?<![A-Z])A[KS]IA[0-9A-Z]{16,}")),
    ("gh", re.compile(r"(?P<keep>)gh[pousr]_[A-Za-z0-9]{20,}")),
    ("github_pat_", re.compile(r"(?P<keep>)github_pat_[A-Za-z0-9_]{20,}")),
    ("glpat-", re.compile(r"(?P<keep>)glpat-[A-Za-z0-9_-]{16,}")),
    ("xox", re.compile(r"(?P<keep>)xox[abeprs]-[A-Za-z0-9-]{10,}")),
    ("AIza", re.compile(r"(?P<keep>)AIza[A-Za-z0-9_-]{30,}")),
    ("hvs.", re.compile(r"(?P<keep>)hvs\.[A-Za-z0-9_-]{20,}")),
    ("npm_", re.compile(r"(?P<keep>)npm_[A-Za-z0-9]{30,}")),
    ("sk_live_", re.compile(r"(?P<keep>)sk_live_[A-Za-z0-9]{16,}")),
)
"""Forms by which a secret is known wherever it stands, each with what a text must hold to be searched for it."""

_BEARER = re.compile(r"(?P<keep>(?i:bearer|basic)\s{1,8})(?=\S{0,200}?(?:[0-9=+/_~]|[a-z][A-Z]))[A-Za-z0-9._~+/=-]{8,}")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
MASK = "***"

_SELDOM_EQUAL = 512
"""Characters from which on a text is cleaned anew each time: keeping such would cost more than it saves."""


class Text(str):
    """A string of the cluster that `clean` went over: printable, masked and at most `LIMIT` characters long."""

    __slots__ = ()


def clean(raw: str) -> Text:
    r"""Make a string of the cluster safe to show, log, and put in a label.

    Control characters, bidirectional overrides, invisible characters and lone surrogates become visible escapes such as
    ``\x1b``; user names, passwords and queries of URLs, token-shaped words, PEM blocks and what follows a key such as
    ``password=`` become ``***``; what is beyond `LIMIT` is cut and counted. Masking knows forms, not secrets: one
    without any such form stays.
    Applying it twice changes nothing more.

    Args:
        raw: The string as the API server sent it.

    Returns:
        The text to keep.
    """
    return _cleaned_before(raw) if len(raw) < _SELDOM_EQUAL else _cleaned(raw)


def _cleaned(raw: str) -> Text:
    text = raw[: LIMIT * 2]
    if len(text) < len(raw):
        # A word that is cut may no longer look like the secret that it is.
        text = text[: text.rfind(" ", LIMIT) + 1] or text
    return Text(cut(_without_secrets(_without_tricks(text)), LIMIT, hidden=len(raw) - len(text)))


_cleaned_before = lru_cache(maxsize=8192)(_cleaned)


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


def _without_tricks(text: str) -> str:
    """Make visible what a terminal would act upon, and what nobody would see."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE.search(text)):
        return text
    return "".join(map(_visible, text))


def _without_secrets(text: str) -> str:
    for hint, pattern in _TOKENS:
        if hint in text:
            text = pattern.sub(_masked, text)
    if "://" in text:
        text = _QUERY.sub(_masked_query, _USER.sub(f"://{MASK}@", text))
    lowered = _lower(text)
    if "bearer" in lowered or "basic" in lowered:
        text = _BEARER.sub(_masked, text)
        lowered = _lower(text)
    return _without_values(text, lowered) if any(word in lowered for word in _WORDS) else text


def _visible(character: str) -> str:
    if character in "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}":
        return character
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _lower(text: str) -> str:
    """The text in lower case, each character at its place: `str.lower` makes two of some."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def _without_values(text: str, lowered: str) -> str:
    """Mask what follows the name of a secret."""
    found: list[str] = []
    done = 0
    while key := _KEY.search(lowered, done):
        value = _value(text, lowered, key)
        end = value.end() if value else key.end()
        found += (text[done : key.end()], f"{value['keep']}{MASK}" if value else "")
        done = end
    return "".join((*found, text[done:])) if found else text


def _value(text: str, lowered: str, key: re.Match[str]) -> re.Match[str] | None:
    end = key.end()
    after = (*_AFTER_KEY, _AFTER_PASSWORD if key["password"] else _AFTER_OTHER_KEY)
    for pattern in after:
        if value := pattern.match(text, end):
            return value
    if _FLAG_BEGINS.search(lowered, max(0, key.start() - 43), key.start()):
        return _AFTER_FLAG.match(text, end)
    return None


def _masked(match: re.Match[str]) -> str:
    return f"{match['keep']}{MASK}"


def _masked_query(match: re.Match[str]) -> str:
    return _masked(match) if match["keep"] else match[0]
