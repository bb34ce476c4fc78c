"""Owners take turns: each guarantee of the fair queue, in examples and in random schedules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.admission import AdmissionModel, DiskReading, OwnerShare
from pipeline.core.windows import BLOCK_BYTES

pytestmark = pytest.mark.unit

LEASE_MS = 1_000
BIG = 10**9


def model(
    budget: int, *, share: OwnerShare | None = None, max_overtakes: int = 2, lookahead: int = 10
) -> AdmissionModel:
    rules = share or OwnerShare()
    return AdmissionModel(budget, max_overtakes=max_overtakes, lookahead=lookahead, pause_ms=10**9, share=rules)


def admit(one: AdmissionModel) -> list[str]:
    found = one.admit(DiskReading(BIG, 0, one.epoch), 0, LEASE_MS)
    assert found is not None
    return found


def request(one: AdmissionModel, owner: str, size: int, *names: str) -> None:
    for name in names:
        one.request(name, size, owner=owner)


def one_after_another(one: AdmissionModel) -> list[str]:
    """The order of admissions when each ends before the next one begins."""
    order: list[str] = []
    while len(one.queue.turns):
        admitted = admit(one)
        assert admitted, "somebody waits, nobody is served"
        order += admitted
        for name in admitted:
            one.release(name)
    return order


def test_owners_take_turns() -> None:
    one = model(budget=BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, "a1", "a2", "a3")
    request(one, "bob", BLOCK_BYTES, "b1", "b2", "b3")
    assert one_after_another(one) == ["a1", "b1", "a2", "b2", "a3", "b3"]


def test_turns_count_bytes() -> None:
    one = model(budget=4 * BLOCK_BYTES)
    request(one, "alice", 4 * BLOCK_BYTES, "a1", "a2")
    request(one, "bob", 3 * BLOCK_BYTES, "b1", "b2", "b3")
    assert one_after_another(one) == ["a1", "b1", "b2", "a2", "b3"]


def test_a_thousand_waiting_uploads_delay_another_owner_by_one() -> None:
    one = model(budget=BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, *(f"a{number:04}" for number in range(1000)))
    assert admit(one) == ["a0000"]
    for number in range(500):
        one.release(f"a{number:04}")
        admit(one)
    request(one, "bob", BLOCK_BYTES, "b")
    one.release("a0500")
    assert one_after_another(one).index("b") <= 1


def test_a_head_that_does_not_fit_is_not_starved_by_new_owners() -> None:
    one = model(budget=4 * BLOCK_BYTES, max_overtakes=2)
    request(one, "alice", BLOCK_BYTES, "small")
    assert admit(one) == ["small"]
    request(one, "alice", 4 * BLOCK_BYTES, "giant")
    admit(one)
    admitted: list[str] = []
    for number in range(20):
        request(one, f"owner{number:02}", BLOCK_BYTES, f"n{number:02}")
        admitted += admit(one)
    assert admitted == ["n00", "n01"], "only those that may overtake"
    for name in ("small", *admitted):
        one.release(name)
    assert admit(one)[0] == "giant"


def test_cancelling_gains_nothing_and_costs_nothing() -> None:
    one = model(budget=BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, "a1", "a2", "a3", "a4")
    request(one, "bob", BLOCK_BYTES, "b1", "b2", "b3", "b4")
    for name in ("a1", "a2", "a3"):
        one.release(name)
    assert one_after_another(one) == ["a4", "b1", "b2", "b3", "b4"]
    request(one, "alice", BLOCK_BYTES, *(f"c{number}" for number in range(9)))
    for number in range(9):
        one.release(f"c{number}")
    request(one, "bob", BLOCK_BYTES, "b5", "b6")
    request(one, "alice", BLOCK_BYTES, "a5")
    assert one_after_another(one).index("a5") <= 1


def test_one_at_a_time_is_no_advantage() -> None:
    """An owner whose queue is empty after each admission is served no more bytes than one with a long queue."""
    one = model(budget=BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, *(f"a{number:02}" for number in range(20)))
    served = {"alice": 0, "bob": 0}
    request(one, "bob", BLOCK_BYTES, "b")
    for number in range(20):
        (name,) = admit(one)
        served["bob" if name.startswith("b") else "alice"] += 1
        one.release(name)
        if name.startswith("b"):
            request(one, "bob", BLOCK_BYTES, f"b{number}")
    assert abs(served["alice"] - served["bob"]) <= 1


def test_an_owner_at_its_share_holds_up_nobody_and_saves_nothing() -> None:
    share = OwnerShare(reserved_bytes=3 * BLOCK_BYTES)
    one = model(budget=4 * BLOCK_BYTES, share=share)
    request(one, "alice", BLOCK_BYTES, *(f"a{number:02}" for number in range(40)))
    assert admit(one) == ["a00", "a01", "a02"]
    request(one, "bob", BLOCK_BYTES, *(f"b{number:02}" for number in range(40)))
    for number in range(20):  # alice is at her share; bob is served
        assert admit(one) == [f"b{number:02}"]
        one.release(f"b{number:02}")
    one.release("a00")
    one.release("a01")
    one.release("a02")
    owners = [name[0] for name in admit(one)]
    assert sorted(owners) == ["a", "a", "b", "b"], "no credit for the time at the share"


def test_one_upload_of_an_owner_is_always_admitted() -> None:
    share = OwnerShare(reserved_bytes=BLOCK_BYTES, uploads=0)
    one = model(budget=4 * BLOCK_BYTES, share=share)
    request(one, "alice", 2 * BLOCK_BYTES, "a1", "a2")
    assert admit(one) == ["a1"]
    one.release("a1")
    assert admit(one) == ["a2"]


def test_the_number_of_uploads_of_an_owner_is_limited() -> None:
    one = model(budget=100 * BLOCK_BYTES, share=OwnerShare(uploads=2))
    request(one, "alice", BLOCK_BYTES, "a1", "a2", "a3")
    request(one, "bob", BLOCK_BYTES, "b1")
    assert admit(one) == ["a1", "b1", "a2"]


def test_the_journal_takes_room_too() -> None:
    one = model(budget=2 * BLOCK_BYTES)
    one.request("a", BLOCK_BYTES, journal_bytes=BLOCK_BYTES)
    one.request("b", BLOCK_BYTES)
    assert admit(one) == ["a"]
    assert (one.reserved_bytes, one.unbacked_bytes) == (2 * BLOCK_BYTES, 2 * BLOCK_BYTES)
    one.confirm("a", BLOCK_BYTES, 0, LEASE_MS)
    assert (one.reserved_bytes, one.unbacked_bytes) == (2 * BLOCK_BYTES, 0)
    assert one.release("a") == 2 * BLOCK_BYTES
    assert admit(one) == ["b"]


def test_a_reservation_that_the_disk_cannot_allocate_keeps_its_place() -> None:
    one = model(budget=BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, "a1", "a2")
    request(one, "bob", BLOCK_BYTES, "b1")
    for _ in range(5):
        assert admit(one) == ["a1"]
        assert one.postpone("a1")
    assert one_after_another(one) == ["a1", "b1", "a2"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 6)), min_size=1, max_size=40))
def test_every_upload_is_served_and_owners_in_their_own_order(uploads: list[tuple[str, int]]) -> None:
    one = model(budget=6 * BLOCK_BYTES, max_overtakes=0)
    for number, (owner, blocks) in enumerate(uploads):
        request(one, owner, blocks * BLOCK_BYTES, f"{owner}{number:03}")
    order = one_after_another(one)
    assert sorted(order) == sorted(f"{owner}{number:03}" for number, (owner, _) in enumerate(uploads))
    for owner in "abcd":
        own = [name for name in order if name.startswith(owner)]
        assert own == sorted(own)


_steps = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(("request", "request", "request", "end", "cancel", "postpone"))),
    min_size=10,
    max_size=80,
)


@given(_steps, st.integers(1, 4), st.integers(0, 3))
def test_an_owner_that_comes_is_delayed_by_one_upload_of_each_other_owner(
    steps: list[tuple[str, str]], budget_blocks: int, max_overtakes: int
) -> None:
    """Of equal sizes. Nothing that the others do before or meanwhile changes that: end, cancel or overtake."""
    one = model(budget=budget_blocks * BLOCK_BYTES, max_overtakes=max_overtakes)
    before: dict[str, list[str]] = {}  # the first upload of an owner that had none in the queue -> who was served since
    for number, (owner, step) in enumerate(steps):
        if step == "request":
            name = f"{owner}{number:02}"
            if owner not in one.queue.turns:
                before[name] = []
            request(one, owner, BLOCK_BYTES, name)
        elif step == "end":
            for name in list(one.reservations)[:1]:
                one.release(name)
        elif step == "cancel" and owner in one.queue.turns:
            entry = one.queue.first_of(owner)
            before.pop(entry.upload_id, None)
            one.release(entry.upload_id)
        for served in admit(one):
            one.confirm(served, BLOCK_BYTES, 0, LEASE_MS)
            before.pop(served, None)
            for waiting, since in before.items():
                since.append(served[0])
                others = [name for name in since if name != waiting[0]]
                assert all(others.count(other) <= 1 for other in others), (waiting, since)


def test_undone_service_is_paid_for_once() -> None:
    """Of four uploads of alice, the disk could not allocate the first one, and has allocated the others."""
    one = model(budget=4 * BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, *(f"a{number}" for number in range(8)))
    request(one, "bob", BLOCK_BYTES, *(f"b{number}" for number in range(8)))
    assert admit(one) == ["a0", "b0", "a1", "b1"]
    tags = {owner: turn.tag for owner, turn in one.queue.turns.items()}
    for _ in range(5):
        assert one.postpone("a0")
        assert admit(one) == ["a0"]
    assert {owner: turn.tag for owner, turn in one.queue.turns.items()} == tags


def test_an_upload_goes_back_before_those_that_came_later() -> None:
    """Also when its owner's queue was empty meanwhile."""
    one = model(budget=2 * BLOCK_BYTES)
    request(one, "alice", BLOCK_BYTES, "a1", "a2")
    assert admit(one) == ["a1", "a2"]
    request(one, "alice", BLOCK_BYTES, "a3", "a4")
    for name in ("a2", "a1"):
        assert one.postpone(name)
    assert [entry.upload_id for entry in one.queue] == ["a1", "a2", "a3", "a4"]


