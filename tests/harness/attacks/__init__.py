"""A reader host whose children attack instead of reading, and the program that runs the attacks beside canaries."""
