"""Worker processes: `process` runs queue workers and loops until it is stopped, `loops` supervises a loop,
`admission` lists the loops of the admission worker, `metrics` shows what a process does."""

import pipeline.adapters.lean_aiohttp  # noqa: F401  # before any module here imports aiohttp
