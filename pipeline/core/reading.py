"""What a stage that reads the file waits for when it needs bytes that are not there yet.

Guarantee: a reading stage never waits for a client while it holds a worker. It becomes `idle`, and the script that
records what it waits for queues it again: a requested segment (`segments`), the last segment (`received`) or the
manifest (`sealed`, where the bytes are in the store only and the store cannot read segments before that).
"""

from __future__ import annotations

from enum import StrEnum

MAX_REQUESTS = 16
"""How often a reading stage may wait for segments that it requests. After that it waits for every segment: the file has
its metadata in many places, and each wait reads it from the beginning."""


class WaitsFor(StrEnum):
    """What queues an idle reading stage again."""

    SEGMENTS = "segments"
    RECEIVED = "received"
    SEALED = "sealed"
