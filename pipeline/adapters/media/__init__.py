"""Metadata and thumbnails of files, which are read in a confined child process only."""
