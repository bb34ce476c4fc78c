"""Creates a sample video with ffmpeg: a moving test picture with noise, and a tone.

The noise makes it large, about 37 MB for 12 seconds, so that it is sent in several segments.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

_SECONDS = 12
_BIT_RATE = "24M"


def make_sample_video(ffmpeg: str, target: Path) -> None:
    """Write an MP4 (H.264, AAC) to `target`. Takes a few seconds. Raises ClickException with ffmpeg's error output."""
    command = [ffmpeg, "-hide_banner", "-nostdin", "-v", "error", "-y"]
    command += [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=30",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
    ]
    command += ["-t", str(_SECONDS), "-vf", "noise=alls=24:allf=t", "-pix_fmt", "yuv420p"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", _BIT_RATE, "-c:a", "aac", "-movflags", "+faststart"]
    made = subprocess.run([*command, str(target)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise click.ClickException(
            f"{ffmpeg} could not create the sample video: {made.stderr.strip()}\nUse a file of your own with --file."
        )
