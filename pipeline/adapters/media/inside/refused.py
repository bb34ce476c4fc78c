"""The one error of this package: the file is not media that Sluice accepts."""

from __future__ import annotations

MAX_PIXELS = 2**28
"""268 million: more than the largest camera pictures (200 million); as RGBA it is 1 GiB in memory."""


class NotMedia(Exception):
    """`reason` is for people: it names what is wrong with the file, and no path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
