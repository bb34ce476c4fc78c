"""The six stages of an upload, one module each, over ports only."""
