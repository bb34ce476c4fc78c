"""One reservation of a temp volume as a pure model: what it holds of its file, and by how much it may grow or shrink.

Guarantee: every upload finishes within its reservation, whatever others do.
1. A whole reservation has room for every segment from the start. A segment whose room is given back (`given`) leaves it
   smaller.
2. A window has room for some segments at a time (`taken`). While the reader may request segments, the window keeps its
   size and a part of it is for them. Other segments leave the window as the store acknowledges them.
   Afterwards a window is never larger than what remains of the file.
3. A segment that the store has lost is taken again. If the reservation has become too small for it, it grows by what
   the volume has room for. Otherwise the upload wishes for that room. Meanwhile it holds no more than its other
   segments need, so two uploads with wishes never wait for each other. Wishes come true before the queue is served, in
   the order of the uploads' tickets.

Sizes are bytes, times milliseconds. `adapters/redis/scripts/room.lua` does the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pipeline.core.access import DEFAULT_OWNER


@dataclass(frozen=True, slots=True)
class Reader:
    """What the reader of an upload needs: the segments that it has requested or read, and whether it may request
    more. A reader that waits for the manifest is not active."""

    segments: Collection[int] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class WindowShares:
    """The length of a segment, and how many segments of a window belong to the reader (`windows.reader_segments`)."""

    segment_bytes: int
    reader_segments: int


@dataclass(slots=True)
class TakenSegment:
    """A segment that holds room. `backed`: its bytes are allocated on the disk."""

    size_bytes: int
    since_ms: int
    backed: bool = False


@dataclass(slots=True)
class Reservation:
    """Bytes held by one upload. `backed_bytes` of them are allocated, so the disk no longer reports them as free.

    `ticket` and `overtaken` are the upload's old place in the queue and how often it was overtaken there. Of a window:
    `window_bytes`, `file_bytes`, and `rest_bytes`, what of the file was not given back. `wish_bytes`: the segment that
    found no room; `granted_bytes`: what a whole reservation has got for it already. `journal_bytes` are held beside
    `size_bytes`. `place`: its offset and its tag in the queue (`core.fair_queue`)."""

    size_bytes: int
    lease_until_ms: int
    ticket: int
    overtaken: int
    window_bytes: int | None = None
    file_bytes: int = 0
    rest_bytes: int = 0
    backed_bytes: int = 0
    confirmed: bool = False
    lapsed: bool = False
    taken: dict[int, TakenSegment] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    wish_bytes: int = 0
    granted_bytes: int = 0
    owner: str = DEFAULT_OWNER
    journal_bytes: int = 0
    place: tuple[int, int] = (0, 0)

    @property
    def held_bytes(self) -> int:
        """What it takes of the budget."""
        return self.size_bytes + self.journal_bytes

    @property
    def on_disk_bytes(self) -> int:
        return self.backed_bytes + (self.journal_bytes if self.confirmed else 0)

    @property
    def taken_bytes(self) -> int:
        return sum(item.size_bytes for item in self.taken.values())

    @property
    def needed_bytes(self) -> int:
        """By how much it must grow so that its wish comes true. A lapsed reservation wishes for nothing: its client has
        gone."""
        if self.lapsed:
            return 0
        if self.window_bytes is None:
            return self.wish_bytes - self.granted_bytes
        return max(0, self.wish_bytes - self.size_bytes)

    def grant_wish(self) -> None:
        self.size_bytes += self.needed_bytes
        if self.window_bytes is None:
            self.granted_bytes = self.wish_bytes

    def take(self, number: int, size_bytes: int, shares: WindowShares, reader: Reader, room: int, now_ms: int) -> bool:
        """Take room for a segment. `room`: the bytes by which the reservation may grow now. False: there is none, and
        the wish is kept if the reservation has to grow. Idempotent."""
        if number in self.taken:
            self.taken[number].since_ms = now_ms
            return True
        if self.window_bytes is None:
            if number not in self.given:
                return True
            took = self._take_again(number, room)
        else:
            took = self._take_in_window(self.window_bytes, number, size_bytes, shares, reader, room)
        if took:
            self.taken[number] = TakenSegment(self.given.pop(number, size_bytes), now_ms)
        return took

    def _take_again(self, number: int, room: int) -> bool:
        """The segment has left a whole reservation, which grows by it, less what a wish has brought already."""
        size_bytes = self.given[number]
        growth = size_bytes - self.granted_bytes
        if growth > room:
            self.wish_bytes = max(self.wish_bytes, size_bytes)
            return False
        self.size_bytes += growth
        self.wish_bytes = self.granted_bytes = 0
        return True

    def _take_in_window(
        self, window: int, number: int, size_bytes: int, shares: WindowShares, reader: Reader, room: int
    ) -> bool:
        size, rest = self.size_bytes, self.rest_bytes
        again = number in self.given
        if again:
            size_bytes = self.given[number]
            rest += size_bytes
            size += min(room, max(0, min(window, rest) - size))
            if size_bytes > size:
                self.wish_bytes = max(self.wish_bytes, size_bytes)
                return False
        if not self._fits(size, rest, number, size_bytes, shares, reader):
            return False  # the window is full; the segments in it leave it
        if again:
            self.size_bytes, self.rest_bytes, self.wish_bytes = size, rest, 0
        return True

    def _fits(self, size: int, rest: int, number: int, size_bytes: int, shares: WindowShares, reader: Reader) -> bool:
        if size >= rest:  # it covers what remains, also where an older release has counted bytes instead of blocks
            return True
        if self.taken_bytes + size_bytes > size:
            return False
        if number in reader.segments or not reader.active:
            return True
        others = sum(item.size_bytes for key, item in self.taken.items() if key not in reader.segments)
        readers = max(0, min(shares.reader_segments, size // shares.segment_bytes - 1))
        return others + size_bytes <= size - readers * shares.segment_bytes

    def back(self, number: int) -> bool:
        """Record that a taken segment is allocated on the disk. Returns whether that changes anything."""
        item = self.taken.get(number)
        if item is None or item.backed:
            return False
        item.backed = True
        self.backed_bytes += item.size_bytes
        return True

    def give(self, segments: Mapping[int, int], *, stored: bool, reader: Reader) -> None:
        """Give back the room of segments whose bytes have left the disk. Idempotent."""
        unbacked = sum(self._give_one(number, size_bytes, stored=stored) for number, size_bytes in segments.items())
        self.backed_bytes = max(0, self.backed_bytes - unbacked)
        self.size_bytes = max(0, self.size_bytes)
        if self.window_bytes is not None and not reader.active:
            wished = self.wish_bytes if self.wish_bytes <= self.size_bytes else 0
            self.size_bytes = min(self.size_bytes, self.rest_bytes + wished)

    def _give_one(self, number: int, size_bytes: int, *, stored: bool) -> int:
        """Returns how many of its bytes were backed."""
        item = self.taken.pop(number, None)
        if item is None and (number in self.given or not stored):
            return 0
        size_bytes = item.size_bytes if item else size_bytes
        whole = self.window_bytes is None
        if stored or whole:
            self.given[number] = size_bytes
        if whole:
            self.size_bytes -= size_bytes
        elif stored:
            self.rest_bytes = max(0, self.rest_bytes - size_bytes)
        if item is None:
            return size_bytes if whole else 0
        return size_bytes if item.backed else 0
