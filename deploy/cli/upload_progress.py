"""What `Uploader` reports: the progress of one file, the events of its upload, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.content import Content
from schemas.uploads import UploadView


@dataclass(slots=True)
class UploadProgress:
    """The progress of one file, as observers see it. `under_way` maps a segment's number to its bytes sent so far."""

    path: Path
    size_bytes: int
    upload: UploadView | None = None
    under_way: dict[int, int] = field(default_factory=dict)
    fruitless_rounds: int = 0

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


Observe = Callable[[str, UploadProgress, Mapping[str, object]], None]
"""Called with an event (renamed, created, resumed, waiting, sending, bytes, segment, lost, processing, retry, ended),
the file's progress, and the event's facts.
"""


def ignore(event: str, progress: UploadProgress, facts: Mapping[str, object]) -> None:
    """An observer that does nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an upload ended. `content` is None unless its status is `ready`."""

    path: Path
    view: UploadView
    content: Content | None
