"""Probes and thumbnails by ffprobe and ffmpeg, which always run in a confined child process."""
