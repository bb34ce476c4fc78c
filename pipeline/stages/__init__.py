"""The stages of an upload: one module each, over ports only."""
