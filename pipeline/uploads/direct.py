"""Direct uploads: the client sends segments to the store itself, with grants, and reports when all are sent.

Guarantee: a grant covers one segment of one upload for a limited time, and no grant is made for an upload that has
ended. The client's report is verified: the store lists what it holds, and only a complete plan, every segment with its
length, is sealed. Bytes of the temp volume are never reserved. Of a deferred plan, see `uploads.deferred`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from pipeline.core.access import Caller
from pipeline.core.capabilities import Capability
from pipeline.core.errors import RequestError, StoreError, StoreUnavailable
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Deferred, NewUpload, Upload
from pipeline.core.segments import SegmentPlan, to_ranges
from pipeline.core.stored_objects import ObjectTarget, SegmentRequest, StoredSegment, object_key
from pipeline.core.transports import TRANSPORTS, Transport
from pipeline.logs import Log, logger
from pipeline.ports import DelegatedTokens, KnownStores, PresignedUploads, Store, Stores
from pipeline.uploads.cell import CellState
from pipeline.uploads.create import UploadCreation, lost_after_creation
from pipeline.uploads.deferred import SHORTEST_BYTES, known_bytes, plan_of, require_acknowledged
from pipeline.uploads.lookup import UploadDetail, UploadLookup, ended_error, find_upload, naming_a_loss
from pipeline.uploads.permits import require_permitted_size
from pipeline.uploads.target import open_target
from schemas.uploads import CreateUpload

BATCH = 100
"""Grants in one response: about 50 KB."""

Spend = Callable[[int], None]
"""Receives how many segments are about to be signed, or looked up in the store. Raises to refuse it."""

# Clocks differ, and a request that begins in a grant's last moment ends after it.
_MARGIN_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Grants:
    """Requests with which a client sends segments to the store, valid for `seconds`. `more` are the ranges that did not
    fit into this response. `token` and `storage_url`: of a delegated token."""

    seconds: int
    segments: Sequence[SegmentRequest] = field(repr=False)
    more: Sequence[tuple[int, int]] = ()
    token: str | None = field(default=None, repr=False)
    storage_url: str | None = None


class DirectUploads:
    """Creates and completes direct uploads, and makes their grants."""

    def __init__(
        self,
        cell: CellState,
        creation: UploadCreation,
        lookup: UploadLookup,
        stores: Stores,
        known: KnownStores,
        grant_seconds: int,
    ) -> None:
        self._cell = cell
        self._creation = creation
        self._lookup = lookup
        self._stores = stores
        self._known = known
        self._grant_seconds = grant_seconds

    async def create(
        self, request: CreateUpload, idempotency_key: str | None, caller: Caller, spend: Spend
    ) -> tuple[UploadDetail, Grants | None, bool]:
        """Register an upload and make its first grants (None: it was known and is no longer `granted`).

        Raises RequestError TRANSPORT_NOT_OFFERED; StoreError; what `spend` raises; and as `UploadCreation.create`.
        """
        new = await self._creation.plan(request, idempotency_key, caller)
        spend(min(BATCH, SegmentPlan(new.size_bytes, new.segment_bytes).count))
        await self._require_offered(new)
        detail, created = await self._creation.register(new)
        if detail.upload.status is not Status.GRANTED:
            return detail, None, created
        with lost_after_creation():
            grants = await self._grant(detail.upload, [(1, detail.upload.plan.count)])
            detail = await self._lookup.detail(detail.upload.upload_id)
        return detail, grants, created

    async def create_deferred(self, request: CreateUpload, caller: Caller, deferred: Deferred) -> UploadDetail:
        """Register an upload whose plan is made when it is complete; with `Deferred.SIZE`, the size in `request` counts
        for nothing. It has no grants yet. Raises as `create`."""
        planned = await self._creation.plan(request, None, caller)
        size_bytes = 0 if deferred is Deferred.SIZE else planned.size_bytes
        new = replace(planned, size_bytes=size_bytes, segment_bytes=SHORTEST_BYTES, deferred=deferred)
        await self._require_offered(planned)
        detail, _ = await self._creation.register(new)
        return detail

    async def grants(self, upload_id: str, wanted: Sequence[tuple[int, int]], spend: Spend) -> Grants:
        """Grants for these inclusive ranges of segments, as many as one response holds.

        Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS, UPLOAD_COMPLETE, SEGMENT_OUT_OF_RANGE;
        UploadEnded UPLOAD_ENDED; StoreError; what `spend` raises. For a deferred plan also AccessError PERMIT_EXCEEDED;
        RequestError FILE_TOO_LARGE_FOR_OWNER; LimitReached OWNER_LIMIT, DAILY_LIMIT.
        """
        upload = await self._find(upload_id)
        if upload.status is not Status.GRANTED:
            raise RequestError("UPLOAD_COMPLETE", status=str(upload.status))
        if upload.deferred is None:
            for number in chain.from_iterable(wanted):
                upload.plan.length(number)
        spend(sum(1 for _ in islice(_numbers(wanted), BATCH)))
        async with naming_a_loss(self._cell.journals, upload_id):
            return await self._grant(upload, wanted)

    async def held(self, upload_id: str, spend: Spend) -> Sequence[StoredSegment]:
        """The segments that the store holds, in order of number; of a complete upload, those that it was completed
        with. Raises RequestError UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS; UploadEnded UPLOAD_ENDED; StoreError; what
        `spend` raises."""
        upload = await self._find(upload_id)
        if upload.status is not Status.GRANTED:
            return await self._cell.segments.stored(upload)
        spend(upload.plan.count)
        async with naming_a_loss(self._cell.journals, upload_id):
            held, _ = await self._held_segments(upload)
        return [held[number] for number in sorted(held)]

    async def complete(
        self, upload_id: str, spend: Spend, acknowledged: Mapping[int, str] | None = None
    ) -> UploadDetail:
        """The client has sent every segment: verify that the store holds them, and continue. `acknowledged`: number ->
        ETag, as the store responded to the client. Idempotent.

        Raises RequestError SEGMENTS_MISSING, UPLOAD_NOT_FOUND, TRANSPORT_DIFFERS; UploadEnded UPLOAD_ENDED; StoreError;
        what `spend` raises. For a deferred plan also RequestError SEGMENTS_UNEVEN, FILE_TOO_LARGE_FOR_STORE, and as
        `grants`.
        """
        upload = await self._find(upload_id)
        if upload.status is Status.GRANTED:
            if upload.deferred is not None and acknowledged:
                upload = replace(upload, granted_segments=max(upload.granted_segments, len(acknowledged)))
            spend(upload.plan.count)
            async with naming_a_loss(self._cell.journals, upload_id):
                held, whole = await self._held_segments(upload)
                if acknowledged is not None and not whole:
                    require_acknowledged(acknowledged, held)
                if upload.deferred is None:
                    _require_complete(upload.plan, held)
                    segments = [held[number] for number in range(1, upload.plan.count + 1)]
                    await self._cell.record.completed(upload_id, segments)
                else:
                    wanted = [held[number] for number in sorted(held) if not acknowledged or number in acknowledged]
                    await self._complete_deferred(upload, wanted, whole=whole)
        return await self._creation.begin(upload_id)

    async def _complete_deferred(self, upload: Upload, segments: Sequence[StoredSegment], *, whole: bool) -> None:
        """Make the plan. `whole`: the only segment is the object itself already."""
        if not segments:
            raise RequestError("SEGMENTS_MISSING", missing=[(1, 1)], wrong=[])
        store = self._stores.named(upload.store)
        plan = plan_of(upload, segments, await store.limits())
        require_permitted_size(plan.size_bytes, upload.permit)
        await self._cell.record.record_grant(upload.upload_id, 0, number=plan.count, least_bytes=plan.size_bytes)
        if plan.count == 1 and not whole:
            target = replace(await open_target(upload, store, self._cell.record), plan=plan)
            segments = [await _presigning(store, upload.transport).make_whole(target, segments[0])]
        await self._cell.record.completed(upload.upload_id, segments, plan)

    async def _held_segments(self, upload: Upload) -> tuple[Mapping[int, StoredSegment], bool]:
        """Number -> segment, of what the store holds. True: of a deferred plan, whose only segment is the object
        itself already, because a completion ended before it was recorded."""
        store = self._stores.named(upload.store)
        target = await open_target(upload, store, self._cell.record)
        try:
            found = await _presigning(store, upload.transport).held_segments(target)
            lost = False
        except StoreError as error:
            if error.code != "STORE_SESSION_LOST":
                raise
            found, lost = [], True
        if not found and upload.deferred is not None and (only := await _whole(store, target.key)) is not None:
            return {1: only}, True
        if lost:
            await self._cell.record.forget_session(upload.upload_id, target.session)
        return {segment.number: segment for segment in found}, False

    async def _find(self, upload_id: str) -> Upload:
        upload = await find_upload(self._cell.uploads, self._cell.journals, upload_id)
        if TRANSPORTS[upload.transport].begins is not Status.GRANTED:
            raise RequestError("TRANSPORT_DIFFERS", transport=str(upload.transport))
        if upload.status in ENDED and upload.status is not Status.READY:
            raise ended_error(upload)
        return upload

    async def _grant(self, upload: Upload, wanted: Iterable[tuple[int, int]]) -> Grants:
        store = self._stores.named(upload.store)
        ranges = list(wanted)
        numbers = list(islice(_numbers(ranges), BATCH))
        highest, least_bytes = max(numbers, default=0), 0
        if upload.deferred is not None:
            limits = await store.limits()
            least_bytes = max(known_bytes(upload, number, limits) for number in numbers)
            require_permitted_size(least_bytes, upload.permit)
            upload = replace(upload, granted_segments=max(upload.granted_segments, highest))
        target = await open_target(upload, store, self._cell.record)
        grants = await self._make(store, upload.transport, target, numbers)
        # Recorded before the client receives them: cleanup must know how long the client may write.
        status = await self._cell.record.record_grant(
            upload.upload_id, grants.seconds + _MARGIN_SECONDS, number=highest, least_bytes=least_bytes
        )
        if status is not Status.GRANTED:
            if status not in ENDED or status is Status.READY:
                raise RequestError("UPLOAD_COMPLETE", status=str(status))
            await store.abort(target)  # it was cleaned up meanwhile, possibly before this session was opened
            raise ended_error(await self._cell.uploads.get(upload.upload_id))
        if grants.token is not None:
            log = logger(upload_id=upload.upload_id)
            log.info(Log.TOKEN_DELEGATED, seconds=grants.seconds, storage_url=grants.storage_url)
        return replace(grants, more=_rest(ranges, len(numbers)))

    async def _make(self, store: Store, transport: Transport, target: ObjectTarget, numbers: Sequence[int]) -> Grants:
        """Raises RequestError TRANSPORT_NOT_OFFERED; StoreUnavailable while it is not known whether grants work."""
        if transport is Transport.TOKEN:
            delegated = await store.delegate_token(target, numbers) if isinstance(store, DelegatedTokens) else None
            if delegated is None:
                reason = "no user is configured whose tokens may be delegated (SLUICE_SWIFT_LENT_*)"
                raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)
            return Grants(delegated.seconds, delegated.segments, (), delegated.token, delegated.storage_url)
        presigning = _presigning(store, transport)
        await self._require_working(store, transport)
        requests = await presigning.presign_segments(target, numbers, seconds=self._grant_seconds)
        if requests is None:
            reason = f"the store '{store.name}' is not configured to presign URLs (Swift: SLUICE_SWIFT_TEMPURL_KEY)"
            raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)
        return Grants(self._grant_seconds, requests)

    async def _require_working(self, store: Store, transport: Transport) -> None:
        """A presigned PUT has been seen to work, or the store is not configured for it. Raises as `_make`."""
        report = await self._known.report(store.name)
        found = None if report is None else report.of(Capability.PRESIGNED_PUT) or report.of(Capability.WRITE)
        if found is None or found.transient or found.capability is Capability.WRITE:
            reason = f"it is not known yet whether '{store.name}' accepts presigned requests"
            raise StoreUnavailable(reason=f"{reason}: {found.reason}" if found else reason)
        if found.offered and not found.works:
            reason = f"the store '{store.name}' does not accept presigned requests of clients: {found.reason}"
            raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)

    async def _require_offered(self, new: NewUpload) -> None:
        """Raises RequestError TRANSPORT_NOT_OFFERED, before anything is registered."""
        plan = SegmentPlan(new.size_bytes, new.segment_bytes)
        target = ObjectTarget(new.upload_id, object_key(new.upload_id), new.content_type, plan)
        await self._make(self._stores.named(new.store), new.transport, target, ())


def _presigning(store: Store, transport: Transport) -> PresignedUploads:
    if not isinstance(store, PresignedUploads):
        reason = f"clients cannot reach the store '{store.name}'"
        raise RequestError("TRANSPORT_NOT_OFFERED", transport=str(transport), reason=reason)
    return store


async def _whole(store: Store, key: str) -> StoredSegment | None:
    """An object as the only segment of itself; None: there is none."""
    try:
        stored = await store.head(key)
    except StoreError as error:
        if error.code != "STORE_OBJECT_MISSING":
            raise
        return None
    return StoredSegment(1, stored.size_bytes, stored.etag)


def _require_complete(plan: SegmentPlan, held: Mapping[int, StoredSegment]) -> None:
    """Raises RequestError SEGMENTS_MISSING."""
    expected = {number: plan.length(number) for number in range(1, plan.count + 1)}
    bad = [number for number, size in expected.items() if number not in held or held[number].size_bytes != size]
    if bad:
        wrong = [
            {"number": number, "size": held[number].size_bytes, "expected": expected[number]}
            for number in bad
            if number in held
        ]
        raise RequestError("SEGMENTS_MISSING", missing=to_ranges(bad)[:BATCH], wrong=wrong[:BATCH])


def _numbers(ranges: Iterable[tuple[int, int]]) -> Iterable[int]:
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)


def _rest(ranges: Iterable[tuple[int, int]], taken: int) -> list[tuple[int, int]]:
    """`ranges` without their first `taken` numbers."""
    rest: list[tuple[int, int]] = []
    for first, last in ranges:
        count = max(0, last - first + 1)
        if count > taken:
            rest.append((first + taken, last))
        taken = max(0, taken - count)
    return rest
