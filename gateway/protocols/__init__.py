"""Further upload protocols over the same uploads."""
