"""What `Uploader` reports: the progress of one file, the events of its upload, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.content import Content
from schemas.uploads import UploadView

Observe = Callable[[str, "UploadProgress", Mapping[str, object]], None]
"""Called with an event (renamed, created, resumed, waiting, sending, bytes, segment, window_full, media, lost,
processing, retry, ended), the file's progress, and the event's facts.
"""


@dataclass(slots=True)
class UploadProgress:
    """The progress of one file, as observers see it. `under_way` maps a segment's number to its bytes sent so far."""

    path: Path
    size_bytes: int
    upload: UploadView | None = None
    under_way: dict[int, int] = field(default_factory=dict)
    fruitless_rounds: int = 0
    media_is_reported: bool = False

    @property
    def view(self) -> UploadView:
        """The upload as the gateway last described it. Raises RuntimeError when it has not been created yet."""
        if self.upload is None:
            raise RuntimeError("the upload was not created yet")
        return self.upload

    @property
    def sent_bytes(self) -> int:
        """Bytes that the gateway has received, and bytes of segments that are being sent."""
        received = self.upload.bytes_received if self.upload else 0
        return min(self.size_bytes, received + sum(self.under_way.values()))

    def refresh(self, view: UploadView) -> None:
        """Take over the gateway's description, which includes the segments sent so far."""
        self.upload = view
        self.under_way.clear()

    def update(self, view: UploadView) -> None:
        """Take over the gateway's description while segments are being sent: it may be older than their responses."""
        self.upload = view
        missing = view.missing_segments
        for number in [n for n in self.under_way if not any(first <= n <= last for first, last in missing)]:
            del self.under_way[number]

    def report_media(self, observe: Observe) -> None:
        """Report the metadata once, as soon as the gateway knows it."""
        if not self.media_is_reported and self.upload is not None and self.upload.media is not None:
            self.media_is_reported = True
            observe("media", self, {"media": self.upload.media})


def ignore(event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
    """An observer that does nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an upload ended. `content` is None unless its status is `ready`."""

    path: Path
    view: UploadView
    content: Content | None
