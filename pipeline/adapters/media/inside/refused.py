"""The one error of this package: the file is not media that Sluice accepts."""

from __future__ import annotations


class NotMedia(Exception):
    """`reason` is for people: it names what is wrong with the file, and no path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
