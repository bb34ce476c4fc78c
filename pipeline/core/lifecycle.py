"""The life of an upload as a table: (status, event) -> status. Only this table changes a status.

Guarantee: a transition that is not in the table cannot happen. The Redis scripts receive the table as data and apply
it by compare-and-set. `diagram()` draws the diagram in ARCHITECTURE.md from the same table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """Where an upload is. `granted`: its client sends the bytes directly to the store and nothing is reserved here.
    `waiting`: the temp volume has no room for it yet. `admitted`: its bytes are reserved. `receiving`: the first
    segment has arrived. `processing`: every byte has arrived, or is in the store. `held`: the store has every byte of
    a partial upload, which waits for its final upload. The other five are final; `joined`: what the store has of a
    partial upload belongs to its final upload."""

    GRANTED = "granted"
    WAITING = "waiting"
    ADMITTED = "admitted"
    RECEIVING = "receiving"
    PROCESSING = "processing"
    HELD = "held"
    READY = "ready"
    JOINED = "joined"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What happens to an upload."""

    ADMIT = "admit"
    SEGMENT_RECEIVED = "segment_received"
    ALL_RECEIVED = "all_received"
    SEGMENT_LOST = "segment_lost"
    PERSISTED = "persisted"
    FAIL = "fail"
    EXPIRE = "expire"
    CANCEL = "cancel"
    COMPLETE = "complete"
    STORED = "stored"
    JOIN = "join"


ENDED: frozenset[Status] = frozenset({Status.READY, Status.JOINED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})

_ABORTS: Mapping[Event, Status] = {Event.FAIL: Status.FAILED, Event.CANCEL: Status.CANCELLED}

# A final upload joins partial uploads that are `held`. Only recovery applies the event in another status: Redis has
# lost how far the partial upload had come, and the journal of the final upload says that it was joined.
_JOINS: Mapping[Event, Status] = {Event.JOIN: Status.JOINED}

TRANSITIONS: Mapping[Status, Mapping[Event, Status]] = {
    Status.GRANTED: {Event.COMPLETE: Status.PROCESSING, Event.EXPIRE: Status.EXPIRED, **_ABORTS},
    Status.WAITING: {Event.ADMIT: Status.ADMITTED, Event.EXPIRE: Status.EXPIRED, **_ABORTS, **_JOINS},
    Status.ADMITTED: {
        Event.SEGMENT_RECEIVED: Status.RECEIVING,
        Event.ALL_RECEIVED: Status.PROCESSING,
        Event.EXPIRE: Status.EXPIRED,
        **_ABORTS,
        **_JOINS,
    },
    Status.RECEIVING: {
        Event.SEGMENT_RECEIVED: Status.RECEIVING,
        Event.ALL_RECEIVED: Status.PROCESSING,
        Event.SEGMENT_LOST: Status.RECEIVING,
        Event.EXPIRE: Status.EXPIRED,
        **_ABORTS,
        **_JOINS,
    },
    # No `expire` here: every byte has arrived, so the upload no longer waits for its client.
    Status.PROCESSING: {
        Event.SEGMENT_LOST: Status.RECEIVING,
        Event.PERSISTED: Status.READY,
        Event.STORED: Status.HELD,
        **_ABORTS,
        **_JOINS,
    },
    Status.HELD: {Event.EXPIRE: Status.EXPIRED, **_ABORTS, **_JOINS},
    Status.READY: {},
    Status.JOINED: {},
    Status.FAILED: {},
    Status.EXPIRED: {},
    Status.CANCELLED: {},
}


def moves(event: Event) -> dict[str, str]:
    """Each status in which `event` is possible -> the status it leads to, for a compare-and-set."""
    return {str(status): str(table[event]) for status, table in TRANSITIONS.items() if event in table}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> waiting", "    [*] --> granted", "    [*] --> processing"]
    for status, table in TRANSITIONS.items():
        lines += [f"    {status} --> {target}: {event}" for event, target in table.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in ENDED]
    return "\n".join(lines)
