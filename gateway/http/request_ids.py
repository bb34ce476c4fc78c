"""X-Request-Id: connects a response with its lines in the log.

Guarantee: an id in the log and in a response is short plain text. Any other id from a client is replaced.
"""

from __future__ import annotations

import re

from uuid6 import uuid7

HEADER = "X-Request-Id"
PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
_ACCEPTED = re.compile(PATTERN)


def request_id(sent: str | None) -> str:
    """The client's id if it is valid, else a new one."""
    if sent is not None and _ACCEPTED.fullmatch(sent):
        return sent
    return uuid7().hex
