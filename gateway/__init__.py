"""The gateway: Sluice's HTTP interface. It holds no business rules; those are in `pipeline`."""

import pipeline.adapters.lean_aiohttp  # noqa: F401  # before any module here imports aiohttp
