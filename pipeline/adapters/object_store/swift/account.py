"""URLs derived from an account's storage URL: `https://host[/prefix]/v1/ACCOUNT`.

A load balancer may put any prefix before `/v1/`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pipeline.core.errors import StoreError


def account_path(storage_url: str) -> str:
    """`/v1/ACCOUNT` of a storage URL, quoted as it is there. Raises StoreError STORE_REJECTED when it has none."""
    path = urlsplit(storage_url).path.rstrip("/")
    at = path.rfind("/v1/")
    if at < 0:
        raise StoreError("STORE_REJECTED", reason=f"'{storage_url}' has no /v1/ACCOUNT")
    return path[at:]


def public_account(base_url: str, storage_url: str) -> str:
    """The account below `base_url` (scheme, host, a proxy's prefix); "" for no base. Raises as `account_path`."""
    if not base_url:
        return ""
    return base_url.rstrip("/") + account_path(storage_url)


def info_url(storage_url: str) -> str:
    """Where the cluster publishes its capabilities: `/info` beside `/v1` (swift.proxy.controllers.info)."""
    parts = urlsplit(storage_url)
    prefix = f"{parts.path.rstrip('/')}/".rpartition("/v1/")[0]
    return f"{parts.scheme}://{parts.netloc}{prefix}/info"
