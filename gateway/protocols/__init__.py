"""Further upload protocols over the same uploads. None exists yet."""
