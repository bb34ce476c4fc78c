"""The messages between a worker, its reader host and the sandboxed children.

Two kinds of sockets. The control socket joins worker and host: a SOCK_SEQPACKET pair, one message a packet. A start
carries the child's socket as an SCM_RIGHTS descriptor. The child's socket joins worker and child: a stream. The worker
sends the job; after that, each response is exactly the bytes that the child requested. Nothing that a child sends is
trusted: the worker checks kinds, offsets and lengths, and every length has a limit.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

# Worker to host: what, the job's number, memory in bytes, CPU seconds, background.
ORDER: Final = struct.Struct("<BQQI?")
# Host to worker: what, the job's number, and by report: a process id, an errno, or a wait status with the microseconds
# of CPU time and of waiting for a CPU.
REPORT: Final = struct.Struct("<BQqQQ")
# Child to worker: what, offset, length. All except a request for a range are followed by `length` bytes.
HEADER: Final = struct.Struct("<BQI")
# Worker to child: the length of the job that follows, which is JSON.
JOB: Final = struct.Struct("<I")

PACKET_BYTES: Final = 64 * 1024
MAX_RANGE_BYTES: Final = 8 * 1024 * 1024
MAX_METADATA_BYTES: Final = 1024 * 1024
MAX_JPEG_BYTES: Final = 4 * 1024 * 1024
MAX_REASON_BYTES: Final = 4096

CHILD_SOCKET_FD: Final = 3
MAX_DESCRIPTORS: Final = 256
"""Of the host, which closes all that it has in each child."""
EXIT_UNCONFINED: Final = 77
"""Exit status of a child that could not confine itself, and so has read nothing."""


class Order(IntEnum):
    START = 1
    KILL = 2


class Report(IntEnum):
    HELLO = 1
    """The first one; what follows is JSON: the list of what is missing from the confinement."""
    STARTED = 2
    NOT_STARTED = 3
    ENDED = 4


class Said(IntEnum):
    """What a child sends."""

    RANGE = 1
    METADATA = 2
    JPEG = 3
    """Of no bytes: the file has nothing to show."""
    NOT_MEDIA = 4
    OUT_OF_MEMORY = 5
    FAILED = 6
    """An exception that the code inside does not expect; what follows is its traceback."""


class Task(IntEnum):
    """What a child is to do."""

    READ = 1
    """Metadata, then the picture."""
    DESCRIBE = 2
    PICTURE = 3


LIMITS: Final = {
    Said.METADATA: MAX_METADATA_BYTES,
    Said.JPEG: MAX_JPEG_BYTES,
    Said.NOT_MEDIA: MAX_REASON_BYTES,
    Said.OUT_OF_MEMORY: 0,
    Said.FAILED: MAX_REASON_BYTES,
}
