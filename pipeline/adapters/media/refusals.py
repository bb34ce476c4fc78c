"""Translates how ffprobe or ffmpeg ended into our errors. Only this module knows their messages and exit codes.

Guarantee: the caller gets a result or a `SluiceError` of the catalogue. No message of the tool, and so no path, reaches
a client. If the file is at fault the error is a MediaError, which is not retried; if the machine is, MEDIA_TOOL_FAILED;
if the disk is, TEMP_VOLUME_FAILED; both are retried.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from pipeline.adapters.media.sandbox import Sandbox, ToolResult
from pipeline.core.errors import MediaError, SluiceError, TempVolumeError

_FILE_AT_FAULT = (
    ("moov atom not found", "the recording is cut off: its index (moov) is missing"),
    ("not on whitelist", "its format is not one that is accepted"),
    ("Cannot allocate memory", "reading it needs more memory than is allowed"),
    ("End of file", "it ends before any content"),
)
_MACHINE_AT_FAULT = (
    ("Unrecognized option", "this version lacks a required option; ffmpeg 7.1 or newer is required"),
    ("Option not found", "this version lacks a required option; ffmpeg 7.1 or newer is required"),
    ("Protocol not found", "this build lacks the fd protocol; ffmpeg 7.1 or newer is required"),
    ("error while loading shared libraries", "a shared library is missing"),
    ("Too many open files", "too many files are open"),
    ("Resource temporarily unavailable", "the machine has no room for another thread or process"),
    ("Permission denied", "permission to read the temp file is missing"),
    ("Stale file handle", "the temp volume was mounted anew"),
)
# Signals that a program raises by its own mistake. Any other comes from the kernel, a supervisor or an operator.
_CRASHES = frozenset(
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
_DISK_AT_FAULT = "Input/output error"
_COULD_NOT_START = {126: "permission to execute it is missing", 127: "it was not found"}


async def run_tool(
    sandbox: Sandbox, argv: Sequence[str], path: Path, *, timeout_seconds: float, stdout_limit_bytes: int
) -> ToolResult:
    """`Sandbox.run`, raising MEDIA_TIMEOUT, MEDIA_TOOL_FAILED, TEMP_FILE_MISSING or TEMP_VOLUME_FAILED."""
    tool = Path(argv[0]).name
    try:
        if not (path.is_file() or path.is_char_device()):
            raise TempVolumeError("TEMP_FILE_MISSING")
    except OSError as error:
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason=error.strerror or str(error)) from error
    try:
        return await sandbox.run(
            argv, stdin=path, timeout_seconds=timeout_seconds, stdout_limit_bytes=stdout_limit_bytes
        )
    except TimeoutError as error:
        raise MediaError("MEDIA_TIMEOUT", timeout_seconds=timeout_seconds) from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise TempVolumeError("TEMP_VOLUME_FAILED", reason=os.strerror(errno.EIO)) from error
        raise SluiceError("MEDIA_TOOL_FAILED", tool=tool, reason=error.strerror or str(error)) from error
    except (RuntimeError, MemoryError) as error:  # no thread or no memory to watch the process with
        raise SluiceError("MEDIA_TOOL_FAILED", tool=tool, reason=str(error) or type(error).__name__) from error


def raise_for_exit(result: ToolResult, tool: str, timeout_seconds: float) -> None:
    """Raise the error of a failed run; return if the run succeeded."""
    code = result.exit_code
    if code == 0:
        return
    if code == -signal.SIGXCPU:
        raise MediaError("MEDIA_TIMEOUT", timeout_seconds=timeout_seconds)
    if code < 0 and -code not in _CRASHES:  # SIGKILL: by the kernel when out of memory; SIGTERM: by a supervisor
        raise SluiceError("MEDIA_TOOL_FAILED", tool=tool, reason="it was killed by another process or the kernel")
    if code < 0:
        raise MediaError("NOT_MEDIA", reason="the media tool crashed while reading it")
    if _DISK_AT_FAULT in result.stderr:
        raise TempVolumeError("TEMP_VOLUME_FAILED", reason="the temp file could not be read")
    for sign, reason in _MACHINE_AT_FAULT:
        if sign in result.stderr:
            raise SluiceError("MEDIA_TOOL_FAILED", tool=tool, reason=reason)
    if code in _COULD_NOT_START:
        raise SluiceError("MEDIA_TOOL_FAILED", tool=tool, reason=_COULD_NOT_START[code])
    for sign, reason in _FILE_AT_FAULT:
        if sign in result.stderr:
            raise MediaError("NOT_MEDIA", reason=reason)
    raise MediaError("NOT_MEDIA", reason="it contains no known media format")
