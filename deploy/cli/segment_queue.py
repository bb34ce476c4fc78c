"""Which segment of an upload is sent next. A pure data structure; times are seconds of any clock.

Guarantee: segments that the server wants come first, then the lowest number; while the metadata is read, the last
segment follows the first one, since many files have their index there. After SEGMENT_WINDOW_FULL no segment is offered
before the time that the server asked for, except wanted ones, which have room of their own in a window. A segment that
the server had accepted and lists as missing again is offered again. As long as one is missing, the next one is offered
at some time, whatever the server refuses.

Nothing here calculates whether a window has room: a server lets a segment wait for it, and knows sooner than any client
when there is some. So it refuses one only when the window does not empty (`was_refused`), and only then is it worth a
round trip to ask for permission to send a body.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Final

from pipeline.core.segments import SegmentPlan
from schemas.uploads import UploadView

Ranges = Iterable[Sequence[int]]

# A description that the server wrote before it accepted a segment arrives at most this much later.
_STALE_SECONDS: Final = 2.0
_MOST_REPEATS: Final = 5
# While the server reads the metadata, the first segments are sent one at a time: then the segment that it wants next
# does not share the line with others that may wait. At most so many, and this part of the file.
_MOST_ONE_AT_A_TIME: Final = 8
_PART_ONE_AT_A_TIME: Final = 0.08
_READING_STAGES: Final = ("probe", "thumbnail")


class SegmentQueue:
    """The missing segments of one upload. `live`: `update` is called whenever the upload changes."""

    def __init__(self, view: UploadView, *, live: bool) -> None:
        self.plan = SegmentPlan(view.size, view.segment_size)
        self.live = live
        self.in_flight: set[int] = set()
        self._pending = self._numbers(view.missing_segments)
        self._order = sorted(self._pending)
        self._wanted: list[int] = []
        self._not_before: dict[int, float] = {}
        self._closed_until = -math.inf
        self._accepted: dict[int, float] = {}
        self._repeats: dict[int, int] = {}
        self.was_refused = False
        self._last_follows_first = live and view.window_size is None
        self._one_at_a_time = min(_MOST_ONE_AT_A_TIME, int(self.plan.count * _PART_ONE_AT_A_TIME)) if live else 0
        self._observe_reading(view)
        self.want(view.wanted_segments)

    @property
    def is_done(self) -> bool:
        """Whether every segment was accepted."""
        return not self._pending and not self.in_flight

    def want(self, ranges: Ranges) -> None:
        """The server wants these segments next."""
        self._wanted = sorted(self._numbers(ranges))

    def peek(self, now: float) -> int | None:
        """The segment to send now; None: nothing should be sent now."""
        if self.live and self.in_flight and len(self._accepted) < self._one_at_a_time:
            return None
        for number in self._wanted:
            if number in self._pending and self._not_before.get(number, -math.inf) <= now:
                return number
        if self._last_is_next():
            return self.plan.count
        while self._order and self._order[0] not in self._pending:
            heapq.heappop(self._order)
        if not self._order or now < self._closed_until:
            return None
        return self._order[0]

    def claim(self, now: float) -> int | None:
        """`peek`, and the segment is in flight from now on."""
        number = self.peek(now)
        if number is not None:
            self._pending.discard(number)
            self.in_flight.add(number)
        return number

    def pause_seconds(self, now: float) -> float | None:
        """How long `peek` stays None if nothing changes; None: until something changes."""
        if not self._pending or (self.live and self.in_flight and len(self._accepted) < self._one_at_a_time):
            return None
        refused = self._pending.intersection(self._wanted, self._not_before)
        times = [self._not_before[number] for number in refused]
        return max(0.0, min([self._closed_until, *times]) - now)

    def accepted(self, number: int, now: float, wanted: Sequence[Sequence[int]] = ()) -> None:
        """The server has the segment. `wanted`: what the response wants next; if it names nothing, what was wanted
        before stays, since an older server's responses say nothing."""
        self.in_flight.discard(number)
        self._not_before.pop(number, None)
        self._accepted[number] = now
        if wanted:
            self.want(wanted)

    def refused(self, number: int, until: float) -> None:
        """SEGMENT_WINDOW_FULL, with the time from which on it may be sent again."""
        self.was_refused = True
        self._not_before[number] = until
        self._closed_until = max(self._closed_until, until)
        self._put_back(number)

    def update(self, view: UploadView, now: float) -> list[int]:
        """Take over a description of the upload. Returns the segments that the server had accepted and has lost."""
        missing = self._numbers(view.missing_segments)
        lost = [
            number
            for number in sorted(missing - self._pending - self.in_flight)
            if now - self._accepted.get(number, -math.inf) >= _STALE_SECONDS
            and self._repeats.get(number, 0) < _MOST_REPEATS
        ]
        for number in lost:
            self._repeats[number] = self._repeats.get(number, 0) + 1
            self._put_back(number)
        self.want(view.wanted_segments)
        self._observe_reading(view)
        return lost

    def _observe_reading(self, view: UploadView) -> None:
        stages = [view.stages[name].state for name in _READING_STAGES if name in view.stages]
        waits_for_all = "idle" in stages and not view.wanted_segments
        if waits_for_all or not any(state in ("pending", "queued", "running", "idle") for state in stages):
            self._one_at_a_time = 0
            self._last_follows_first = False

    def _last_is_next(self) -> bool:
        """Whether the last segment is sent before those in between. Not into a window: if the reader does not want it,
        it is released there, and some stores cannot read a segment before the manifest."""
        first_is_sent = 1 not in self._pending
        return self._last_follows_first and first_is_sent and not self.was_refused and self.plan.count in self._pending

    def _put_back(self, number: int) -> None:
        self.in_flight.discard(number)
        self._pending.add(number)
        heapq.heappush(self._order, number)

    def _numbers(self, ranges: Ranges) -> set[int]:
        most = self.plan.count
        return {number for first, last in ranges for number in range(max(1, first), min(last, most) + 1)}
