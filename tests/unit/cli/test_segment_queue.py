"""Which segment is sent next: wanted ones first, none into a full window, and each until it is accepted."""

from __future__ import annotations

import random

import pytest

from deploy.cli.segment_queue import SegmentQueue
from schemas.uploads import StageView, UploadView
from tests.unit.cli.upload_views import MIB
from tests.unit.cli.upload_views import upload_view as view

pytestmark = pytest.mark.unit


def stages(probe: str, thumbnail: str = "pending") -> dict[str, StageView]:
    def stage(state: str) -> StageView:
        return StageView(state=state, attempts=1, started_at=None, finished_at=None, error_code=None)

    return {"probe": stage(probe), "thumbnail": stage(thumbnail)}


def claimed(queue: SegmentQueue, now: float = 0.0) -> list[int]:
    """Every segment that is sent now."""
    found = []
    while (number := queue.claim(now)) is not None:
        found.append(number)
    return found


def test_segments_are_sent_in_order_when_nothing_is_wanted() -> None:
    assert claimed(SegmentQueue(view(missing_segments=[(2, 3), (7, 8)]), live=False)) == [2, 3, 7, 8]


@pytest.mark.parametrize("live", [False, True])
def test_wanted_segments_of_the_upload_come_first(live: bool) -> None:
    queue = SegmentQueue(view(wanted_segments=[(8, 8), (5, 6)]), live=live)
    assert claimed(queue) == [5, 6, 8, 1, 2, 3, 4, 7]


def test_wanted_segments_of_a_response_come_next() -> None:
    queue = SegmentQueue(view(), live=False)
    assert queue.claim(0) == 1
    queue.accepted(1, 0, [(8, 8)])
    assert claimed(queue)[:2] == [8, 2]


def test_a_response_that_wants_nothing_keeps_what_an_event_wants() -> None:
    queue = SegmentQueue(view(), live=True)
    assert queue.claim(0) == 1
    queue.update(view(wanted_segments=[(8, 8)]), 0)
    queue.accepted(1, 0)
    assert claimed(queue)[:2] == [8, 2]


def test_wanted_segments_of_an_event_come_next() -> None:
    queue = SegmentQueue(view(), live=True)
    assert queue.claim(0) == 1
    queue.update(view(wanted_segments=[(6, 7)]), 0)
    assert claimed(queue)[:3] == [6, 7, 2]


@pytest.mark.parametrize("ranges", [[(1, 1)], [(0, 0)], [(9, 2**60)], [(-5, 0)], [(5, 3)]])
def test_wanted_segments_that_are_not_missing_change_nothing(ranges: list[tuple[int, int]]) -> None:
    queue = SegmentQueue(view(missing_segments=[(2, 4)]), live=False)
    queue.want(ranges)
    assert claimed(queue) == [2, 3, 4]


def test_a_refused_segment_waits_as_long_as_the_server_says() -> None:
    queue = SegmentQueue(view(), live=False)
    assert [queue.claim(0) for _ in range(3)] == [1, 2, 3]
    queue.refused(3, until=5.0)
    assert queue.peek(4.9) is None
    assert queue.pause_seconds(4.0) == pytest.approx(1.0)
    assert queue.claim(5.0) == 3


def test_a_refusal_stops_other_segments_too_but_not_wanted_ones() -> None:
    queue = SegmentQueue(view(), live=False)
    queue.claim(0)
    queue.refused(1, until=5.0)
    queue.want([(7, 7)])
    assert claimed(queue, now=1.0) == [7]


def test_a_wanted_segment_that_is_refused_waits_too() -> None:
    queue = SegmentQueue(view(wanted_segments=[(7, 7)]), live=False)
    assert queue.claim(0) == 7
    queue.refused(7, until=2.0)
    assert queue.peek(1.9) is None
    assert queue.pause_seconds(1.5) == pytest.approx(0.5)
    assert queue.claim(2.0) == 7


def test_a_segment_that_becomes_wanted_in_flight_comes_first_after_its_refusal() -> None:
    queue = SegmentQueue(view(), live=False)
    assert [queue.claim(0) for _ in range(4)] == [1, 2, 3, 4]
    queue.want([(4, 4)])
    queue.refused(2, until=1.0)
    queue.refused(4, until=1.0)
    assert claimed(queue, now=1.0)[:2] == [4, 2]


@pytest.mark.parametrize("live", [False, True])
def test_the_server_decides_whether_a_window_has_room(live: bool) -> None:
    """What is known of the window here is older than what the server knows."""
    queue = SegmentQueue(view(window_size=2 * MIB, bytes_received=2 * MIB), live=live)
    assert len(claimed(queue)) == 8
    assert not queue.was_refused
    queue.refused(3, until=1.0)
    assert queue.was_refused


def test_the_first_segments_are_sent_one_at_a_time_while_the_metadata_is_read() -> None:
    """So a segment that is wanted next has the whole line to itself."""
    queue = SegmentQueue(view(100, stages=stages("pending")), live=True)
    assert claimed(queue) == [1]
    assert queue.pause_seconds(0) is None
    queue.accepted(1, 0.1, [(100, 100)])
    assert claimed(queue, 0.1) == [100]
    queue.accepted(100, 0.2)
    queue.update(view(100, missing_segments=[(2, 99)], stages=stages("done", "done")), 0.3)
    assert len(claimed(queue, 0.3)) == 98


@pytest.mark.parametrize("count", [3, 8, 100])
def test_the_last_segment_follows_the_first_one_while_the_metadata_is_read(count: int) -> None:
    """Many files have their index there, so it is there when the reader asks for it."""
    queue = SegmentQueue(view(count, stages=stages("pending")), live=True)
    order = []
    while (number := queue.claim(0)) is not None:
        order.append(number)
        queue.accepted(number, 0)
    assert order == [1, count, *range(2, count)]


