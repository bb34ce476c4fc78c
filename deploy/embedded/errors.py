"""Errors of the embedded stack. Each message says what a person can do.

StackError                the stack cannot do what was asked
└── ServerFailedError     a server died or did not start; has the last lines of its log
"""

from __future__ import annotations

from pathlib import Path

LOG_TAIL_LINES = 30
_LOG_TAIL_BYTES = 16_384


class StackError(RuntimeError):
    """The stack cannot do what was asked."""


class ServerFailedError(StackError):
    """A server died or did not become ready within its deadline."""

    def __init__(self, name: str, what_happened: str, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        super().__init__(f"{name} {what_happened}. Last lines of {log_path}:\n{log_tail(log_path)}")


def log_tail(log_path: Path) -> str:
    """The last lines of a log, indented, or a note that there is none."""
    try:
        with log_path.open("rb") as log:
            size_bytes = log.seek(0, 2)
            log.seek(max(0, size_bytes - _LOG_TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return "    (no log was written)"
    lines = text.splitlines()[-LOG_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (the log is empty)"
