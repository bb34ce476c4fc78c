"""Standard output of a command: whole lines, and an error of its own when they cannot be written.

Guarantee: an output that is closed or full is never mistaken for a failed file or request.
"""

from __future__ import annotations

import errno
import os
import select

import click
from rich.console import Console


class OutputError(Exception):
    """Standard output cannot be written. `closed`: its reader has gone (`sluice status | head -1`)."""

    def __init__(self, error: OSError) -> None:
        self.closed = error.errno == errno.EPIPE
        super().__init__(f"The output cannot be written: {os.strerror(error.errno or errno.EIO)}.")


def print_line(text: str) -> None:
    """Print one line at once, without buffering. Raises OutputError."""
    try:
        click.echo(text)
    except OSError as error:
        raise OutputError(error) from error


def on_terminal(console: Console) -> bool:
    """Whether a person reads `console` on a terminal that can move its cursor. FORCE_COLOR does not change that."""
    return console.file.isatty() and not console.is_dumb_terminal


def reader_has_gone() -> bool:
    """Whether standard output or standard error is a pipe that nobody reads any more."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, select.POLLOUT)
    return any(events & select.POLLERR for _, events in poll.poll(0))