def test_wanted_segments_come_before_the_last_one() -> None:
    queue = SegmentQueue(view(8, stages=stages("running")), live=True)
    assert queue.claim(0) == 1
    queue.accepted(1, 0, [(3, 3)])
    assert claimed(queue) == [3, 8, 2, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("changes", "live"),
    [
        ({"stages": stages("done", "done")}, True),  # nothing is read any more
        ({"stages": stages("idle")}, True),  # the reader waits for every segment
        ({"stages": {}}, True),  # a server that does not say what its stages do
        ({"stages": stages("pending"), "window_size": 100 * MIB}, True),
        ({"stages": stages("pending")}, False),
    ],
)
def test_segments_are_sent_in_order_where_the_last_one_is_of_no_use(changes: dict[str, object], live: bool) -> None:
    assert claimed(SegmentQueue(view(8, **changes), live=live)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_last_segment_waits_its_turn_after_a_refusal() -> None:
    """There is a window that the description did not name."""
    queue = SegmentQueue(view(8, stages=stages("pending")), live=True)
    assert [queue.claim(0), queue.claim(0)] == [1, 8]
    queue.refused(8, until=1.0)
    assert claimed(queue, now=1.0)[0] == 2


def test_an_upload_that_continues_sends_its_last_segment_first() -> None:
    queue = SegmentQueue(view(8, missing_segments=[(3, 8)], stages=stages("idle"), wanted_segments=[(5, 5)]), live=True)
    assert claimed(queue) == [5, 8, 3, 4, 6, 7]


def test_only_a_few_segments_are_sent_one_at_a_time() -> None:
    queue = SegmentQueue(view(1000, stages=stages("running")), live=True)
    for number in (1, 1000, *range(2, 8)):
        assert claimed(queue, number) == [number]
        queue.accepted(number, number)
    assert len(claimed(queue, 9)) == 992


@pytest.mark.parametrize(("probe", "wanted"), [("idle", []), ("done", []), ("failed", [])])
def test_segments_are_sent_together_when_the_reader_needs_none_of_them(
    probe: str, wanted: list[tuple[int, int]]
) -> None:
    now = stages(probe, "pending" if probe == "idle" else "done")
    assert len(claimed(SegmentQueue(view(100, stages=now, wanted_segments=wanted), live=True))) == 100


@pytest.mark.parametrize(("count", "live"), [(100, False), (12, True)])
def test_small_files_and_files_without_events_are_sent_together(count: int, live: bool) -> None:
    assert len(claimed(SegmentQueue(view(count, stages=stages("pending")), live=live))) == count


def test_a_segment_that_the_server_lost_is_offered_again() -> None:
    queue = SegmentQueue(view(), live=True)
    assert [queue.claim(0) for _ in range(3)] == [1, 2, 3]
    queue.accepted(1, 1.0)
    assert queue.update(view(missing_segments=[(2, 8)]), 1.5) == []
    assert queue.update(view(), 4.0) == [1]
    assert queue.claim(4.0) == 1


def test_a_description_from_before_the_response_loses_nothing() -> None:
    queue = SegmentQueue(view(), live=True)
    queue.claim(0)
    queue.accepted(1, 1.0)
    assert queue.update(view(), 1.1) == []
    assert queue.claim(1.1) == 2


def test_a_server_that_never_keeps_a_segment_gets_it_a_few_times_only() -> None:
    queue = SegmentQueue(view(1), live=True)
    queue.claim(0)
    offered = 0
    for second in range(0, 100, 3):
        for number in list(queue.in_flight):
            queue.accepted(number, second)
        queue.update(view(1), second + 2.5)
        offered += len(claimed(queue, second + 2.5))
    assert offered == 5


@pytest.mark.parametrize("seed", range(50))
def test_every_segment_is_sent_whatever_the_server_refuses_wants_and_loses(seed: int) -> None:
    """The server refuses and loses at random for a while. A pause that the queue asks for is never endless."""
    dice = random.Random(seed)
    count = dice.randint(1, 30)
    window = dice.choice([None, dice.randint(2, 10) * MIB])
    queue = SegmentQueue(view(count, window_size=window), live=dice.random() < 0.5)
    held: set[int] = set()
    now = 0.0

    def described() -> UploadView:
        missing = [(number, number) for number in range(1, count + 1) if number not in held]
        wanted = dice.sample(missing, min(len(missing), dice.randint(0, 3)))
        received = len(held) * MIB
        stored = dice.randint(0, len(held)) * MIB
        return view(
            count,
            missing_segments=missing,
            wanted_segments=wanted,
            window_size=window,
            bytes_received=received,
            bytes_stored=stored,
        )

    for step in range(10_000):
        if len(held) == count and queue.is_done:
            return
        number = queue.claim(now)
        if number is None:
            in_flight = sorted(queue.in_flight)
            if in_flight:
                number = dice.choice(in_flight)
                if step < 200 and dice.random() < 0.4:
                    queue.refused(number, now + dice.choice([0.5, 1, 3]))
                else:
                    held.add(number)
                    queue.accepted(number, now)
            else:
                pause = queue.pause_seconds(now)
                assert queue.is_done or pause is not None
                now += (pause or 0.0) + 1e-6
        if step < 200 and held and dice.random() < 0.05:
            held.discard(dice.choice(sorted(held)))
        if dice.random() < 0.3 or queue.is_done:
            now += 2.5
            queue.update(described(), now)
    pytest.fail(f"{count - len(held)} segments were not sent")
