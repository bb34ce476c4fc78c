"""The script's keys in Redis, and their comparison with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

from pipeline.core.admission import AdmissionModel
from pipeline.core.reservation import Reader

OWNERS = ("alice", "bob", "carol", "dave")


class Books(Protocol):
    """The calls that the machine makes to Redis."""

    def call(self, script: str, prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]: ...

    def set_reader(self, prefix: str, upload: str, reader: Reader) -> None:
        """Write into an upload's record what its reader needs."""

    def dump(self, volume_key: str, uploads: Sequence[str]) -> list[Any]:
        """The volume's hash, then reservations, backed, leases, lapsed, queue, requests, passes, tickets, granted,
        windows, wishes, wished, owner, places, journals, turns, debts, finish, owner-bytes, owner-uploads, the queue
        of each of `OWNERS`, and of each upload, what it has taken and given."""

    def forget(self, prefix: str) -> None: ...


def check_books(dump: Sequence[Any], model: AdmissionModel) -> None:
    """Compare `dump` (see `Books.dump`) of every reservation with the model."""
    held = model.reservations
    facts, reserved, backed, leases, lapsed, queue, requests, passes, tickets, granted, *more = dump
    assert int(facts.get("epoch", 0)) == model.epoch
    assert int(facts.get("usable_bytes", 0)) == model.usable_bytes
    assert int(facts.get("reserved_bytes", 0)) == model.reserved_bytes
    assert int(facts.get("backed_bytes", 0)) == model.reserved_bytes - model.unbacked_bytes
    assert reserved == {who: str(item.size_bytes) for who, item in held.items()}
    assert backed == {who: str(item.backed_bytes) for who, item in held.items() if who in backed}
    assert {who for who, item in held.items() if item.confirmed} <= set(backed) <= set(held)
    assert dict(leases) == {who: item.lease_until_ms for who, item in held.items() if not item.lapsed}
    assert dict(lapsed) == {who: item.lease_until_ms for who, item in held.items() if item.lapsed}
    assert queue == sorted(((item.upload_id, item.ticket) for item in model.queue), key=itemgetter(1))
    assert requests == {item.upload_id: str(item.size_bytes) for item in model.queue}
    suffered = {item.upload_id: item.overtaken for item in model.queue} | {who: r.overtaken for who, r in held.items()}
    assert passes == {who: str(count) for who, count in suffered.items() if count}
    assert tickets == {who: str(item.ticket) for who, item in held.items()}
    assert granted == set(model.pending_allocations)
    queues_at = 11 + len(OWNERS)
    _check_owners(facts, more[3:queues_at], model)
    _check_segments([*more[:3], *more[queues_at:]], model)


def _check_owners(facts: Mapping[str, str], dump: Sequence[Any], model: AdmissionModel) -> None:
    held, queue = model.reservations, model.queue
    owner, places, journals, turns, debts, finish, owner_bytes, owner_uploads, *queues = dump
    assert (int(facts.get("virtual", 0)), int(facts.get("queue_end", 0))) == (queue.virtual, queue.end)
    everything = {item.upload_id: item for item in queue} | held
    assert owner == {who: item.owner for who, item in everything.items()}
    assert journals == {who: str(item.journal_bytes) for who, item in everything.items() if item.journal_bytes}
    assert places == {who: "{} {}".format(*item.place) for who, item in held.items()}
    assert dict(turns) == {name: turn.tag for name, turn in queue.turns.items()}
    assert debts == {name: str(turn.debt) for name, turn in queue.turns.items() if turn.debt}
    assert dict(finish) == queue.finish
    for name, line in zip(OWNERS, queues, strict=True):
        entries = queue.turns[name].entries if name in queue.turns else []
        assert line == [(item.upload_id, item.offset) for item in entries]
    own = {name: [item for item in held.values() if item.owner == name] for name in OWNERS}
    sums = {name: sum(item.held_bytes for item in items) for name, items in own.items()}
    assert owner_bytes == {name: str(count_bytes) for name, count_bytes in sums.items() if count_bytes}
    assert owner_uploads == {name: str(len(items)) for name, items in own.items() if items}


def _check_segments(dump: Sequence[Any], model: AdmissionModel) -> None:
    held = model.reservations
    windows, wishes, wished, *segments = dump
    assert windows == {
        item.upload_id: f"{item.size_bytes} {item.file_bytes} {item.file_bytes}"
        for item in model.queue
        if item.file_bytes is not None
    } | {
        who: f"{item.window_bytes} {item.file_bytes} {item.rest_bytes}"
        for who, item in held.items()
        if item.window_bytes is not None
    }
    assert dict(wishes) == {who: item.ticket for who, item in held.items() if item.wish_bytes}
    assert wished == {who: f"{item.wish_bytes} {item.granted_bytes}" for who, item in held.items() if item.wish_bytes}
    for item, taken, given in zip(held.values(), segments[::2], segments[1::2], strict=True):
        assert taken == {
            str(number): f"{one.size_bytes} {one.since_ms} {int(one.backed)}" for number, one in item.taken.items()
        }
        assert given == {str(number): str(size_bytes) for number, size_bytes in item.given.items()}
