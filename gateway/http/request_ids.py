"""X-Request-Id: what ties an answer to the lines of the log.

Guarantee: an id that goes into the log and back to the client is short and plain text; anything else that comes is
replaced.
"""

from __future__ import annotations

import re

from uuid6 import uuid7

HEADER = "X-Request-Id"
PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
_ACCEPTED = re.compile(PATTERN)


def request_id(sent: str | None) -> str:
    """The client's own id when it can be used, else a new one."""
    if sent is not None and _ACCEPTED.fullmatch(sent):
        return sent
    return uuid7().hex
