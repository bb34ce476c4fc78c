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
    segment has arrived. `processing`: every byte has arrived, or is in the store. The other four are final."""

    GRANTED = "granted"
    WAITING = "waiting"
    ADMITTED = "admitted"
    RECEIVING = "receiving"
    PROCESSING = "processing"
    READY = "ready"
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


ENDED: frozenset[Status] = frozenset({Status.READY, Status.FAILED, Status.EXPIRED, Status.CANCELLED})

_ABORTS: Mapping[Event, Status] = {Event.FAIL: Status.FAILED, Event.CANCEL: Status.CANCELLED}

TRANSITIONS: Mapping[Status, Mapping[Event, Status]] = {
    Status.GRANTED: {Event.COMPLETE: Status.PROCESSING, Event.EXPIRE: Status.EXPIRED, **_ABORTS},
    Status.WAITING: {Event.ADMIT: Status.ADMITTED, Event.EXPIRE: Status.EXPIRED, **_ABORTS},
    Status.ADMITTED: {
        Event.SEGMENT_RECEIVED: Status.RECEIVING,
        Event.ALL_RECEIVED: Status.PROCESSING,
        Event.EXPIRE: Status.EXPIRED,
        **_ABORTS,
    },
    Status.RECEIVING: {
        Event.SEGMENT_RECEIVED: Status.RECEIVING,
        Event.ALL_RECEIVED: Status.PROCESSING,
        Event.SEGMENT_LOST: Status.RECEIVING,
        Event.EXPIRE: Status.EXPIRED,
        **_ABORTS,
    },
    # No `expire` here: every byte has arrived, so the upload no longer waits for its client.
    Status.PROCESSING: {Event.SEGMENT_LOST: Status.RECEIVING, Event.PERSISTED: Status.READY, **_ABORTS},
    Status.READY: {},
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
