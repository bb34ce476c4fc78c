"""The reaper: what the admission worker does besides admitting. Everything that was left lying is found here.

Guarantee: each sweep may run in many processes at once and be killed at any point; the next one goes on. Nothing is
ended that is still alive: an upload in `processing` waits for us, not for its client, so its reservation is renewed
instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import RequestError, TempVolumeError
from pipeline.core.lifecycle import ENDED, Event, Status
from pipeline.core.model import StageJob
from pipeline.ports import EndedList, ReservationLedger, StageBoard, StageQueue, TempVolume, UploadBoard, UploadJournals
from pipeline.telemetry import TAKEOVERS, UPLOADS_ENDED, Log, logger
from pipeline.upkeep.cleanup import Cleanup
from pipeline.uploads.admission import Admission
from pipeline.uploads.recovery import Recovery

_BATCH = 200
# What takes longer to clean up goes on beside the next look.
_LOOK_SECONDS = 1.0
_JOBS = 1_000
# An upload that waits without standing in the queue: its gateway died between registering and asking for admission.
_UNQUEUED_MS = 5_000
# A temp file without a reservation may belong to a grant that is just being carried out.
_ORPHAN_SECONDS = 60.0
# A Redis that comes back without its last seconds must still find out that an upload had ended.
_JOURNAL_SECONDS = 30.0


class Reaper:
    """Sweeps for one temp volume."""

    def __init__(
        self,
        admission: Admission,
        cleanup: Cleanup,
        recovery: Recovery,
        board: UploadBoard,
        stages: StageBoard,
        queue: StageQueue,
        ended: EndedList,
        ledger: ReservationLedger,
        volume: TempVolume,
        journals: UploadJournals,
        waiting_ms: int,
        direct_ms: int,
    ) -> None:
        self._admission = admission
        self._cleanup = cleanup
        self._recovery = recovery
        self._board = board
        self._stages = stages
        self._queue = queue
        self._ended = ended
        self._ledger = ledger
        self._volume = volume
        self._journals = journals
        self._cleaning: dict[str, asyncio.Task[bool]] = {}
        self._idle_ms = {Status.WAITING: waiting_ms, Status.GRANTED: direct_ms}

    async def tick(self) -> None:
        """The quick sweep: mend what Redis has lost, end what has lapsed, admit what fits. Asks neither store nor
        PostgreSQL, which may take minutes to answer."""
        await self._recovery.follow()
        outcome = await self._admission.run()
        for upload_id in outcome.lapsed if outcome else ():
            with self._whatever_the_disk_does():
                await self._lapsed(upload_id)

    async def clean(self) -> int:
        """Clean up what has ended; returns how many uploads have become free of everything. What a slow store holds up
        goes on until `stop_cleaning`, and holds nothing else up."""
        for upload_id in await self._ended.due(self._volume.name, _BATCH + len(self._cleaning)):
            if upload_id not in self._cleaning:
                self._cleaning[upload_id] = asyncio.create_task(self._cleanup.clean(upload_id))
        if self._cleaning:
            await asyncio.wait(self._cleaning.values(), timeout=_LOOK_SECONDS)
        ended = [self._cleaning.pop(upload_id) for upload_id, task in list(self._cleaning.items()) if task.done()]
        return sum(await asyncio.gather(*ended))

    async def stop_cleaning(self) -> None:
        """Break off what is being cleaned up; whoever cleans up next begins it anew."""
        tasks = list(self._cleaning.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._cleaning.clear()

    async def sweep(self) -> None:
        """The slow sweep: what crashes between two steps have left."""
        for idle, longest_ms in self._idle_ms.items():
            for upload_id in await self._board.ids(idle, longest_ms, _BATCH):
                await self._expire(upload_id)
        for status in (Status.WAITING, Status.ADMITTED, Status.RECEIVING, Status.PROCESSING):
            for upload_id in await self._board.ids(status, _UNQUEUED_MS, _BATCH):
                await self._queue_again(upload_id)
        # A worker that died between ending a stage and taking its job out of the queue has left the job there.
        for job in await self._stages.stale(await self._queue.jobs(self._volume.name, _JOBS)):
            await self._queue.discard(job)
        await self._board.purge_expired(_BATCH)
        with self._whatever_the_disk_does():
            await self._orphans()

    @contextmanager
    def _whatever_the_disk_does(self) -> Iterator[None]:
        """A volume that cannot be written to must not hold up what has nothing to do with it; the next sweep tries
        again."""
        try:
            yield
        except TempVolumeError as error:
            logger(volume=self._volume.name).warning(Log.TICK_FAILED, code=error.code, reason=error.message)

    async def take_over(self) -> None:
        """Queue anew what was not heard of. Asks Redis alone, and is run beside `tick`: a disk that is slow to say how
        much room it has must not keep a dead worker's stages lying."""
        for item in await self._stages.overdue(_BATCH):
            job = item.job
            if item.dead_token is not None:
                await self._queue.discard(StageJob(job.upload_id, job.stage, item.dead_token, job.volume))
                TAKEOVERS.labels(job.stage).inc()
                logger(upload_id=job.upload_id, stage=str(job.stage)).warning(Log.STAGE_TAKEN_OVER)
            await self._queue.enqueue(job, item.due_in_seconds)

    async def _lapsed(self, upload_id: str) -> None:
        try:
            upload = await self._board.get(upload_id)
        except RequestError:
            if await self._journals.read(upload_id) is None:
                await self._volume.remove(upload_id)
                await self._ledger.release(upload_id)
            return
        if upload.status in (Status.ADMITTED, Status.RECEIVING):
            await self._expire(upload_id)
        else:  # it waits for us, or for its cleanup, which releases it
            await self._ledger.renew(upload_id)

    async def _expire(self, upload_id: str) -> None:
        reason = RequestError("UPLOAD_EXPIRED")
        status, changed = await self._board.apply(upload_id, Event.EXPIRE, (reason.code, reason.message))
        if changed:
            UPLOADS_ENDED.labels(status, reason.code).inc()
            logger(upload_id=upload_id).info(Log.UPLOAD_ENDED, status=str(status))

    async def _queue_again(self, upload_id: str) -> None:
        """An upload that lives but holds no bytes and does not wait for any asks again."""
        if await self._ledger.standing(upload_id) is None:
            upload = await self._board.get(upload_id)
            if upload.status not in ENDED and upload.volume == self._volume.name:
                await self._admission.request(upload_id, upload.size_bytes)

    async def _forget_journals(self) -> None:
        """Of uploads that are cleaned up, as far as Redis remembers them."""
        done: list[str] = []
        for upload_id in await self._journals.ended(_JOURNAL_SECONDS):
            try:
                upload = await self._board.get(upload_id)
            except RequestError:
                done.append(upload_id)
                continue
            if upload.released_at_ms is not None:
                done.append(upload_id)
        await self._journals.remove(done)

    async def _orphans(self) -> None:
        """Temp files that nobody holds a reservation for, and no journal accounts for; journals that have had their
        time. While Redis has lost the volume it does not know what is an orphan."""
        if await self._ledger.epoch() is None:
            return
        await self._forget_journals()
        journaled = set(await self._journals.ids())
        files = await self._volume.list()
        holders = await self._ledger.holders()
        for upload_id, (_, idle_seconds) in files.items():
            if upload_id in holders or idle_seconds < _ORPHAN_SECONDS:
                continue
            try:
                owned = (await self._board.get(upload_id)).status not in ENDED
            except RequestError:
                owned = upload_id in journaled
            if not owned:
                await self._volume.remove(upload_id)
                logger(upload_id=upload_id).warning(Log.ORPHAN_REMOVED, volume=self._volume.name)
