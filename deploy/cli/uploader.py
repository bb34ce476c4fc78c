"""Uploads files, several at once, and waits until each upload has ended.

Guarantee: however a run ends, the next run sends only the missing segments. At most `concurrency` segments are being
sent at once, over all files, of at most as many files. A file whose bytes have arrived does not delay the next one:
up to four times as many uploads are processed by the server meanwhile. Segments that the server loses are sent again.
When a file changes, its upload cannot be completed and is cancelled. Every error is a ClientError.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.errors import ApiError, ClientError, FileChangedError, RequestInvalidError
from deploy.cli.following import Follower
from deploy.cli.formatting import count_of
from deploy.cli.names import server_filename
from deploy.cli.resume import ResumeState, ResumeStates, UploadIdentity
from deploy.cli.retrying import PATIENT, decide, is_wait
from deploy.cli.segment_file import DigestName, SegmentFile
from deploy.cli.sending import SegmentRound, Turn
from deploy.cli.upload_progress import Observe, Outcome, UploadProgress, ignore
from deploy.cli.upload_trace import file_trace, trace_id
from pipeline.core.media_types import type_of_name
from pipeline.core.retry import GiveUp
from pipeline.tracing import note_outcome, note_upload
from schemas.uploads import CreateUpload, UploadView

# Rounds of sending in a row after which the same segments are missing.
_MAX_FRUITLESS_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class UploaderOptions:
    """How files are sent. `content_type` None: guessed from each file's name."""

    concurrency: int = 4
    digest: DigestName = "crc32c"
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def files_at_once(self) -> int:
        """Uploads in flight: those being sent, and those that the server processes."""
        return 4 * self.concurrency


