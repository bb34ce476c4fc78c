"""What a confined child does with one file: it receives its job, reads the file by ranges, and sends what it found.

Guarantee: it ends with status 0 once everything is sent, and when the worker has closed the socket. It sends at most
one result of each kind, each within its limit.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from pipeline.adapters.media.inside.metadata import describe, described
from pipeline.adapters.media.inside.picture import picture
from pipeline.adapters.media.inside.refused import NotMedia
from pipeline.adapters.media.protocol import CHILD_SOCKET_FD, HEADER, JOB, LIMITS, MAX_REASON_BYTES, Said, Task
from pipeline.adapters.media.ranges import RangeFile, read_exactly, write_all
from schemas.media import MediaMetadata


def serve(work: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Do the job that arrives on the socket. `work` is what to do with it, unless it is to read the file."""
    (length,) = JOB.unpack(read_exactly(CHILD_SOCKET_FD, JOB.size))
    job = json.loads(read_exactly(CHILD_SOCKET_FD, length))
    try:
        (work or _read)(job)
    except NotMedia as refusal:
        send(Said.NOT_MEDIA, refusal.reason.encode("utf-8", "replace")[:MAX_REASON_BYTES])
    except MemoryError:
        send(Said.OUT_OF_MEMORY, b"")
    except Exception:  # noqa: BLE001  # the code inside has met a file that it does not expect; the worker logs it
        send(Said.FAILED, traceback.format_exc().encode("utf-8", "replace")[-MAX_REASON_BYTES:])


def _read(job: dict[str, Any]) -> None:
    size_bytes, max_edge_pixels = job["size_bytes"], job["max_edge_pixels"]
    file = cast(BinaryIO, RangeFile(CHILD_SOCKET_FD, size_bytes))
    if job["task"] == Task.PICTURE:
        metadata = MediaMetadata.model_validate(job["metadata"])
        send(Said.JPEG, picture(file, metadata, max_edge_pixels) or b"")
    elif job["task"] == Task.DESCRIBE:
        send(Said.METADATA, describe(file, size_bytes).model_dump_json().encode())
    else:
        with described(file, size_bytes) as found:
            send(Said.METADATA, found.metadata.model_dump_json().encode())
            file.seek(0)
            send(Said.JPEG, picture(file, found.metadata, max_edge_pixels, found.media) or b"")


def send(what: Said, content: bytes) -> None:
    """Send a result. Raises NotMedia if it is too large."""
    if len(content) > LIMITS[what]:
        raise NotMedia("what it contains is larger than any result may be")
    write_all(CHILD_SOCKET_FD, HEADER.pack(what, 0, len(content)) + content)
