"""The life of an upload, as a table: (status, event) -> status. Nothing changes a status but this table.

Guarantee: what is not in the table cannot happen. The table is handed to the Redis scripts as data, which apply it by
compare-and-set; `diagram()` draws the picture in ARCHITECTURE.md from the same table, and a test holds the two
together.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Status(StrEnum):
    """Where an upload is. In `granted` its client sends to the store itself and holds nothing of ours; `waiting` has no
    room yet, `admitted` has its bytes reserved, `receiving` has its first segment, `processing` has every byte; the
    other four are ends."""

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
    Status.GRANTED: {Event.COMPLETE: Status.WAITING, Event.EXPIRE: Status.EXPIRED, **_ABORTS},
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
    # No `expire` here: every byte has arrived, so nothing is asked of the client any more.
    Status.PROCESSING: {Event.SEGMENT_LOST: Status.RECEIVING, Event.PERSISTED: Status.READY, **_ABORTS},
    Status.READY: {},
    Status.FAILED: {},
    Status.EXPIRED: {},
    Status.CANCELLED: {},
}


def next_status(status: Status, event: Event) -> Status | None:
    """The status after `event`, or None where the event is not possible."""
    return TRANSITIONS[status].get(event)


def moves(event: Event) -> dict[str, str]:
    """Every status that `event` is possible in, with the status it leads to: what a compare-and-set needs."""
    return {str(status): str(table[event]) for status, table in TRANSITIONS.items() if event in table}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> waiting", "    [*] --> granted"]
    for status, table in TRANSITIONS.items():
        lines += [f"    {status} --> {target}: {event}" for event, target in table.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in ENDED]
    return "\n".join(lines)
