"""The script's keys in Redis, and their comparison with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipeline.core.admission import AdmissionModel


class Books(Protocol):
    """The calls that the machine makes to Redis."""

    def call(self, prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]: ...

    def dump(self, volume_key: str) -> list[Any]:
        """The volume's hash, then reservations, backed, leases, lapsed, queue, requests, passes, tickets, granted."""

    def forget(self, prefix: str) -> None: ...


def check_books(dump: Sequence[Any], model: AdmissionModel) -> None:
    """Compare `dump` (see `Books.dump`) with the model."""
    held = model.reservations
    facts, reserved, backed, leases, lapsed, queue, requests, passes, tickets, granted = dump
    assert int(facts.get("epoch", 0)) == model.epoch
    assert int(facts.get("reserved_bytes", 0)) == model.reserved_bytes == sum(map(int, reserved.values()))
    assert int(facts.get("backed_bytes", 0)) == sum(map(int, backed.values()))
    assert int(facts.get("backed_bytes", 0)) == model.reserved_bytes - model.unbacked_bytes
    assert reserved == {who: str(item.size_bytes) for who, item in held.items()}
    assert backed == {who: str(item.backed_bytes) for who, item in held.items() if who in backed}
    assert {who for who, item in held.items() if item.confirmed} == set(backed)
    assert dict(leases) == {who: item.lease_until_ms for who, item in held.items() if not item.lapsed}
    assert dict(lapsed) == {who: item.lease_until_ms for who, item in held.items() if item.lapsed}
    assert [who for who, _ in queue] == [item.upload_id for item in model.queue]
    assert requests == {item.upload_id: str(item.size_bytes) for item in model.queue}
    suffered = {item.upload_id: item.overtaken for item in model.queue} | {who: r.overtaken for who, r in held.items()}
    assert passes == {who: str(count) for who, count in suffered.items() if count}
    assert tickets == {who: str(item.ticket) for who, item in held.items()}
    assert granted == set(model.pending_allocations)
