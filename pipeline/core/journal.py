"""The format of an upload's journal, a file beside its temp file from which Redis can be rebuilt.

A journal is a list of entries, one per line: a CRC-32 and a JSON array. Several processes append to it at once, only
the first two lines are ever overwritten, and a crash may cut it off anywhere. Every entry therefore begins with its
line break, so that a torn entry ends where the next one begins. A line whose CRC does not match is ignored.

The first two lines are slots of `SLOT_BYTES` for the tail: appends use them in turn and overwrite them, so that chunks
of any size take no room. If a crash tears one, the other one has the tail that an earlier append has left.

Guarantee: `read` never raises. It returns what the intact entries say, in order, whatever happened to the other bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.core.journal_entries import (
    Announced,
    Begun,
    Completed,
    Ended,
    Entry,
    Gone,
    Lost,
    Planned,
    Received,
    Released,
    Session,
    Stored,
    TailLeft,
    Traced,
    from_array,
    to_array,
)
from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload
from pipeline.core.segments import SegmentPlan
from pipeline.core.stored_objects import StoredSegment
from pipeline.core.tail import Tail
from pipeline.core.transports import TRANSPORTS

SLOT_BYTES: Final = 64
NO_SLOTS: Final = b"\n".ljust(SLOT_BYTES) * 2
"""The beginning of a journal whose upload has no tail."""


@dataclass(slots=True)
class Journal:
    """The state of an upload according to its journal. `received`: number -> crc32c; `stored`: number -> etag;
    `released`: stored segments whose bytes are in the store only; `expected`: number -> crc32c of released segments
    that the store has lost and that are to be sent again; `planned`: its plan or length was deferred and is known;
    `announced`: number -> crc32c and MD5 of segments whose MD5 is still to be compared."""

    new: NewUpload
    received: dict[int, int] = field(default_factory=dict)
    stored: dict[int, str] = field(default_factory=dict)
    released: set[int] = field(default_factory=set)
    expected: dict[int, int] = field(default_factory=dict)
    session: str | None = None
    completed: bool = False
    ended: Ended | None = None
    tail_left: TailLeft | None = None
    planned: bool = False
    announced: dict[int, tuple[int, str]] = field(default_factory=dict)

    @property
    def plan(self) -> SegmentPlan:
        return self.new.plan

    @property
    def least_bytes(self) -> int:
        """What is known of the size of a file whose length is not known yet."""
        last = max([*self.received, *self.expected, *([self.tail.number] if self.tail else [])], default=0)
        return self.plan.offset(last) + self.plan.length(last) if last else 0

    @property
    def is_begun(self) -> bool:
        """Whether the store may hold anything of the upload."""
        return bool(self.received or self.stored or self.session or self.completed)

    @property
    def tail(self) -> Tail | None:
        """The tail that the last append has left, unless its segment has arrived."""
        tail = self.tail_left.tail if self.tail_left else None
        return None if tail is None or tail.number in self.received else tail

    def stored_segments(self) -> list[StoredSegment]:
        """The stored segments, sorted by number."""
        return [StoredSegment(number, self.plan.length(number), etag) for number, etag in sorted(self.stored.items())]

    def md5_hex(self, number: int) -> str:
        """The MD5 that the store is to compare with segment `number`; "": none."""
        crc32c, md5_hex = self.announced.get(number, (0, ""))
        return md5_hex if self.received.get(number) == crc32c else ""

    def drop(self, number: int) -> None:
        """Forget segment `number`, which must be sent again."""
        self.announced.pop(number, None)
        self.received.pop(number, None)
        self.stored.pop(number, None)
        self.released.discard(number)

    def add(self, entry: Entry) -> None:
        """Apply an entry. Entries about segments that the plan does not have are ignored, and so are entries that Redis
        refused after they were written: bytes other than the expected ones, and a digest of the hole that released
        bytes leave."""
        match entry:
            case Traced(traceparent):
                self.new = replace(self.new, traceparent=traceparent)
            case Announced(number, crc32c, md5_hex):
                self.announced[number] = (crc32c, md5_hex)
            case Received(number, crc32c) if 1 <= number <= self.plan.count:
                if number not in self.released and self.expected.get(number, crc32c) == crc32c:
                    self.received[number] = crc32c
                    self.expected.pop(number, None)
            case Lost(number, crc32c) if self.received.get(number) == crc32c and number not in self.released:
                self.drop(number)
            case Stored(number, etag) if 1 <= number <= self.plan.count:
                self.stored[number] = etag
                self.announced.pop(number, None)
            case Gone(number):
                self.stored.pop(number, None)
                if number in self.released and number in self.received:
                    self.expected[number] = self.received.pop(number)
                self.released.discard(number)
            case Released(numbers):
                self.released.update(number for number in numbers if number in self.stored and number in self.received)
            case Session(session):
                self.session = session
            case Planned(size_bytes) if not TRANSPORTS[self.new.transport].in_store:
                if self.new.deferred is not None:  # the length of a file never changes: the first entry counts
                    self.new = replace(self.new, size_bytes=size_bytes, deferred=None, most_bytes=0)
                    self.planned = True
            case Planned(size_bytes, segment_bytes) if self.new.deferred is not None or self.planned:
                self.new = replace(self.new, size_bytes=size_bytes, segment_bytes=segment_bytes, deferred=None)
                self.stored = {}  # those of a completion that the process did not finish
                self.planned = True
            case Completed():
                self.completed = True
            case Ended(status) if self.ended is None or status is Status.READY:
                self.ended = entry  # an upload ends once, but `ready` overrides: its content exists
            case _:
                pass


def write(entries: Iterable[Entry]) -> bytes:
    """The bytes to append to a journal for `entries`."""
    return b"".join(_line(json.dumps(to_array(entry), separators=(",", ":")).encode()) for entry in entries)


def read(data: bytes) -> Journal | None:
    """Read a journal; None when the entry that names its upload is missing or damaged."""
    journal: Journal | None = None
    tails: list[TailLeft] = []
    for line in data.split(b"\n"):
        entry = _entry(line)
        if isinstance(entry, TailLeft):
            tails.append(entry)
        elif journal is not None and entry is not None:
            journal.add(entry)
        elif isinstance(entry, Begun):
            journal = Journal(entry.new)
    if journal is not None:
        valid = [left for left in tails if 1 <= left.tail.number <= journal.plan.count]
        journal.tail_left = max(valid, key=lambda left: left.run, default=None)
    return journal


def slot(left: TailLeft) -> tuple[int, bytes]:
    """Where to write a tail in its journal, and the bytes to write there."""
    tail = left.tail
    text = json.dumps(["tail", left.run, tail.number, tail.size_bytes, f"{tail.crc32c:08x}"], separators=(",", ":"))
    line = _line(text.encode().ljust(SLOT_BYTES - len(_line(b""))))
    return left.run % 2 * SLOT_BYTES, line


def _line(text: bytes) -> bytes:
    return b"\n%08x %s" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Entry | TailLeft | None:
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        return from_array(json.loads(text))
    except (ValueError, KeyError, TypeError):  # intact, but written by a version unknown to this one
        return None
