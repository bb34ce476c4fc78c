"""Outages of a test's own servers, each as long as a block lasts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.embedded import EmbeddedStack


@contextmanager
def killed(servers: EmbeddedStack, name: str) -> Iterator[None]:
    """The server is gone, by SIGKILL; afterwards it runs again, with the same port and the same data."""
    servers.stop_process(name, signal.SIGKILL)
    try:
        yield
    finally:
        servers.start_process(name)


@contextmanager
def frozen(servers: EmbeddedStack, name: str) -> Iterator[None]:
    """The server accepts connections and responds to nothing."""
    pid = servers.processes()[name]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
