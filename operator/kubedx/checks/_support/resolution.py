"""What programs say when the DNS does not answer them."""

import re
from functools import lru_cache

_SILENT = re.compile(
    r"Temporary failure in name resolution"  # glibc: EAI_AGAIN
    r"|\bEAI_AGAIN\b"  # Node.js
    r"|\blookup \S+( on \S+)?: (\S+ udp \S+: )?(i/o timeout|.*connection refused|server misbehaving)"  # Go
    r"|java\.net\.UnknownHostException: \S+: Temporary failure"
    r"|Name does not resolve \(try again\)",
    re.IGNORECASE,
)

_UNKNOWN = re.compile(
    r"\blookup (?P<go>[\w.-]+)(?: on \S+)?: no such host"
    r"|(?:ENOTFOUND|UnknownHostException:|could not resolve host:?) (?P<plain>[\w.-]+)"
    r"|host name \"(?P<libpq>[\w.-]+)\" to address: (?:Name or service not known|Name does not resolve)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def cannot_resolve(message: str) -> bool:
    """Tell whether a program ended because no name server answered.

    That a name does not exist (`no such host`, `Name or service not known`) is an answer, and does not count.

    Args:
        message: What a container left as its last words, or what an Event quotes of it.

    Returns:
        Whether it says so.
    """
    return _SILENT.search(message) is not None


def cannot_find(message: str, name: str) -> bool:
    """Tell whether a program ended because a name does not exist.

    Args:
        message: What a container left as its last words.
        name: The first part of the name.

    Returns:
        Whether it says of this name that nobody has it.
    """
    told = (match["go"] or match["plain"] or match["libpq"] for match in _UNKNOWN.finditer(message))
    return any(found.partition(".")[0] == name for found in told)
