"""The journal of an upload: what lies beside its temp file, so that Redis can be rebuilt from the temp volume.

A journal is a list of entries, each on a line of its own: a CRC-32 and a JSON array. It is only ever appended to, by
several processes at once, and may be cut off anywhere by a crash. Every entry therefore begins with the line break, so
that a torn one ends where the next begins, and a line whose CRC does not hold counts for nothing.

Guarantee: `read` never fails; whatever happened to the bytes, what it returns is what the whole entries say, in order.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.core.lifecycle import Status
from pipeline.core.model import ClientDigest, NewUpload, ObjectVersion, StoredSegment
from pipeline.core.segments import SegmentPlan
from pipeline.core.transports import Transport


@dataclass(frozen=True, slots=True)
class Begun:
    """The first entry: the upload as it was registered."""

    new: NewUpload


@dataclass(frozen=True, slots=True)
class Received:
    """Segment `number` is on the temp volume, with this crc32c."""

    number: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Lost:
    """What was received as segment `number` with this crc32c no longer counts."""

    number: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The store has acknowledged segment `number` with this etag."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The store does not have segment `number` any more as it had acknowledged it."""

    number: int


@dataclass(frozen=True, slots=True)
class Session:
    """What the store returned when the transfer was opened."""

    session: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The client of a direct upload has sent everything."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The upload has ended so, with this error if it was one; it is being cleaned up."""

    status: Status
    error: tuple[str, str] | None = None


Entry = Begun | Received | Lost | Stored | Gone | Session | Completed | Ended


@dataclass(slots=True)
class Journal:
    """What a journal says of an upload. `received`: segment number -> crc32c; `stored`: segment number -> etag."""

    new: NewUpload
    received: dict[int, int] = field(default_factory=dict)
    stored: dict[int, str] = field(default_factory=dict)
    session: str | None = None
    completed: bool = False
    ended: Ended | None = None

    @property
    def plan(self) -> SegmentPlan:
        return SegmentPlan(self.new.size_bytes, self.new.segment_bytes)

    @property
    def is_begun(self) -> bool:
        """Something of it may have come into the store."""
        return bool(self.received or self.stored or self.session or self.completed)

    def stored_segments(self) -> list[StoredSegment]:
        """In order of number."""
        return [StoredSegment(number, self.plan.length(number), etag) for number, etag in sorted(self.stored.items())]

    def drop(self, number: int) -> None:
        """Segment `number` is needed again."""
        self.received.pop(number, None)
        self.stored.pop(number, None)

    def add(self, entry: Entry) -> None:
        """Take an entry in. What names a segment that there cannot be is ignored."""
        match entry:
            case Received(number, crc32c) if 1 <= number <= self.plan.count:
                self.received[number] = crc32c
            case Lost(number, crc32c) if self.received.get(number) == crc32c:
                self.drop(number)
            case Stored(number, etag) if 1 <= number <= self.plan.count:
                self.stored[number] = etag
            case Gone(number):
                self.stored.pop(number, None)
            case Session(session):
                self.session = session
            case Completed():
                self.completed = True
            case Ended(status) if self.ended is None or status is Status.READY:
                self.ended = entry  # an upload ends once; but what became a content is one, whatever was thought before
            case _:
                pass


def write(entries: Iterable[Entry]) -> bytes:
    """The bytes to append for these entries."""
    return b"".join(_line(json.dumps(_to_array(entry), separators=(",", ":")).encode()) for entry in entries)


def read(data: bytes) -> Journal | None:
    """What a journal says; None when it does not even say which upload it is of."""
    journal: Journal | None = None
    for line in data.split(b"\n"):
        entry = _entry(line)
        if journal is not None and entry is not None:
            journal.add(entry)
        elif isinstance(entry, Begun):
            journal = Journal(entry.new)
    return journal


def _line(text: bytes) -> bytes:
    return b"\n%08x %s" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Entry | None:
    crc, _, text = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(text):
        return None
    try:
        return _from_array(json.loads(text))
    except (ValueError, KeyError, TypeError):  # whole, and of a version that we do not know
        return None


def _to_array(entry: Entry) -> list[Any]:
    match entry:
        case Begun(new):
            return ["begun", _to_data(new)]
        case Received(number, crc32c):
            return ["received", number, f"{crc32c:08x}"]
        case Lost(number, crc32c):
            return ["lost", number, f"{crc32c:08x}"]
        case Stored(number, etag):
            return ["stored", number, etag]
        case Gone(number):
            return ["gone", number]
        case Session(session):
            return ["session", session]
        case Completed():
            return ["completed"]
        case Ended(status, error):
            return ["ended", str(status), list(error) if error else None]


def _from_array(array: list[Any]) -> Entry | None:
    match array:
        case ["begun", dict(data)]:
            return Begun(_from_data(data))
        case ["received", int(number), str(crc32c)]:
            return Received(number, int(crc32c, 16))
        case ["lost", int(number), str(crc32c)]:
            return Lost(number, int(crc32c, 16))
        case ["stored", int(number), str(etag)]:
            return Stored(number, etag)
        case ["gone", int(number)]:
            return Gone(number)
        case ["session", str(session)]:
            return Session(session)
        case ["completed"]:
            return Completed()
        case ["ended", str(status), None]:
            return Ended(Status(status))
        case ["ended", str(status), [str(code), str(message)]]:
            return Ended(Status(status), (code, message))
        case _:
            return None


def _to_data(new: NewUpload) -> dict[str, Any]:
    data = asdict(new)
    if new.digest:
        data["digest"] = [new.digest.algorithm, b64encode(new.digest.value).decode()]
    return data


def _from_data(data: dict[str, Any]) -> NewUpload:
    digest = data["digest"]
    source = data["source"]
    return NewUpload(
        **{
            **data,
            "digest": ClientDigest(digest[0], b64decode(digest[1])) if digest else None,
            "transport": Transport(data["transport"]),
            "source": ObjectVersion(**source) if source else None,
        }
    )
