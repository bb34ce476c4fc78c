"""arq carries stage jobs through Redis to workers. Nothing outside this package imports arq."""

import pipeline.adapters.redis  # noqa: F401  # before arq imports redis-py
