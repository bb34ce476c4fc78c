"""What the end of a reading means: whose fault it was, and which error that is.

Guarantee: a fault of the file is a MediaError, which is not retried; a fault of the machine is MEDIA_TOOL_FAILED, which
is. What the child reports about itself can only put the fault on its file.
"""

from __future__ import annotations

import signal
import unicodedata
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

from pipeline.adapters.media.conversation import Conversation
from pipeline.adapters.media.faults import tool_failed
from pipeline.adapters.media.host_process import Child, Ended
from pipeline.adapters.media.protocol import EXIT_UNCONFINED
from pipeline.core.errors import MediaError
from schemas.media import MediaMetadata

# Signals that a program raises by its own mistake. Any other comes from the kernel, a supervisor or an operator.
_CRASHES: Final = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGSYS,
        signal.SIGXFSZ,
        signal.SIGPIPE,
    }
)
_JPEG: Final = b"\xff\xd8"
# The limit counts whole ticks, and what `wait4` reports does not: on a busy virtual machine it is a fifth less.
_SPENT_SHARE: Final = 0.7


class Verdict(StrEnum):
    """How a reading ended. The values are labels of metrics."""

    FOUND = "found"
    REFUSED = "refused"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    OUT_OF_TIME = "out_of_time"
    STARVED = "starved"
    """The machine was too busy to let it use its time."""
    KILLED = "killed"
    UNCONFINED = "unconfined"
    SOURCE_FAILED = "source_failed"


def judge(talk: Conversation, child: Child, ended: Ended, cpu_seconds: int, wall_seconds: float) -> Verdict:
    """The verdict on a reading with these limits."""
    if talk.source_error is not None:
        return Verdict.SOURCE_FAILED
    if talk.violation or talk.failure is not None or (talk.jpeg and not talk.jpeg.startswith(_JPEG)):
        return Verdict.CRASHED
    if talk.timed_out:
        starved = ended.cpu_seconds + ended.waited_seconds > wall_seconds / 2 and not _spent(ended, cpu_seconds)
        return Verdict.STARVED if starved else Verdict.OUT_OF_TIME
    if talk.refusal is not None:
        return Verdict.REFUSED
    if talk.out_of_memory:
        return Verdict.OUT_OF_MEMORY
    if talk.jpeg is not None:
        return Verdict.FOUND
    return _judge_exit(talk, child, ended, cpu_seconds)


def _judge_exit(talk: Conversation, child: Child, ended: Ended, cpu_seconds: int) -> Verdict:
    code = ended.exit_code
    if child.killed or code == 1:
        return Verdict.CRASHED
    if code == 0:  # all that was asked for is sent, or the child ended early
        return Verdict.CRASHED if talk.metadata is None else Verdict.FOUND
    if code == EXIT_UNCONFINED and not talk.ranges:  # hostile bytes must have been read to choose a status
        return Verdict.UNCONFINED
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and _spent(ended, cpu_seconds)):
        return Verdict.OUT_OF_TIME
    if code is not None and (code > 0 or -code in _CRASHES):
        return Verdict.CRASHED
    return Verdict.KILLED


def _spent(ended: Ended, cpu_seconds: int) -> bool:
    """It has used all of its CPU time."""
    return ended.cpu_seconds >= cpu_seconds * _SPENT_SHARE


def error_of(verdict: Verdict, talk: Conversation, timeout_seconds: float) -> Exception:
    """The error of a reading that found nothing."""
    if talk.source_error is not None:
        return talk.source_error
    match verdict:
        case Verdict.REFUSED:
            return MediaError("NOT_MEDIA", reason=talk.refusal)
        case Verdict.OUT_OF_MEMORY:
            return MediaError("NOT_MEDIA", reason="reading it needs more memory than is allowed")
        case Verdict.OUT_OF_TIME:
            return MediaError("MEDIA_TIMEOUT", timeout_seconds=timeout_seconds)
        case Verdict.STARVED:
            return tool_failed("the machine is too busy to run it")
        case Verdict.KILLED:
            return tool_failed("it was killed by another process or the kernel")
        case Verdict.UNCONFINED:
            return tool_failed("it could not be confined")
    return MediaError("NOT_MEDIA", reason="the reader crashed while reading it")


def checked_metadata(content: bytes, size_bytes: int) -> MediaMetadata | None:
    """The metadata that a child has sent; None if it is not what the code inside sends."""
    try:
        metadata = MediaMetadata.model_validate_json(content)
    except ValidationError:
        return None
    if metadata.size_bytes != size_bytes or not _is_printable(metadata.model_dump()):
        return None
    return metadata


def _is_printable(value: Any) -> bool:
    """No control character in any text: databases refuse NUL, and terminals obey escapes."""
    if isinstance(value, str):
        return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
    if isinstance(value, dict):
        return all(_is_printable(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(map(_is_printable, value))
    return True
