"""A sample video, made on the spot: ffmpeg's moving test picture with noise and a tone.

The noise is what makes it large: about 37 MB in 12 seconds, so that it goes as several segments.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

_SECONDS = 12
_BIT_RATE = "24M"


def make_sample_video(ffmpeg: str, target: Path) -> None:
    """Writes an MP4 (H.264, AAC) to `target`; takes a few seconds. Raises ClickException with ffmpeg's own words."""
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
            f"{ffmpeg} could not make the sample video: {made.stderr.strip()}\nSend a file of your own: --file"
        )
