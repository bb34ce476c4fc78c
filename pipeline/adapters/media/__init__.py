"""Probing and thumbnails by ffprobe and ffmpeg, always in a confined child process."""