class Uploader:
    """Uploads files through one client."""

    def __init__(
        self,
        client: SluiceClient,
        states: ResumeStates,
        options: UploaderOptions | None = None,
        *,
        observe: Observe = ignore,
    ) -> None:
        self._client = client
        self._states = states
        self._options = options or UploaderOptions()
        self._in_flight = asyncio.Semaphore(self._options.files_at_once)
        self._sending = asyncio.Semaphore(self._options.concurrency)
        self._slots = asyncio.Semaphore(self._options.concurrency)
        self._follower = Follower(client)
        self._unfinished = 0
        self._observe = observe

    async def send(self, path: Path) -> Outcome:
        """Upload one file and wait until its upload has ended.

        Raises ClientError when that fails; the next call continues from there.
        """
        self._unfinished += 1
        try:
            async with self._in_flight:
                with file_trace(), SegmentFile(path) as file:
                    return await self._send(file, UploadProgress(path, file.stat.st_size))
        finally:
            self._unfinished -= 1

    async def _send(self, file: SegmentFile, progress: UploadProgress) -> Outcome:
        content_type = self._options.content_type or type_of_name(file.path.name)
        identity = UploadIdentity.of(file.path, file.stat, self._client.server, content_type, self._options.metadata)
        state: ResumeState | None = None
        try:
            while state is None or progress.view.status not in ENDED:
                try:
                    async with Turn(self._sending) as turn:
                        if state is None:
                            state = await self._open(identity, progress)
                        await self._send_until_complete(file, progress, turn)
                except ApiError as error:
                    if state is not None or not is_wait(error):
                        raise
                    # Without a turn: uploads that have to end first may need one.
                    await self._wait(error, progress)
                    continue
                # Neither wait holds back another file, which may have to be sent again to make room on the server.
                if progress.view.status == "waiting":
                    state = await self._wait_for_room(state, progress)
                else:
                    await self._follow_processing(progress)
        except FileChangedError:
            if state is not None:
                with contextlib.suppress(ClientError):
                    await self._client.cancel(progress.view.id)
                self._states.forget(state)
            raise
        view = progress.view
        progress.report_media(self._observe)
        self._states.forget(state)
        content = await self._client.content(view.content_id, self._on_retry(progress)) if view.content_id else None
        note_outcome(view.status)
        self._observe("ended", progress, {"status": view.status, "content": content})
        return Outcome(file.path, view, content)

    async def _open(self, identity: UploadIdentity, progress: UploadProgress) -> ResumeState:
        """Find the upload that an earlier run created, or create one."""
        request = self._request(identity, progress)
        state, replaced = self._states.open(identity)
        if replaced is not None and replaced.upload_id is not None:
            with contextlib.suppress(ApiError):  # it may have ended meanwhile
                await self._client.cancel(replaced.upload_id)
        if state.upload_id is not None:
            try:
                progress.upload = await self._client.upload(state.upload_id, self._on_retry(progress))
            except ApiError as error:
                if error.code != "UPLOAD_NOT_FOUND":
                    raise
            if progress.upload is not None and progress.upload.status not in ENDED - {"ready"}:
                note_upload(state.upload_id)
                self._observe("resumed", progress, {"missing_segments": progress.upload.missing_segments})
                return state
            state = self._states.begin(identity)
        view = await self._client.create(request, state.idempotency_key, self._on_retry(progress), waits=False)
        # A run that was killed before it received the response may have created it, and it may have ended since.
        if view.status in ENDED - {"ready"}:
            state = self._states.begin(identity)
            view = await self._client.create(request, state.idempotency_key, self._on_retry(progress), waits=False)
        progress.upload = view
        note_upload(view.id)
        self._observe("created", progress, {"status": view.status, "trace_id": trace_id()})
        return self._states.keep_id(state, view.id)

    async def _wait(self, error: ApiError, progress: UploadProgress) -> None:
        """Wait for as long as a limit of the server asks."""
        decision = decide(error, 1, PATIENT, random.random())
        if isinstance(decision, GiveUp):
            raise error
        self._on_retry(progress)(error, 1, decision.seconds)
        await asyncio.sleep(decision.seconds)

    async def _wait_for_room(self, state: ResumeState, progress: UploadProgress) -> ResumeState | None:
        """Return when the upload has been admitted. None: the server has lost it. It keeps nothing of an upload that
        waits but its record, so the upload is created again."""
        try:
            await self._follow(progress, "waiting", lambda now: now.status != "waiting")
        except ApiError as error:
            if error.code != "UPLOAD_NOT_FOUND":
                raise
            progress.upload = None
            self._states.forget(state)
            return None
        return state

    def _request(self, identity: UploadIdentity, progress: UploadProgress) -> CreateUpload:
        """The upload to create. Raises RequestInvalidError."""
        filename = server_filename(progress.path.name)
        try:
            request = CreateUpload(
                filename=filename,
                size=identity.size_bytes,
                content_type=identity.content_type,
                metadata=dict(identity.metadata),
            )
        except ValidationError as error:
            raise RequestInvalidError.of(error, identity.content_type) from None
        if filename != progress.path.name:
            self._observe("renamed", progress, {"filename": filename})
        return request

    async def _send_until_complete(self, file: SegmentFile, progress: UploadProgress, turn: Turn) -> None:
        """Send what is missing, until every segment was accepted once, or the upload waits for room or has ended."""
        while (view := progress.view).status not in ENDED | {"waiting"} and view.missing_segments:
            self._observe("sending", progress, {"missing_segments": view.missing_segments})
            on_retry = self._on_retry(progress)
            segments = SegmentRound(
                self._client,
                file,
                progress,
                self._options.digest,
                slots=self._slots,
                turn=turn,
                follows=self._follows(view),
                observe=self._observe,
                on_retry=on_retry,
            )
            if await segments.run():
                return
            await turn.take()
            progress.refresh(await self._client.upload(view.id, on_retry))

    def _follows(self, view: UploadView) -> bool:
        """Whether the upload's events are followed while its segments are sent. Small files are sent before an event
        could say anything, and a stream for each of many would cost the server more than they do."""
        missing = count_of(view.missing_segments)
        return missing > self._options.concurrency or (missing > 1 and self._unfinished == 1)

    async def _follow_processing(self, progress: UploadProgress) -> None:
        """Return when the upload has ended or the server misses segments. Raises ClientError when it has listed the
        same ones for several rounds in which it accepted them."""
        before = progress.view
        if before.status in ENDED:
            return
        complete_once = not before.missing_segments

        def until(now: UploadView) -> bool:
            nonlocal complete_once
            complete_once = complete_once or not now.missing_segments
            return now.status in ENDED or bool(now.missing_segments)

        await self._follow(progress, "processing", until)
        now = progress.view
        if now.status in ENDED:
            return
        if complete_once:
            self._observe("lost", progress, {"missing_segments": now.missing_segments})
        repeats = not complete_once and now.missing_segments == before.missing_segments
        progress.fruitless_rounds = progress.fruitless_rounds + 1 if repeats else 0
        if progress.fruitless_rounds == _MAX_FRUITLESS_ROUNDS:
            raise ClientError(f"{self._client.server} accepts segments of {now.id} but still lists them as missing.")

    async def _follow(self, progress: UploadProgress, event: str, until: Callable[[UploadView], bool]) -> None:
        found = self._follower.views(progress.view, self._on_retry(progress), alone=self._unfinished == 1)
        async with contextlib.aclosing(found) as views:
            async for view in views:
                progress.refresh(view)
                progress.report_media(self._observe)
                if until(view):
                    return
                self._observe(event, progress, {"queue_position": view.queue_position, "stages": view.stages})

    def _on_retry(self, progress: UploadProgress) -> Callable[[ClientError, int, float], None]:
        def report(error: ClientError, attempt: int, seconds: float) -> None:
            self._observe(
                "retry", progress, {"attempt": attempt, "after_seconds": round(seconds, 2), "reason": str(error)}
            )

        return report
