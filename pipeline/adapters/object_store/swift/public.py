"""The account as clients reach it, where that is another way than ours."""

from __future__ import annotations

from urllib.parse import urlsplit

from pipeline.core.errors import StoreError


def public_account(base_url: str, storage_url: str) -> str:
    """`storage_url` from its `/v1/` on, below `base_url` (scheme, host, what a proxy has in front of `/v1/`); "" for no
    base. Raises StoreError STORE_REJECTED when the storage URL has no `/v1/ACCOUNT`."""
    if not base_url:
        return ""
    path = urlsplit(storage_url).path
    at = path.rfind("/v1/")
    if at < 0:
        raise StoreError("STORE_REJECTED", reason=f"'{storage_url}' has no /v1/ACCOUNT to put below '{base_url}'")
    return base_url.rstrip("/") + path[at:].rstrip("/")
