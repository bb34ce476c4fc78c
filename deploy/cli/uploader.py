"""Uploads files, one after another or several at once, and waits until each upload has ended.

Guarantee: however a run ends, the next run sends only the missing segments. At most `concurrency` segments are being
sent at once, over all files. After each round of sending the gateway is asked which segments are missing, so a segment
that the server lost is sent again. When a file changes, its upload cannot be completed and is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.cli.client import ENDED, SluiceClient
from deploy.cli.errors import ApiError, ClientError, FileChangedError
from deploy.cli.resume import ResumeState, ResumeStates, UploadIdentity
from deploy.cli.segment_file import DigestName, SegmentFile
from pipeline.core.media_types import type_of_name
from pipeline.core.segments import SegmentPlan
from schemas.content import Content
from schemas.uploads import CreateUpload, UploadView

# A segment refused with one of these says that the upload's status changed: fetch the upload and continue from there.
_STATUS_CHANGED: Final = frozenset({"UPLOAD_WAITING", "UPLOAD_ENDED", "UPLOAD_EXPIRED", "UPLOAD_CANCELLED"})
# Rounds of sending in a row after which the same segments are missing.
_MAX_FRUITLESS_ROUNDS: Final = 5


@dataclass(slots=True)
class UploadProgress:
    """The progress of one file, as observers see it. `under_way` maps a segment's number to its bytes sent so far."""

    path: Path
    size_bytes: int
    view: UploadView | None = None
    under_way: dict[int, int] = field(default_factory=dict)

    @property
    def sent_bytes(self) -> int:
        """Bytes that the gateway has received, and bytes of segments that are being sent."""
        received = self.view.bytes_received if self.view else 0
        return min(self.size_bytes, received + sum(self.under_way.values()))


Observe = Callable[[str, UploadProgress, Mapping[str, object]], None]
"""Called with an event (created, resumed, waiting, sending, bytes, segment, lost, processing, retry, ended), the
file's progress, and the event's facts.
"""


