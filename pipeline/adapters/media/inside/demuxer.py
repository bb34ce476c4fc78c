"""Opens a file with libavformat and says why it is not media if it is not.

Guarantee: only the formats of `formats` are opened, and what is read to recognise one is bounded. Nothing but the file
is read: no format refers to other files, and the list is checked before content is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar, cast

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from pipeline.adapters.media.inside.formats import FORMAT_WHITELIST, MINIMUM_PROBE_SCORE
from pipeline.adapters.media.inside.metered import Metered
from pipeline.adapters.media.inside.refused import NotMedia
from schemas.media import MAX_FILE_STREAMS

_PROBE_BYTES = 1024 * 1024
_PROBE_MICROSECONDS = 5_000_000
_BUFFER_BYTES = 32 * 1024
_MAX_LINES = 500

_REASONS = (
    ("moov atom not found", "the recording is cut off: its index (moov) is missing"),
    ("max_streams", f"it has more than {MAX_FILE_STREAMS:,} streams, the most that are accepted"),
    ("not on whitelist", "its format is not one that is accepted"),
    ("Cannot allocate memory", "reading it needs more memory than is allowed"),
)
_LOW_SCORE = re.compile(r"Format (\S+) detected only with low score of (\d+)")
_GUESSED_DURATION = "Estimating duration from bitrate"

Kind = TypeVar("Kind", bound=Stream)


@dataclass(slots=True)
class Opened:
    """An open container. `file` limits what it reads. `guessed_duration`: libavformat divided the size by the bit rate
    of the beginning. `at_start`: no packet has been read."""

    container: InputContainer
    file: Metered
    guessed_duration: bool
    at_start: bool = True

    def packets(self, *streams: Kind) -> Iterator[Packet[Kind]]:
        """The packets of these streams, or of all, from here on. Raises av.FFmpegError."""
        self.at_start = False
        return cast("Iterator[Packet[Kind]]", self.container.demux(*streams))


@contextmanager
def opened(file: BinaryIO, form: str | None = None) -> Iterator[Opened]:
    """The open container, closed after the block; `form` names its format, else it is recognised. Raises NotMedia."""
    file.seek(0)
    metered = Metered(file)
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)  # what the file before this one caused is no repetition
    lines: list[str] = []
    try:
        with av.logging.Capture() as logs:
            try:
                container = av.open(
                    cast(BinaryIO, metered),  # read, seek and tell are what it has of one
                    "r",
                    form,
                    metadata_errors="replace",
                    buffer_size=_BUFFER_BYTES,
                    options={
                        "format_whitelist": FORMAT_WHITELIST,
                        "probesize": str(_PROBE_BYTES),
                        "formatprobesize": str(_PROBE_BYTES),
                        "analyzeduration": str(_PROBE_MICROSECONDS),
                        "max_streams": str(MAX_FILE_STREAMS),
                    },
                )
            except (av.FFmpegError, ValueError, UnicodeError) as error:
                raise NotMedia(_reason(error, _kept(logs))) from error
            lines = _kept(logs)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
    with container:
        _check_score(lines)
        yield Opened(container, metered, any(_GUESSED_DURATION in line for line in lines))


def _kept(logs: Sequence[tuple[int, str, str]]) -> list[str]:
    """The messages at the beginning and at the end: a damaged file causes any number."""
    return [message for _, _, message in (*logs[:_MAX_LINES], *logs[-_MAX_LINES:])]


def _reason(error: Exception, lines: list[str]) -> str:
    messages = [*lines, str(error)]
    for sign, reason in _REASONS:
        if any(sign in message for message in messages):
            return reason
    return "it contains no known media format"


def _check_score(lines: list[str]) -> None:
    """Raises NotMedia for a format without a magic number that the content only resembles."""
    for line in lines:
        if found := _LOW_SCORE.match(line):
            if int(found[2]) < MINIMUM_PROBE_SCORE.get(found[1], 1):
                raise NotMedia("its content only resembles a media format")
            return
