"""What happens when a process cannot listen at the address that its settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CannotListenError(Exception):
    """The address is in use, not one of this machine's, or not permitted. The message says which settings name it."""


@contextmanager
def listening_at(host: str, port: int, port_setting: str) -> Iterator[None]:
    """Around the call that binds a socket. Raises CannotListenError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise CannotListenError(
            f"Cannot listen on SLUICE_HOST={host}, {port_setting}={port}: {error.strerror or error}"
        ) from error
