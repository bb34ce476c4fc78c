"""How many files and connections a process may have open (RLIMIT_NOFILE), and how many clients a gateway can serve.

Guarantee: a gateway reserves descriptors for temp files, stores, Redis and PostgreSQL, so that connections of clients
never take them from uploads in progress.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from pipeline.settings import Settings

MOST_CONNECTIONS: Final = 4096
"""Of a gateway that derives its limit: a connection that sends a body can take 320 KiB of memory."""
_FEWEST_CONNECTIONS: Final = 32
_ADVISED_CONNECTIONS: Final = 1000
_UNLIMITED: Final = 1_048_576
"""What the kernel accepts at most by default (fs.nr_open)."""

# Standard streams, the event loop, listening sockets, logs, libraries, requests to identity providers and caches.
_PROCESS: Final = 32
# asyncio's threads (at most 32) open one file each, and a stage of preallocation one more.
_FILES: Final = 40
_STORE: Final = 16
_SIGNALS: Final = 2


class TooFewDescriptorsError(Exception):
    """The limit of open files is too small. The message says what to set."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """`descriptors`: the limit of open files. `connections`: the clients that a gateway serves at once. `warning`: ""
    if that is enough."""

    descriptors: int
    connections: int
    warning: str = ""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard limit; the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # fs.nr_open is smaller than the hard limit
        return soft
    return wanted


def gateway_capacity(settings: Settings, descriptors: int) -> Capacity:
    """How many clients a gateway with this limit of open files serves. Raises TooFewDescriptorsError."""
    kept = _PROCESS + _FILES + _STORE + _SIGNALS + settings.redis_connections + settings.database_pool + 2
    left = max(0, descriptors - kept)
    # Each streamed download has a connection to the store beside that of its client.
    possible = max(left // 2, left - settings.download_concurrency)
    if possible < _FEWEST_CONNECTIONS:
        raise TooFewDescriptorsError(
            f"The limit of open files is {descriptors}, of which a gateway needs {kept} for itself. Raise it to 4096 "
            "or more (`ulimit -n 4096`, LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
        )
    wanted = settings.connections or min(possible, MOST_CONNECTIONS)
    connections = min(wanted, possible)
    needed = kept + settings.download_concurrency + max(settings.connections, _ADVISED_CONNECTIONS)
    warning = ""
    if connections < (settings.connections or _ADVISED_CONNECTIONS):
        warning = (
            f"The limit of open files is {descriptors}: a gateway serves {connections} connections at once. Raise it "
            f"to {needed} or more (`ulimit -n`, LimitNOFILE= of systemd, --ulimit nofile= of Docker)."
        )
    return Capacity(descriptors, connections, warning)
