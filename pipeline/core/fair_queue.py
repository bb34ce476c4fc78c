"""The queue of a temp volume as a pure model: fair between owners, first come first served within one.

Owners take turns by start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", SIGCOMM 1996). Virtual
time counts half blocks of requested bytes; an upload costs an even number of them. The first upload of each owner has a
tag, its start in virtual time; the smallest tag is served first.

Guarantee
1. The first upload of an owner without uploads in the queue gets a tag directly after the upload that is being served:
   at most one upload of each other owner is served before it.
2. While two owners have waiting uploads, the bytes served of each differ by at most one upload of each.
3. A head that does not fit counts as being served: uploads of owners that come later are served after it.
4. Cancelling an upload changes no turn: the tag stays with the owner.
5. An owner that is skipped because it is at its limit does not get earlier turns later.
6. An upload that is requeued returns to its old place, and its bytes count once.

The tags of later uploads are estimates: those behind a cancelled one are too large until its predecessor is served.
Only positions and the order of overtaking depend on them. `adapters/redis/scripts/queue.lua` does the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.core.access import DEFAULT_OWNER
from pipeline.core.windows import BLOCK_BYTES


@dataclass(slots=True)
class Waiting:
    """An upload in the queue. `overtaken`: how often it was overtaken as the head. It requests `size_bytes`, all of its
    file or a window of a file of `file_bytes`, and `journal_bytes`. `offset`: its place among its owner's uploads, in
    virtual time. `start`: its tag when it left the queue."""

    upload_id: str
    size_bytes: int
    ticket: int
    overtaken: int = 0
    file_bytes: int | None = None
    journal_bytes: int = 0
    owner: str = DEFAULT_OWNER
    offset: int = 0
    start: int = 0

    @property
    def requested_bytes(self) -> int:
        return self.size_bytes + self.journal_bytes

    @property
    def cost(self) -> int:
        """In half blocks."""
        return 2 * -(-self.requested_bytes // BLOCK_BYTES)


@dataclass(slots=True)
class Turn:
    """An owner with uploads in the queue, in the order of their offsets. `tag`: of the first one. `debt`: the cost of
    later ones that are served already."""

    entries: list[Waiting]
    tag: int
    debt: int = 0

    def tag_of(self, entry: Waiting) -> int:
        return self.tag + entry.offset - self.entries[0].offset


@dataclass(slots=True)
class FairQueue:
    """`virtual`: the largest tag of what was served as the head, or is being served. `end`: no upload has had a larger
    offset. `finish`: owner without uploads in the queue -> the earliest tag of its next one, if it is not that of a
    new owner."""

    virtual: int = 0
    end: int = 0
    turns: dict[str, Turn] = field(default_factory=dict)
    finish: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Waiting]:
        """In the order in which they would be served if everything fitted. At equal tags by owner."""
        entries = [entry for turn in self.turns.values() for entry in turn.entries]
        return iter(sorted(entries, key=lambda entry: (self.tag_of(entry), entry.owner)))

    def __len__(self) -> int:
        return sum(len(turn.entries) for turn in self.turns.values())

    def owners(self) -> list[str]:
        """Those with uploads in the queue, the one whose turn it is first."""
        return sorted(self.turns, key=lambda owner: (self.turns[owner].tag, owner))

    def first_of(self, owner: str) -> Waiting:
        return self.turns[owner].entries[0]

    def tag_of(self, entry: Waiting) -> int:
        return self.turns[entry.owner].tag_of(entry)

    def add(self, entry: Waiting) -> None:
        turn = self.turns.get(entry.owner)
        if turn is None:
            entry.offset = self.end
            self.turns[entry.owner] = Turn([entry], max(self.virtual + 1, self.finish.pop(entry.owner, 0)))
        else:
            last = turn.entries[-1]
            entry.offset = last.offset + last.cost
            turn.entries.append(entry)
        self.end = max(self.end, entry.offset + entry.cost)

    def serve(self, entry: Waiting) -> None:
        """Take an upload out of the queue because it is admitted."""
        turn = self.turns[entry.owner]
        entry.start = turn.tag_of(entry)
        if entry is not turn.entries[0]:
            turn.entries.remove(entry)
            turn.debt += entry.cost
            return
        following = turn.tag + entry.cost + turn.debt
        turn.entries.pop(0)
        if turn.entries:
            turn.tag, turn.debt = following, 0
        else:
            self._leave(entry.owner, following)

    def being_served(self, entry: Waiting) -> None:
        """`entry` is the head, and is admitted or waits for room."""
        self.virtual = max(self.virtual, self.tag_of(entry))

    def pass_over(self, owner: str) -> None:
        """The owner is at its limit."""
        turn = self.turns[owner]
        turn.tag = max(turn.tag, self.virtual + 1)

    def cancel(self, entry: Waiting) -> None:
        """Take an upload out of the queue that will not be admitted."""
        turn = self.turns[entry.owner]
        turn.entries.remove(entry)
        if not turn.entries:
            self._leave(entry.owner, turn.tag + turn.debt)

    def put_back(self, entry: Waiting) -> None:
        """Return an upload that was served to its old place."""
        turn = self.turns.get(entry.owner)
        if turn is not None and entry.offset > turn.entries[0].offset:
            turn.debt = max(0, turn.debt - entry.cost)
            insort(turn.entries, entry, key=lambda item: item.offset)
            return
        following = turn.tag + turn.debt if turn else self.finish.pop(entry.owner, self.virtual + 1)
        debt = max(0, following - entry.cost - entry.start)
        self.turns[entry.owner] = Turn([entry, *(turn.entries if turn else ())], entry.start, debt)

    def forget(self) -> None:
        """Forget owners that would be treated as new ones."""
        self.finish = {owner: tag for owner, tag in self.finish.items() if tag > self.virtual + 1}

    def _leave(self, owner: str, following: int) -> None:
        """The owner has no upload in the queue any more. When the queue is empty, all owners are new again."""
        del self.turns[owner]
        self.finish[owner] = following
        if not self.turns:
            self.virtual = max(self.virtual, *self.finish.values())
            self.finish.clear()
