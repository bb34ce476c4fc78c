"""The media reader: metadata and one frame of a file, read in a confined child process."""
