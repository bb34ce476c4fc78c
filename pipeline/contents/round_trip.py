"""A round trip through a store: everything that Sluice and its clients do with it, on a few small objects.

Guarantee: a capability is reported to work only when the right bytes came back. Everything that was stored is removed,
also when a step fails or the examination is cancelled; what a killed process left, a later examination removes. No
object of a content is touched.

Cost: about 30 requests. Two segments are joined only where they may be small, or in a `thorough` round trip (5 MiB on
S3); otherwise a small object stands for the joined one.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar
from uuid import UUID

from uuid6 import uuid7

from pipeline.contents.client_trip import ClientTrip, NotOffered, Sample, WrongResult
from pipeline.core.capabilities import CAPABILITIES, Capability, Examined, StoreReport
from pipeline.core.errors import StoreError, StoreUnavailable
from pipeline.core.segments import MEBIBYTE, SegmentPlan, StoreLimits
from pipeline.core.stored_objects import ObjectTarget
from pipeline.engine.drain import drained
from pipeline.hashing import update_all
from pipeline.ports import Hash, PlainClient, Store, TransferSessions

CHECK_NAME: Final = "sluice-check"
"""What every name of a round trip begins with."""

_SMALL_BYTES = 64
_LIST_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
_REMOVE_SECONDS = 15.0
_STALE_SECONDS = 3600.0
_ROUND_TRIP = re.compile(rf"{CHECK_NAME}[-/]([0-9a-f-]{{36}})")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A `SegmentSource` in memory."""

    number: int
    data: bytes
    crc32c: int | None = None
    md5_hex: str = ""

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    async def chunks(self, *hashes: Hash) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), MEBIBYTE):
            block = self.data[start : start + MEBIBYTE]
            await update_all(hashes, block)
            yield block


async def examine_store(
    store: Store,
    client: PlainClient,
    *,
    thorough: bool,
    left: frozenset[str] = frozenset(),
    on_clients: Callable[[StoreReport], None] = lambda report: None,
) -> StoreReport:
    """What `store` can do. Failures of the store are part of the report, not errors. `left`: of an earlier report, to
    remove its objects now. `on_clients` receives what is found by the time that every capability for clients is known:
    a listing that lags behind and the removal of the objects may take many seconds more."""
    return await _RoundTrip(store, client, await store.limits(), thorough, left).run(on_clients)


