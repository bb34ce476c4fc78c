"""Imports aiohttp without the certificates of the system's CAs.

When it is imported it makes two contexts for TLS, one of which verifies nothing, and reads the certificates into both:
two megabytes. Clients here have contexts of their own (`pipeline.adapters.tls`). A process imports this module before
anything else imports aiohttp.
"""

from __future__ import annotations

from pipeline.adapters.tls import deferred_contexts

with deferred_contexts():
    import aiohttp  # noqa: F401  # is imported for all modules that use it