def test_owners_at_their_share_do_not_use_up_the_lookahead_of_others() -> None:
    """Each counts once, however many of its uploads wait."""
    one = model(budget=10 * BLOCK_BYTES, share=OwnerShare(uploads=1), lookahead=4)
    request(one, "alice", BLOCK_BYTES, *(f"a{number:02}" for number in range(30)))
    request(one, "bob", BLOCK_BYTES, *(f"b{number:02}" for number in range(30)))
    assert admit(one) == ["a00", "b00"]
    request(one, "giant", 10 * BLOCK_BYTES, "g")
    request(one, "carol", BLOCK_BYTES, "c")
    assert admit(one) == ["c"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6)), min_size=2, max_size=40))
def test_bytes_of_two_backlogged_owners_differ_by_one_upload_of_each(uploads: list[tuple[str, int]]) -> None:
    """The bound of start-time fair queueing."""
    one = model(budget=6 * BLOCK_BYTES, max_overtakes=0)
    blocks: dict[str, int] = {}
    for number, (owner, size) in enumerate(uploads):
        name = f"{owner}{number:03}"
        blocks[name] = size
        request(one, owner, size * BLOCK_BYTES, name)
    waiting = {owner: sum(name.startswith(owner) for name in blocks) for owner in "ab"}
    served = {"a": 0, "b": 0}
    largest = {owner: max((size for name, size in blocks.items() if name[0] == owner), default=0) for owner in "ab"}
    for name in one_after_another(one):
        if not all(waiting.values()):
            break
        waiting[name[0]] -= 1
        served[name[0]] += blocks[name]
        if all(waiting.values()):
            assert abs(served["a"] - served["b"]) <= largest["a"] + largest["b"]
