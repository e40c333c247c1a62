"""The log: one record a line, whatever the cluster says, and no credential in it."""

import logging
import traceback
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from kubedx.kube.text import clean

CHATTY = ("aiohttp", "asyncio", "kubernetes", "urllib3")
"""Libraries whose records below a warning tell of requests with their headers, and of nothing that helps."""


class Harmless(logging.Filter):
    """Cleans what a record says, as `clean` does with all text of the cluster.

    What answers, exceptions and libraries say holds such text as well, and reaches no other place where it is cleaned.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record; none is held back."""
        record.msg, record.args = clean(record.getMessage()), ()
        for name in record.__dict__.keys() - _OWN:
            setattr(record, name, clean(str(getattr(record, name))))
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = told(record.exc_info[1])
        return True


def told(error: BaseException) -> str:
    """Write down where an exception comes from.

    Args:
        error: The exception.

    Returns:
        The traceback: each line cleaned, and set in, so that none looks like the beginning of a record.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  {clean(line)}" for line in lines)


def handler(form: str, stream: TextIO | None = None) -> logging.Handler:
    """Make what writes the log.

    Args:
        form: ``json`` or ``text``.
        stream: Where to, None for the standard error.

    Returns:
        A handler for the root logger.
    """
    made = logging.StreamHandler(stream)
    made.addFilter(Harmless())
    if form == "json":
        made.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        made.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return made


def set_up(form: str, level: int) -> None:
    """Begin to log to the standard error.

    Args:
        form: ``json`` or ``text``.
        level: The least level that is logged.
    """
    logging.basicConfig(level=level, handlers=[handler(form)], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


_OWN = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime", "taskName"}
"""The fields that every record has; the others are what a caller added with `extra`."""