class _RoundTrip:
    """One examination. `_joined` is the upload of two segments, `_single` of one, `_plain` a small object; of `_listed`
    only the session is opened."""

    def __init__(
        self, store: Store, client: PlainClient, limits: StoreLimits, thorough: bool, left: frozenset[str]
    ) -> None:
        self._store = store
        self._limits = limits
        self._client = ClientTrip(store, client)
        first_bytes = max(limits.min_segment_bytes, _SMALL_BYTES)
        self._joins = thorough or first_bytes < MEBIBYTE
        name = self._name = str(uuid7())
        self._left = left | {name}
        self._segments = (secrets.token_bytes(first_bytes if self._joins else 1), secrets.token_bytes(_SMALL_BYTES))
        self._joined = self._target(name, "joined", SegmentPlan(first_bytes + _SMALL_BYTES, first_bytes))
        self._single = self._target(name, "single", SegmentPlan(_SMALL_BYTES, first_bytes))
        self._listed = self._target(name, "listed", self._joined.plan)
        self._plain = Sample(f"{CHECK_NAME}/{name}/plain", secrets.token_bytes(2 * _SMALL_BYTES), None, "")
        self._description = ""
        self._begun = False
        self._writes = False
        self._found: dict[Capability, Examined] = {}

    async def run(self, on_clients: Callable[[StoreReport], None]) -> StoreReport:
        try:
            self._description = await self._store.check()
            self._writes = True
            if await self._step(Capability.WRITE, self._write()):
                await self._step(Capability.RANGED_READ, self._read())
                await self._examine_clients()
                on_clients(self._report())
                await self._step(Capability.LIST, self._list())
        except StoreError as error:
            self._found[Capability.WRITE] = _failed(Capability.WRITE, error)
        finally:
            if not self._writes:
                self._left -= {self._name}
            else:
                await _completed(self._step(Capability.DELETE, self._remove()))
        return self._report()

    def _report(self) -> StoreReport:
        found = tuple(self._found[capability] for capability in CAPABILITIES if capability in self._found)
        return StoreReport(self._store.name, self._description, self._limits, found, self._left)

    async def _examine_clients(self) -> None:
        await self._step(Capability.PRESIGNED_PUT, self._client_puts())
        sample = self._plain
        await self._step(Capability.PRESIGNED_GET, self._client.get(self._plain))
        if not self._joins:
            alike = self._found[Capability.PRESIGNED_GET]
            self._found[Capability.PRESIGNED_GET_JOINED] = replace(alike, capability=Capability.PRESIGNED_GET_JOINED)
        elif await self._step(Capability.SEGMENTS, self._join()):
            border = self._joined.plan.segment_bytes
            sample = Sample(self._joined.key, b"".join(self._segments), border, self._joined.upload_id)
            await self._step(Capability.PRESIGNED_GET_JOINED, self._client.get(sample))
        else:
            offered = self._found[Capability.PRESIGNED_GET].offered
            failed = replace(self._found[Capability.SEGMENTS], reason="no segments could be joined", offered=offered)
            for capability in (Capability.PRESIGNED_GET_JOINED, Capability.PRESIGNED_GET_SEGMENT):
                self._found[capability] = replace(failed, capability=capability)
            return
        await self._step(Capability.PRESIGNED_GET_SEGMENT, self._client.get_segment(sample))

    async def _step(self, capability: Capability, work: Awaitable[None]) -> bool:
        """Whether it works; the reason is kept."""
        try:
            await work
        except (StoreError, WrongResult, NotOffered) as error:
            self._found[capability] = _failed(capability, error)
            return False
        self._found[capability] = Examined(capability, True)
        return True

    async def _write(self) -> None:
        data = self._plain.data
        await _completed(self._store.put_object(self._plain.key, data, "application/octet-stream"))
        stored = await self._store.head(self._plain.key)
        if stored.size_bytes != len(data):
            raise WrongResult(f"{len(data)} bytes were written, but HEAD says {stored.size_bytes}")
        await self._require_bytes(self._plain.key, data)

    async def _read(self) -> None:
        for first, last in ((10, 19), (len(self._plain.data) - 1, None), (0, 0)):
            await self._require_bytes(self._plain.key, self._plain.data, first, last)

    async def _list(self) -> None:
        prefix = f"{self._plain.key.rpartition('/')[0]}/"
        until = time.monotonic() + _LIST_SECONDS  # listings of Swift lag behind
        while self._plain.key not in [name async for name in self._store.list_keys(prefix)]:
            if time.monotonic() > until:
                raise WrongResult(f"an object does not appear in the listing within {_LIST_SECONDS:.0f} s")
            await asyncio.sleep(_PAUSE_SECONDS)
        if isinstance(self._store, TransferSessions):
            self._listed = replace(self._listed, session=await _completed(self._store.begin(self._listed)))
            key, session = self._listed.key, self._listed.session
            if session and (key, session) not in [found async for found in self._store.open_sessions(prefix)]:
                raise WrongResult("an open multipart upload does not appear in the listing")

    async def _begin(self) -> None:
        if not self._begun:
            self._joined = replace(self._joined, session=await _completed(self._store.begin(self._joined)))
            self._begun = True

    async def _client_puts(self) -> None:
        """The last of two segments, and the only one of an upload."""
        await self._begin()
        await _completed(self._client.put(self._joined, 2, self._segments[1]))
        await _completed(self._client.put(self._single, 1, self._segments[1]))

    async def _join(self) -> None:
        await self._begin()
        sources = (_Bytes(number, data) for number, data in enumerate(self._segments, start=1))
        stored = [await _completed(self._store.put_segment(self._joined, source)) for source in sources]
        await _completed(self._store.seal(self._joined, stored))
        data, border = b"".join(self._segments), self._joined.plan.segment_bytes
        await self._require_bytes(self._joined.key, data)
        await self._require_bytes(self._joined.key, data, border - 5, border + 4)

    async def _require_bytes(self, key: str, data: bytes, first: int = 0, last: int | None = None) -> None:
        expected = data[first : None if last is None else last + 1]
        received = bytearray()
        async for block in self._store.read(key, first, last):
            received += block
            if len(received) > len(expected):
                break
        if received != expected:
            whole = "the object" if last is None and not first else f"bytes {first} to {last or 'the end'}"
            raise WrongResult(f"reading {whole} returned other bytes than were stored")

    async def _remove(self) -> None:
        """Remove everything of this round trip, and what killed ones left. Every item is tried."""
        removals = (
            self._store.delete(self._plain.key),
            self._store.abort(self._joined),
            self._store.abort(self._single),
            self._store.abort(self._listed),
            self._remove_stale(),
        )
        try:
            async with asyncio.timeout(_REMOVE_SECONDS):
                for failure in await asyncio.gather(*removals, return_exceptions=True):
                    if failure is not None:
                        raise failure
                for key in (self._plain.key, self._joined.key, self._single.key):
                    await self._require_missing(key)
        except TimeoutError:
            raise WrongResult(f"removing did not end within {_REMOVE_SECONDS:.0f} s") from None
        self._left = frozenset()

    async def _require_missing(self, key: str) -> None:
        try:
            await self._store.head(key)
        except StoreError as error:
            if error.code != "STORE_OBJECT_MISSING":
                raise
        else:
            raise WrongResult("an object that was removed still exists")

    async def _remove_stale(self) -> None:
        for prefix in (f"{CHECK_NAME}/", f"segment:{CHECK_NAME}-", f"multipart:{CHECK_NAME}/"):
            for name in [name async for name in self._store.list_keys(prefix) if self._is_stale(name)]:
                await self._store.delete(name)

    def _is_stale(self, name: str) -> bool:
        """Whether `name` belongs to a round trip of `left`, or to one that began an hour ago: its id contains the time
        (RFC 9562 section 5.7)."""
        found = _ROUND_TRIP.search(name)
        try:
            number = UUID(found[1]) if found else None
        except ValueError:
            return False
        if number is None or number.version != 7:
            return False
        return str(number) in self._left or time.time() - (number.int >> 80) / 1000 > _STALE_SECONDS

    @staticmethod
    def _target(name: str, kind: str, plan: SegmentPlan) -> ObjectTarget:
        upload_id = f"{CHECK_NAME}-{name}" if kind == "joined" else f"{CHECK_NAME}-{name}-{kind}"
        return ObjectTarget(upload_id, f"{CHECK_NAME}/{name}/{kind}", "application/octet-stream", plan)


def _failed(capability: Capability, error: StoreError | WrongResult | NotOffered) -> Examined:
    reason = str(error.detail.get("reason", error)) if isinstance(error, StoreError) else str(error)
    return Examined(
        capability,
        works=False,
        reason=reason,
        offered=not isinstance(error, NotOffered),
        transient=isinstance(error, StoreUnavailable),
        code=error.code if isinstance(error, StoreError) else "",
    )


async def _completed(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which a cancellation of the caller does not interrupt: a request that was cut off could
    still be stored, after everything has been removed."""
    return await drained(work, _REMOVE_SECONDS)