def ignore(event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
    """An observer that does nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an upload ended. `content` is None unless its status is `ready`."""

    path: Path
    view: UploadView
    content: Content | None


@dataclass(frozen=True, slots=True)
class UploaderOptions:
    """How files are sent. `content_type` None: guessed from each file's name."""

    concurrency: int = 4
    digest: DigestName = "sha-256"
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


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
        self._slots = asyncio.Semaphore(self._options.concurrency)
        self._observe = observe

    async def send(self, path: Path) -> Outcome:
        """Upload one file and wait until its upload has ended.

        Raises ClientError or OSError when that fails; the next call continues from there.
        """
        with SegmentFile(path) as file:
            progress = UploadProgress(path, file.stat.st_size)
            content_type = self._options.content_type or type_of_name(path.name)
            identity = UploadIdentity.of(path, file.stat, self._client.server, content_type, self._options.metadata)
            state = await self._open(identity, progress)
            try:
                view = await self._drive(file, progress)
            except FileChangedError:
                await self._client.cancel(_view(progress).id)
                self._states.forget(state)
                raise
            self._states.forget(state)
            content = await self._client.content(view.content_id) if view.content_id else None
            self._observe("ended", progress, {"status": view.status, "content": content})
            return Outcome(path, view, content)

    async def _open(self, identity: UploadIdentity, progress: UploadProgress) -> ResumeState:
        """Find the upload that an earlier run created, or create one."""
        state, replaced = self._states.open(identity)
        if replaced is not None and replaced.upload_id is not None:
            with contextlib.suppress(ApiError):  # it may have ended meanwhile
                await self._client.cancel(replaced.upload_id)
        if state.upload_id is not None:
            try:
                progress.view = await self._client.upload(state.upload_id, self._on_retry(progress))
            except ApiError as error:
                if error.code != "UPLOAD_NOT_FOUND":
                    raise
            if progress.view is not None and progress.view.status not in ENDED - {"ready"}:
                self._observe("resumed", progress, {"missing_segments": progress.view.missing_segments})
                return state
            state = self._states.begin(identity)
        request = CreateUpload(
            filename=identity.path.name,
            size=identity.size_bytes,
            content_type=identity.content_type,
            metadata=dict(identity.metadata),
        )
        view = await self._client.create(request, state.idempotency_key, self._on_retry(progress))
        # A run that was killed before it received the response may have created it, and it may have ended since.
        if view.status in ENDED - {"ready"}:
            state = self._states.begin(identity)
            view = await self._client.create(request, state.idempotency_key, self._on_retry(progress))
        progress.view = view
        self._observe("created", progress, {"status": view.status})
        return self._states.keep_id(state, view.id)

    async def _drive(self, file: SegmentFile, progress: UploadProgress) -> UploadView:
        """Do what the upload's status calls for until the upload has ended."""
        fruitless = 0
        complete_once = False
        while (view := _view(progress)).status not in ENDED:
            if view.status == "waiting":
                await self._follow(progress, "waiting", lambda now: now.status != "waiting")
            elif view.missing_segments:
                if complete_once:
                    self._observe("lost", progress, {"missing_segments": view.missing_segments})
                self._observe("sending", progress, {"missing_segments": view.missing_segments})
                await self._send_missing(file, progress)
                progress.view = await self._client.upload(view.id, self._on_retry(progress))
                fruitless = fruitless + 1 if progress.view.missing_segments == view.missing_segments else 0
                if fruitless == _MAX_FRUITLESS_ROUNDS:
                    raise ClientError(
                        f"{self._client.server} accepts segments of {view.id} but still lists them as missing."
                    )
            else:
                complete_once = True
                await self._follow(
                    progress, "processing", lambda now: now.status in ENDED or bool(now.missing_segments)
                )
        return _view(progress)

    async def _follow(self, progress: UploadProgress, event: str, until: Callable[[UploadView], bool]) -> None:
        async for view in self._client.watch(_view(progress).id, self._on_retry(progress)):
            progress.view = view
            if until(view):
                return
            self._observe(event, progress, {"queue_position": view.queue_position, "stages": view.stages})

    async def _send_missing(self, file: SegmentFile, progress: UploadProgress) -> None:
        """Send every segment that is missing now. The first error that is final ends the round."""
        view = _view(progress)
        plan = SegmentPlan(view.size, view.segment_size)
        numbers = (number for first, last in view.missing_segments for number in range(first, last + 1))
        try:
            async with asyncio.TaskGroup() as group:
                for number in numbers:
                    await self._slots.acquire()
                    task = group.create_task(self._send_segment(file, progress, plan, number))
                    task.add_done_callback(lambda _: self._slots.release())
        except* ClientError as errors:
            final = next((error for error in _leaves(errors) if not _is_status_change(error)), None)
            if final is not None:
                raise final from None
        finally:
            progress.under_way.clear()

    async def _send_segment(self, file: SegmentFile, progress: UploadProgress, plan: SegmentPlan, number: int) -> None:
        offset, length = plan.offset(number), plan.length(number)

        def sent(sent_bytes: int) -> None:
            progress.under_way[number] = sent_bytes
            self._observe("bytes", progress, {})

        file.check_unchanged()
        digest = await file.digest_header(offset, length, self._options.digest)
        received = await self._client.put_segment(
            _view(progress), number, length, lambda: file.blocks(offset, length, sent), digest, self._on_retry(progress)
        )
        file.check_unchanged()
        progress.under_way[number] = length
        self._observe("segment", progress, {"number": number, "size_bytes": length, "repeated": received.repeated})

    def _on_retry(self, progress: UploadProgress) -> Callable[[ClientError, int, float], None]:
        def report(error: ClientError, attempt: int, seconds: float) -> None:
            self._observe(
                "retry", progress, {"attempt": attempt, "after_seconds": round(seconds, 2), "reason": str(error)}
            )

        return report


def _view(progress: UploadProgress) -> UploadView:
    if progress.view is None:
        raise RuntimeError("the upload was not created yet")
    return progress.view


def _is_status_change(error: ClientError) -> bool:
    return isinstance(error, ApiError) and error.code in _STATUS_CHANGED


def _leaves(group: BaseExceptionGroup[ClientError]) -> Iterable[ClientError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
