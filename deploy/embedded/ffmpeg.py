"""ffmpeg, which makes sample videos: the static binary of a wheel, or the one on PATH. Uploads are read without it."""

from __future__ import annotations

import shutil

from deploy.embedded.errors import StackError


def ffmpeg_path() -> str:
    """The path of the program."""
    try:
        import imageio_ffmpeg
    except ImportError:
        on_path = shutil.which("ffmpeg")
        if on_path is None:
            raise StackError("ffmpeg is missing: install sluice[embedded], or put it on PATH") from None
        return on_path
    return str(imageio_ffmpeg.get_ffmpeg_exe())
