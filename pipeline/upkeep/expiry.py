"""Expiry: ends uploads that their clients have abandoned, or do not complete by their deadline.

Guarantee: an upload that waits for Sluice and not for its client does not expire: its reservation is renewed. Each step
may run in several processes at once and be killed at any point; the next run continues. An upload that fails does
not keep the others from being handled.
"""

from __future__ import annotations

from pipeline.core.errors import RequestError
from pipeline.core.lifecycle import ENDED, Status
from pipeline.core.model import Upload
from pipeline.core.transports import TRANSPORTS
from pipeline.sweeps import Sweep
from pipeline.uploads.admission import Admission
from pipeline.uploads.cell import CellState
from pipeline.uploads.lookup import ExpiryRules
from pipeline.uploads.recovery import Recovery

_BATCH = 200
# The gateway may have died between registering an upload and requesting its admission.
_UNQUEUED_MS = 5_000


class Expiry:
    """Expires uploads of one temp volume."""

    def __init__(self, cell: CellState, admission: Admission, recovery: Recovery, rules: ExpiryRules) -> None:
        self._cell = cell
        self._admission = admission
        self._recovery = recovery
        self._longest_ms = {
            Status.WAITING: rules.waiting_ms,
            Status.GRANTED: rules.direct_ms,
            Status.HELD: rules.held_ms,
        }

    async def end_lapsed(self, upload_id: str) -> None:
        """The reservation's lease has lapsed: expire the upload if its client is to blame, else renew. Raises
        TempVolumeError, DependencyUnavailable."""
        cell = self._cell
        try:
            upload = await cell.uploads.get(upload_id)
        except RequestError:
            if await cell.journals.read(upload_id) is None:
                await cell.volume.remove(upload_id)
                await cell.ledger.release(upload_id)
            return
        if upload.status in (Status.ADMITTED, Status.RECEIVING):
            await cell.record.expire(upload_id)
        else:  # it waits for a stage, or for its cleanup, which releases the reservation
            await cell.ledger.renew(upload_id)

    async def end_idle(self) -> None:
        """Expire uploads that have waited for too long: for room, for their client's grants, for a final upload."""
        sweep = Sweep(step="end_idle")
        for status, longest_ms in self._longest_ms.items():
            for upload_id in await self._cell.uploads.ids(status, longest_ms, _BATCH):
                with sweep.item(upload_id=upload_id):
                    await self._cell.record.expire(upload_id)
        sweep.end()

    async def end_overdue(self) -> None:
        """Expire uploads of which not every byte has arrived by their deadline."""
        sweep = Sweep(step="end_overdue")
        for upload_id in await self._cell.ledger.overdue(_BATCH):
            with sweep.item(upload_id=upload_id):
                await self._cell.record.expire(upload_id, deadline=True)
        sweep.end()

    async def request_again(self) -> None:
        """Reserve bytes for uploads in flight that neither hold any nor wait for them: what their temp files hold,
        after a recovery that was interrupted, and otherwise what they request of admission."""
        sweep = Sweep(step="request_again")
        for status in (Status.WAITING, Status.ADMITTED, Status.RECEIVING, Status.PROCESSING):
            for upload_id in await self._cell.uploads.ids(status, _UNQUEUED_MS, _BATCH):
                with sweep.item(upload_id=upload_id):
                    if await self._without_room(upload_id) is None:
                        continue
                    # Admission would reserve neither the segments that a temp file holds, nor less for those released.
                    await self._recovery.recover(upload_id)
                    if (upload := await self._without_room(upload_id)) is not None:
                        await self._admission.request(upload)
        sweep.end()

    async def _without_room(self, upload_id: str) -> Upload | None:
        """The upload, if it needs bytes of this volume, and neither holds any nor waits for them."""
        if await self._cell.ledger.standing(upload_id) is not None:
            return None
        upload = await self._cell.uploads.get(upload_id)
        # An upload whose bytes are in the store holds none, unless an earlier release has queued it.
        in_store = TRANSPORTS[upload.transport].in_store and upload.status is not Status.WAITING
        needs = upload.status not in ENDED and upload.volume == self._cell.volume.name and not in_store
        return upload if needs else None
