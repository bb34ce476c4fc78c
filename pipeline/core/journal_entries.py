"""The entries of an upload's journal, and each as a JSON array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.core.lifecycle import Status
from pipeline.core.model import NewUpload
from pipeline.core.new_upload_data import from_data, to_data
from pipeline.core.segments import to_ranges
from pipeline.core.tail import Tail


@dataclass(frozen=True, slots=True)
class Begun:
    """The first entry: the upload as it was registered."""

    new: NewUpload


@dataclass(frozen=True, slots=True)
class Traced:
    """The upload belongs to the trace of this traceparent. An entry of its own: a release that does not know it skips
    it, and an unknown field of `Begun` would make the journal useless to that release."""

    traceparent: str


@dataclass(frozen=True, slots=True)
class Announced:
    """The client of segment `number` has announced this MD5, in hexadecimal, of the bytes that have this crc32c. Nobody
    has compared it with them yet; the store does. Written before `Received`: otherwise a crash could lose it alone."""

    number: int
    crc32c: int
    md5_hex: str


@dataclass(frozen=True, slots=True)
class Received:
    """Segment `number` is on the temp volume, with this crc32c."""

    number: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The bytes received as segment `number` with this crc32c are no longer valid."""

    number: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The store has acknowledged segment `number` with this etag."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The store no longer has segment `number` as it acknowledged it."""

    number: int


@dataclass(frozen=True, slots=True)
class Released:
    """The bytes of these segments, which are stored, leave the temp volume."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """What the store returned from `begin`."""

    session: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of an upload whose plan, or whose length, was deferred."""

    size_bytes: int
    segment_bytes: int


@dataclass(frozen=True, slots=True)
class Completed:
    """The store has every segment of a direct upload, or of a final one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The upload has ended with this status, and with this error (code, message) if it failed. Cleanup follows."""

    status: Status
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TailLeft:
    """Append `run` has left this tail on the temp volume."""

    run: int
    tail: Tail


Entry = Begun | Traced | Announced | Received | Lost | Stored | Gone | Released | Session | Planned | Completed | Ended


def beginning(new: NewUpload) -> list[Entry]:
    """The entries that a journal begins with."""
    return [Begun(new), *([Traced(new.traceparent)] if new.traceparent else [])]


def to_array(entry: Entry) -> list[Any]:
    """An entry as its line holds it."""
    match entry:
        case Begun(new):
            return ["begun", to_data(new)]
        case Traced(traceparent):
            return ["traced", traceparent]
        case Announced(number, crc32c, md5_hex):
            return ["md5", number, f"{crc32c:08x}", md5_hex]
        case Received(number, crc32c):
            return ["received", number, f"{crc32c:08x}"]
        case Lost(number, crc32c):
            return ["lost", number, f"{crc32c:08x}"]
        case Stored(number, etag):
            return ["stored", number, etag]
        case Gone(number):
            return ["gone", number]
        case Released(numbers):
            return ["released", to_ranges(numbers)]
        case Session(session):
            return ["session", session]
        case Planned(size_bytes, segment_bytes):
            return ["planned", size_bytes, segment_bytes]
        case Completed():
            return ["completed"]
        case Ended(status, error):
            return ["ended", str(status), list(error) if error else None]


def from_array(array: list[Any]) -> Entry | TailLeft | None:
    """The entry that an array says; None: of a version unknown to this one. Raises ValueError, KeyError, TypeError for
    one that is damaged."""
    match array:
        case ["tail", int(run), int(number), int(size_bytes), str(crc32c)]:
            return TailLeft(run, Tail(number, size_bytes, int(crc32c, 16)))
        case ["begun", dict(data)]:
            return Begun(from_data(data))
        case ["traced", str(traceparent)]:
            return Traced(traceparent)
        case ["md5", int(number), str(crc32c), str(md5_hex)]:
            return Announced(number, int(crc32c, 16), md5_hex)
        case ["received", int(number), str(crc32c)]:
            return Received(number, int(crc32c, 16))
        case ["lost", int(number), str(crc32c)]:
            return Lost(number, int(crc32c, 16))
        case ["stored", int(number), str(etag)]:
            return Stored(number, etag)
        case ["gone", int(number)]:
            return Gone(number)
        case ["released", list(ranges)]:
            return Released(tuple(number for first, last in ranges for number in range(int(first), int(last) + 1)))
        case ["session", str(session)]:
            return Session(session)
        case ["planned", int(size_bytes), int(segment_bytes)] if size_bytes > 0 and segment_bytes > 0:
            return Planned(size_bytes, segment_bytes)
        case ["completed"]:
            return Completed()
        case ["ended", str(status), None]:
            return Ended(Status(status))
        case ["ended", str(status), [str(code), str(message)]]:
            return Ended(Status(status), (code, message))
        case _:
            return None
